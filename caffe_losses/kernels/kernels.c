/* The losses on arrays; compiled once for each type and instruction set, with VARIANT = _float_v3, say: see build.py. */
#include "problem.h"
#include "independent.h"
#include "distribution.h"
#include "log_sum_exp.h"

#define PASTE(a, b) a##b
#define NAMED(a, b) PASTE(a, b)

static void run(const Problem *p, const real *scores, const real *labels, const real *weights, double scale, real *out,
                Result *result) {
  if (p->loss >= ZLPR) log_sum_exp(p, scores, labels, weights, scale, out, result);
  else if (p->loss >= SOFTMAX) distribution(p, scores, labels, weights, scale, out, result);
  else independent(p, scores, labels, weights, scale, out, result);
}

/* The summed loss. */
void NAMED(forward, VARIANT)(const Problem *p, const real *scores, const real *labels, const real *weights, Result *result) {
  memset(result, 0, sizeof *result);
  run(p, scores, labels, weights, 1, 0, result);
}

/* scale times the gradient of the loss that was computed last. */
void NAMED(backward, VARIANT)(const Problem *p, const real *scores, const real *labels, const real *weights, double scale, real *out) {
  Result ignored;
  memset(&ignored, 0, sizeof ignored);
  run(p, scores, labels, weights, scale, out, &ignored);
}
