/* Which instruction sets this machine has, of those that kernels.c may be compiled for; the losses' names, in order; and
 * what all was compiled from. */
#include "losses.h"

#if defined(__x86_64__) && defined(__GNUC__)
int has_v3(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
int has_v4(void) {
  return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#else
int has_v3(void) { return 0; }
int has_v4(void) { return 0; }
#endif

#define NAME(name, ...) #name " "
const char names[] = INDEPENDENT_LOSSES(NAME) DISTRIBUTION_LOSSES(NAME) LOG_SUM_EXP_LOSSES(NAME);

const char sources[] = SOURCES;
