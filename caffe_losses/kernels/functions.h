/* The elementary functions that the losses are made of.
 *
 * float: polynomials. benchmarks/functions.c has tried all floats; the largest errors in units in the last place (ulp), and
 * where they are, with a fused multiply-add (v3, v4, NEON) and without one (base):
 *
 *   exponential             1.08 at -27.379202     1.08 at -27.379202       -87.33 and above; below, by less than FLT_MIN
 *   log1p_up_to_1           1.06 at 0.64133728     1.31 at 0.6396178
 *   logarithm               0.82 at 0.69922471     0.86 at 0.70012802
 *   log1p_any               1.20 at 0.27773801     1.24 at 0.28191587
 *   exponential_of_product  0.66 at -0.69110638    0.78 at -0.68855655      in ulp of 1, for a factor of 0.5
 *   coarse_logarithm        1.23 at 0.1818939      1.22 at 0.1821896        in ulp of 1 where the result is smaller
 *
 * Polynomials are added up by pairs, as each step of a single chain waits for the one before.
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

FUNCTION real exponential_of_product(double factor, real x) { return exponential(factor * x); }
FUNCTION real coarse_logarithm(real x) { return logarithm(x); }

FUNCTION Sum logarithm_in_parts(real x) {
  Sum log_x = {logarithm(x), all(0)};
  return log_x;
}
#else

#define ROUNDS 12582912.0f /* 1.5 * 2^23: x + ROUNDS has x, rounded to a whole number, in its low bits */

/* 2^n, from n + ROUNDS for n >= -127: by its bits, which make 0 of -127. */
FUNCTION real power_of_2(real shifted) { return (real)(((bits)shifted << 23) + 0x3f800000u); }

/* e^x for x <= 0: 2^n e^r with r = x - n log 2 and a Chebyshev fit of (e^r - 1 - r) / r^2. From n = -127 on it is 0.
 * For x > 0, which padding may have, it is some number. */
FUNCTION real exponential(real x) {
  real shifted = x * 1.44269504f + ROUNDS;
  real n = shifted - ROUNDS;
  real r = (x - n * 0.693359375f) + n * 2.12194440e-4f, square = r * r;
  real p = (8.3632030e-3f * r + 4.1666554e-2f) + square * 1.3926213e-3f;
  p = (1.66665768e-1f * r + 0.5f) + square * p;
  return only(~(x < -88.0f), (p * square + r + 1.0f) * power_of_2(shifted));
}

/* e^(factor x) for factor x from 0 down, or up to 80, as 2^y. The rounding of y costs x e^x ulp. */
FUNCTION real exponential_of_product(double factor, real x) {
  real y = larger(all(-127), (number)(factor * 1.4426950408889634) * x);
  real shifted = y + ROUNDS, f = y - (shifted - ROUNDS), square = f * f;
  real p = (9.6184369e-3f * f + 5.5503324e-2f) + square * (1.5353362e-4f * f + 1.3398875e-3f);
  p = (2.4022648e-1f * f + 6.9314718e-1f) + square * p;
  return (p * f + 1.0f) * power_of_2(shifted);
}

/* log(1 + x) for x in [0, 1]: with w = x / (2 + x), it is 2 atanh(w) = 2 w + w^3 p = x - w (x - w^2 p), where 2 w would cost
 * the rounding of w. p is a Chebyshev fit of (2 atanh(w) - 2 w) / w^3 in w^2, for w up to 1/3. */
FUNCTION real log1p_up_to_1(real x) {
  real w = x / (2.0f + x), square = w * w, fourth = square * square;
  real p = (2.1706577e-1f * square + 2.8592358e-1f) + fourth * 2.3224329e-1f;
  p = (3.9999706e-1f * square + 6.6666667e-1f) + fourth * p;
  return x - w * (x - square * p);
}

/* x = 2^n (1 + f), with 1 + f in [sqrt(1/2), sqrt(2)); for x > 0, no denormal. */
typedef struct {
  real n, f;
} Parts;

FUNCTION Parts parts_of(real x) {
  mask above = (mask)x - 0x3f3504f3; /* the bits of sqrt(1/2) */
  Parts x_parts = {(real)((above >> 23) + 0x4b400000) - ROUNDS, /* the bits of ROUNDS: from a whole number to a float */
                   (real)((above & 0x7fffff) + 0x3f3504f3) - 1.0f};
  return x_parts;
}

/* log(x) = n log 2 + log(1 + f) with Cephes' polynomial. In two parts: n * 0.693359375, which is exact, and the rest. */
FUNCTION Sum logarithm_in_parts(real x) {
  Parts parts = parts_of(x);
  real n = parts.n, f = parts.f, square = f * f;
  real p = (1.1676998740e-1f - 1.1514610310e-1f * f) + square * 7.0376836292e-2f;
  p = (1.4249322787e-1f - 1.2420140846e-1f * f) + square * p;
  p = (2.0000714765e-1f - 1.6668057665e-1f * f) + square * p;
  p = (3.3333331174e-1f - 2.4999993993e-1f * f) + square * p;
  Sum log_x = {n * 0.693359375f, f + (p * f * square - 0.5f * square - n * 2.12194440e-4f)};
  return log_x;
}

/* log(x) where an error of 1 ulp of 1 does no harm. */
FUNCTION real coarse_logarithm(real x) {
  Parts parts = parts_of(x);
  real f = parts.f, square = f * f;
  real p = (1.9873045e-1f - 1.7333466e-1f * f) + square * (1.6419995e-1f - 1.0102241e-1f * f);
  p = (3.3336183e-1f - 2.4959344e-1f * f) + square * p;
  p = (9.9999982e-1f - 5.0000668e-1f * f) + square * p;
  return parts.n * 0.69314718f + p * f;
}

FUNCTION real logarithm(real x) { return rounded(logarithm_in_parts(x)) + (x - x); } /* of NaN: NaN */

/* log(1 + x) for x >= 0: what the rounding of 1 + x has lost is put back. */
FUNCTION real log1p_any(real x) {
  real u = 1.0f + x;
  return logarithm(u) + (x - (u - 1.0f)) / u;
}
#endif

#endif
