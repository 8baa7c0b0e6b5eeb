/* Numbers side by side. `number` is float, or double with -DDOUBLE; `real` is LANES of them, in one register.
 *
 * GNU vector types: operators work lane by lane, and a plain number stands for LANES of it. So gcc and clang make vector
 * code of any formula, for any processor, whatever their optimiser thinks of loops.
 */
#ifndef CAFFE_LOSSES_LANES_H
#define CAFFE_LOSSES_LANES_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef __GNUC__
#error "vector types are wanted: compile with gcc or clang"
#endif
#if FLT_EVAL_METHOD != 0
#error "float has to be computed in float: on i386, compile with -msse2 -mfpmath=sse"
#endif

#define FUNCTION static inline __attribute__((always_inline))

/* NATIVE(max, a, b): Intel's name of what one instruction does, where GNU C has no operator. The mask of 512 bits is for
 * gcc: _mm512_max_ps begins with a register of any content, so that two of the same numbers would both be computed. */
#ifdef __SSE2__
#include <immintrin.h>
#endif
#define INTEL_NAME(prefix, name, suffix) prefix##name##suffix
#if defined(__AVX512F__)
#define REGISTER 64
#define NATIVE_OF(name, suffix, ...) INTEL_NAME(_mm512_maskz_, name, suffix)(-1, __VA_ARGS__)
#elif defined(__AVX__)
#define REGISTER 32
#define NATIVE_OF(name, suffix, ...) INTEL_NAME(_mm256_, name, suffix)(__VA_ARGS__)
#else
#define REGISTER 16
#define NATIVE_OF(name, suffix, ...) INTEL_NAME(_mm_, name, suffix)(__VA_ARGS__)
#endif

#ifdef DOUBLE
#define NATIVE(name, ...) NATIVE_OF(name, _pd, __VA_ARGS__)
typedef double number;
typedef int64_t whole;
typedef uint64_t unsigned_whole;
#define LARGEST_NUMBER DBL_MAX
#else
#define NATIVE(name, ...) NATIVE_OF(name, _ps, __VA_ARGS__)
typedef float number;
typedef int32_t whole;
typedef uint32_t unsigned_whole;
#define LARGEST_NUMBER FLT_MAX
#endif

typedef number real __attribute__((vector_size(REGISTER)));
typedef whole mask __attribute__((vector_size(REGISTER))); /* of a comparison: -1 where it holds, else 0 */
typedef unsigned_whole bits __attribute__((vector_size(REGISTER)));

#define LANES ((int)(REGISTER / sizeof(number)))

FUNCTION real load(const number *from) {
  real x;
  memcpy(&x, from, sizeof x);
  return x;
}

FUNCTION void store(number *to, real x) { memcpy(to, &x, sizeof x); }

FUNCTION real all(number x) { return x - (real){0}; }

FUNCTION real choose(mask where, real yes, real no) { return (real)((where & (mask)yes) | (~where & (mask)no)); }

FUNCTION real only(mask where, real x) { return (real)(where & (mask)x); } /* 0 elsewhere */

/* b, where one is NaN */
#ifdef __SSE2__
FUNCTION real larger(real a, real b) { return NATIVE(max, a, b); }
FUNCTION real smaller(real a, real b) { return NATIVE(min, a, b); }
FUNCTION real square_root(real x) { return NATIVE(sqrt, x); }
#else
FUNCTION real larger(real a, real b) { return choose(a > b, a, b); }
FUNCTION real smaller(real a, real b) { return choose(a < b, a, b); }
FUNCTION real square_root(real x) {
  for (int i = 0; i < LANES; ++i) x[i] = (number)sqrt((double)x[i]); /* rounded twice, it is still the nearest number */
  return x;
}
#endif

FUNCTION real magnitude(real x) { return (real)((bits)x & ((unsigned_whole)-1 >> 1)); }

/* The lanes before the n-th. */
FUNCTION mask first(int64_t n) {
  static const whole numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  mask lane;
  memcpy(&lane, numbers, sizeof lane);
  return lane < (whole)(n < LANES ? n : LANES);
}

FUNCTION int any(mask m) {
  whole some = 0;
  for (int i = 0; i < LANES; ++i) some |= m[i];
  return some != 0;
}

enum { CHAINS = LANES < 4 ? LANES : 4 }; /* of what is done lane by lane: they do not wait for each other */

FUNCTION number largest_lane(real x) {
  number part[CHAINS], largest;
  memcpy(part, &x, sizeof part);
  for (int i = CHAINS; i < LANES; i += CHAINS)
    for (int k = 0; k < CHAINS; ++k) part[k] = x[i + k] > part[k] ? x[i + k] : part[k];
  largest = part[0];
  for (int k = 1; k < CHAINS; ++k) largest = part[k] > largest ? part[k] : largest;
  return largest;
}

/* Between numbers and whole numbers; gcc before 9 has no word for it. */
#if defined(__clang__) || __GNUC__ >= 9
FUNCTION mask whole_of(real x) { return __builtin_convertvector(x, mask); }
FUNCTION real number_of(mask x) { return __builtin_convertvector(x, real); }
#else
FUNCTION mask whole_of(real x) {
  mask w;
  for (int i = 0; i < LANES; ++i) w[i] = (whole)x[i];
  return w;
}

FUNCTION real number_of(mask w) {
  real x;
  for (int i = 0; i < LANES; ++i) x[i] = (number)w[i];
  return x;
}
#endif

/* LANES sums, each in two parts: `rest` has what the roundings of `sum` took away. */
typedef struct {
  real sum, rest;
} Sum;

/* Of numbers of one sign (Dekker's fast two-sum). It is exact, unless x is larger than the sum. As the sum then doubles, all
 * that is lost is less than an ulp of the last sum. */
FUNCTION Sum plus(Sum s, real x) {
  real sum = s.sum + x;
  Sum next = {sum, s.rest + (x - (sum - s.sum))};
  return next;
}

FUNCTION Sum plus_any(Sum s, real x) { /* of any sign (Knuth's two-sum) */
  real sum = s.sum + x, added = sum - s.sum;
  Sum next = {sum, s.rest + ((s.sum - (sum - added)) + (x - added))};
  return next;
}

FUNCTION real rounded(Sum s) { return s.sum + s.rest; }

FUNCTION double sum_of_lanes(real x) {
  double part[4] = {0, 0, 0, 0};
  for (int i = 0; i < LANES; i += CHAINS)
    for (int k = 0; k < CHAINS; ++k) part[k] += (double)x[i + k];
  return (part[0] + part[1]) + (part[2] + part[3]);
}

FUNCTION double total(Sum s) {
  double sum = sum_of_lanes(s.sum);
  return sum - sum == 0 ? sum + sum_of_lanes(s.rest) : sum; /* what is infinite has no rest */
}

#endif
