/* The elementary functions that the losses are made of.
 *
 * float: polynomials. benchmarks/functions.c has tried all floats; the largest errors in units in the last place (ulp), and
 * where they are, with a fused multiply-add (v3, v4, NEON) and without one (base):
 *
 *   exponential     1.08 at -16.287966     1.05 at -48.866352       -87.33 and above; below, by less than FLT_MIN
 *   log1p_up_to_1   1.06 at 0.63925254     1.30 at 0.6466285
 *   logarithm       0.85 at 0.70312661     0.89 at 0.69870615
 *   log1p_any       1.21 at 0.39968258     1.26 at 0.39741236
 *
 * A NaN stays one. double: those of the C library, lane by lane.
 */
#ifndef CAFFE_LOSSES_FUNCTIONS_H
#define CAFFE_LOSSES_FUNCTIONS_H

#include "lanes.h"

#ifdef DOUBLE
#define OF_EACH_LANE(name, function)                          \
  FUNCTION real name(real x) {                                \
    for (int i = 0; i < LANES; ++i) x[i] = function(x[i]);    \
    return x;                                                 \
  }

OF_EACH_LANE(exponential, exp)
OF_EACH_LANE(log1p_up_to_1, log1p)
OF_EACH_LANE(logarithm, log)
OF_EACH_LANE(log1p_any, log1p)

FUNCTION Sum logarithm_in_parts(real x) {
  Sum log_x = {logarithm(x), all(0)};
  return log_x;
}
#else

#define ROUNDS 12582912.0f /* 1.5 * 2^23: x + ROUNDS has x, rounded to a whole number, in its low bits */

/* e^x for x <= 0: 2^n e^r with r = x - n log 2 and a Chebyshev fit of (e^r - 1 - r) / r^2. From n = -127 on it is 0.
 * For x > 0, which padding may have, it is some number. */
FUNCTION real exponential(real x) {
  real shifted = x * 1.44269504f + ROUNDS;
  real n = shifted - ROUNDS;
  real r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  real p = all(1.3926213e-3f);
  p = p * r + 8.3632030e-3f;
  p = p * r + 4.1666554e-2f;
  p = p * r + 1.66665768e-1f;
  p = p * r + 0.5f;
  p = p * (r * r) + r + 1.0f;
  return only(~(x < -88.0f), p * (real)(((bits)shifted << 23) + 0x3f800000u)); /* 2^n, by its bits */
}

/* log(1 + x) for x in [0, 1]: with w = x / (2 + x), it is 2 atanh(w) = 2 w + w^3 p = x - w (x - w^2 p), where 2 w would cost
 * the rounding of w. p is a Chebyshev fit of (2 atanh(w) - 2 w) / w^3 in w^2, for w up to 1/3. */
FUNCTION real log1p_up_to_1(real x) {
  real w = x / (2.0f + x), square = w * w;
  real p = all(2.3224329e-1f);
  p = p * square + 2.1706577e-1f;
  p = p * square + 2.8592358e-1f;
  p = p * square + 3.9999706e-1f;
  p = p * square + 6.6666667e-1f;
  return x - w * (x - square * p);
}

/* log(x) = n log 2 + log(1 + f), with 1 + f in [sqrt(1/2), sqrt(2)) and Cephes' polynomial; for x > 0, no denormal.
 * In two parts: n * 0.693359375, which is exact, and the rest. */
FUNCTION Sum logarithm_in_parts(real x) {
  mask above = (mask)x - 0x3f3504f3; /* the bits of sqrt(1/2) */
  real n = (real)((above >> 23) + 0x4b400000) - ROUNDS; /* the bits of ROUNDS: from a whole number to a float */
  real f = (real)((above & 0x7fffff) + 0x3f3504f3) - 1.0f, square = f * f;
  real p = all(7.0376836292e-2f);
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  Sum log_x = {n * 0.693359375f, f + (p * f * square - 0.5f * square - n * 2.12194440e-4f)};
  return log_x;
}

FUNCTION real logarithm(real x) { return rounded(logarithm_in_parts(x)) + (x - x); } /* of NaN: NaN */

/* log(1 + x) for x >= 0: what the rounding of 1 + x has lost is put back. */
FUNCTION real log1p_any(real x) {
  real u = 1.0f + x;
  return logarithm(u) + (x - (u - 1.0f)) / u;
}
#endif

#endif
