/* The elementary functions of the kernels, tried on all floats of their domains against the C library's in double.
 *
 * Prints the largest error of each in units in the last place (ulp) of the exact result, or of 1 where that is said, and its
 * argument. One to three minutes for each level:
 *
 *   flags="-O2 -std=gnu11 -fno-math-errno -fno-trapping-math -ffp-contract=fast -Wno-psabi -I caffe_losses/kernels"
 *   cc $flags benchmarks/functions.c -lm -o build/functions && build/functions                  # base
 *   cc $flags -mavx2 -mfma benchmarks/functions.c -lm -o build/functions && build/functions     # v3
 *   cc $flags -mavx512f -mfma benchmarks/functions.c -lm -o build/functions && build/functions  # v4
 *
 * A number after the program's name tries each so manieth float only.
 */
#include <stdio.h>
#include <stdlib.h>

#include "functions.h"

static uint32_t bits_of(float x) {
  uint32_t b;
  memcpy(&b, &x, sizeof b);
  return b;
}

static float float_of(uint32_t b) {
  float x;
  memcpy(&x, &b, sizeof x);
  return x;
}

static double error_in_ulp(float found, double exact, double least) {
  double size = fabs(exact) < least ? least : fabs(exact);
  int exponent;
  frexp(size, &exponent);
  double error = fabs(found - exact) / ldexp(1, exponent - FLT_MANT_DIG);
  return error <= DBL_MAX ? error : INFINITY; /* NaN, too */
}

FUNCTION real exponential_of_half(real x) { return exponential_of_product(0.5, x); }
static double exp_of_half(double x) { return exp(x / 2); }

#define TRY(function, exact, from, to) try(#function, function, exact, from, to, FLT_MIN, step)
#define TRY_OF_1(function, exact, from, to) try(#function ", of 1", function, exact, from, to, 1, step)

FUNCTION void try(const char *name, real function(real), double exact(double), float from, float to, double least, int64_t step) {
  double worst = -1;
  float where = 0;
  const int64_t last = bits_of(to);
  for (int64_t first = bits_of(from); first <= last; first += LANES * step) {
    float x[LANES], y[LANES];
    for (int i = 0; i < LANES; ++i) x[i] = float_of((uint32_t)(first + i * step < last ? first + i * step : last));
    store(y, function(load(x)));
    for (int i = 0; i < LANES; ++i) {
      double error = error_in_ulp(y[i], exact(x[i]), least);
      if (error > worst) worst = error, where = x[i];
    }
  }
  printf("%-26s %.3f ulp at %.9g (%a), of [%g, %g]\n", name, worst, where, where, from, to);
}

int main(int argc, char **argv) {
  const int64_t step = argc > 1 ? atoi(argv[1]) : 1;
  printf("%d lanes, %s\n", LANES,
#ifdef __FMA__
         "fused"
#else
         "not fused"
#endif
  );
  TRY(exponential, exp, -0.0f, -87.3365402f); /* below, the result is below FLT_MIN or 0 */
  TRY(log1p_up_to_1, log1p, 0, 1);
  TRY(logarithm, log, FLT_MIN, FLT_MAX);
  TRY(log1p_any, log1p, 0, FLT_MAX);
  TRY_OF_1(exponential_of_half, exp_of_half, -0.0f, -FLT_MAX);
  TRY_OF_1(coarse_logarithm, log, FLT_MIN, FLT_MAX);
  return 0;
}
