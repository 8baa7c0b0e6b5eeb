/* The elementary functions that the losses are made of, in the type `real`: float, or double with -DDOUBLE.
 *
 * float: polynomials, which a compiler can run on many lanes at once; each is right to about one unit in the last
 * place (ulp). A NaN stays one. double: those of the C library.
 */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define FUNCTION __device__ __forceinline__ static
#else
#define FUNCTION static inline __attribute__((always_inline))
#endif

#ifdef DOUBLE
typedef double real;
#define LARGEST_REAL DBL_MAX
typedef uint64_t unsigned_real; /* the bits of a real */

FUNCTION real exponential(real x) { return exp(x); }
FUNCTION real log1p_up_to_1(real x) { return log1p(x); }
FUNCTION real logarithm(real x) { return log(x); }
FUNCTION real log1p_any(real x) { return log1p(x); }
#else
typedef float real;
#define LARGEST_REAL FLT_MAX
typedef uint32_t unsigned_real; /* the bits of a real */

FUNCTION float float_of(int32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

FUNCTION int32_t bits_of(float x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* e^x for x <= 0: 2^n e^r with r = x - n log 2 and a Chebyshev fit of (e^r - 1 - r) / r^2. From n = -127 on it is 0.
 * For x > 0, which padding may have, it is some number. */
FUNCTION float exponential(float x) {
  float inside = x < -88.0f ? -88.0f : x;
  float shifted = inside * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to a whole number, in the low bits */
  float n = shifted - 12582912.0f;
  float r = (inside - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.3926213e-3f;
  p = p * r + 8.3632030e-3f;
  p = p * r + 4.1666554e-2f;
  p = p * r + 1.66665768e-1f;
  p = p * r + 0.5f;
  p = p * (r * r) + r + 1.0f;
  return p * float_of((int32_t)(((uint32_t)bits_of(shifted) << 23) + 0x3f800000u)); /* 2^n, by its bits */
}

/* 2 atanh(w) for |w| <= 1/3; the polynomial is a Chebyshev fit of (2 atanh(w) - 2 w) / w^3 in w^2. */
FUNCTION float twice_atanh(float w) {
  float v = w * w;
  float p = 2.3224329e-1f;
  p = p * v + 2.1706577e-1f;
  p = p * v + 2.8592358e-1f;
  p = p * v + 3.9999706e-1f;
  p = p * v + 6.6666667e-1f;
  return 2.0f * w + w * v * p;
}

/* log(1 + x) = 2 atanh(x / (2 + x)), for x in [0, 1]. */
FUNCTION float log1p_up_to_1(float x) { return twice_atanh(x / (2.0f + x)); }

/* log(x) = n log 2 + log(1 + f), with 1 + f in [sqrt(1/2), sqrt(2)) and Cephes' polynomial; for x > 0, no denormal. */
FUNCTION float logarithm(float x) {
  int32_t bits = bits_of(x) - 0x3f3504f3; /* the bits of sqrt(1/2) */
  float n = (float)(bits >> 23), f = float_of((bits & 0x7fffff) + 0x3f3504f3) - 1.0f, square = f * f;
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  float log_x = n * 0.693359375f + (f + (p * f * square - 0.5f * square - n * 2.12194440e-4f));
  return x == x ? log_x : x;
}

/* log(1 + x) for x >= 0: what the rounding of 1 + x has lost is put back. */
FUNCTION float log1p_any(float x) {
  float u = 1.0f + x;
  return logarithm(u) + (x - (u - 1.0f)) / u;
}
#endif

/* For x >= 0 in the order of x; more than any of these for x < 0 and for NaN. */
FUNCTION unsigned_real order_of(real x) {
  unsigned_real bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
