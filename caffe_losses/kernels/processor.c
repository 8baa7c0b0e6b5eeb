/* Which instruction sets this machine has, of those that kernels.c may be compiled for; and what the library says of itself:
 * its losses with the options that they read, and the fields of its structures. */
#include "problem.h"

#if defined(__x86_64__)
int has_v3(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
int has_v4(void) {
  return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#else
int has_v3(void) { return 0; }
int has_v4(void) { return 0; }
#endif

#define INDEPENDENT_TEXT(name, cost_0, cost_1, cost_unannotated, reads) #name " " reads "\n"
#define DISTRIBUTION_TEXT(name, log, slope, has_z, reads) #name " " reads "\n"
#define LOG_SUM_EXP_TEXT(name, cost, reads) #name " " reads "\n"
const char losses[] = LOSSES(INDEPENDENT_TEXT, DISTRIBUTION_TEXT, LOG_SUM_EXP_TEXT);

#define FIELD_TEXT(type, name) #type " " #name "\n"
#define OPTION_TEXT(name) "double " #name "\n"
const char problem[] = PROBLEM(FIELD_TEXT) OPTIONS(OPTION_TEXT), result[] = RESULT(FIELD_TEXT);
const int64_t problem_size = sizeof(Problem), result_size = sizeof(Result);
