/* The losses on arrays; compiled once for each type and instruction set, with VARIANT = _float_v3, say: see build.py. */
#include "distribution.h"
#include "independent.h"
#include "log_sum_exp.h"

#define PASTE(a, b) a##b
#define NAMED(a, b) PASTE(a, b)

#define FAMILY_INDEPENDENT(name, ...) INDEPENDENT,
#define FAMILY_DISTRIBUTION(name, ...) DISTRIBUTION,
#define FAMILY_LOG_SUM_EXP(name, ...) LOG_SUM_EXP,
static const int families[] = {LOSSES(FAMILY_INDEPENDENT, FAMILY_DISTRIBUTION, FAMILY_LOG_SUM_EXP)};

typedef void Family(const Problem *, const Arrays *, Result *);
static Family *const loops[] = {[INDEPENDENT] = independent, [DISTRIBUTION] = distribution, [LOG_SUM_EXP] = log_sum_exp};

/* What Python fills in; asserted under the sanitizers only, as the binding has checked it. */
static void check(const Problem *p) {
  assert(p->outer >= 0 && p->classes > 0 && p->inner >= 0 && p->slots >= 0);
  assert(p->index || p->slots == p->classes);
  assert(p->loss >= 0 && p->loss < NUMBER_OF_LOSSES);
  assert(p->label_smoothing >= 0 && p->label_smoothing < 1);
  assert(p->lowest <= p->highest);
  (void)p;
}

/* How many numbers of memory a problem needs. */
int64_t NAMED(memory_of, VARIANT)(const Problem *p) {
  check(p);
  int family = families[p->loss];
  int64_t groups = family == LOG_SUM_EXP ? NUMBERS_OF_A_GROUP * all_groups(p) : 0;
  return tile_numbers(p, family) + (family == DISTRIBUTION ? KEPT_NUMBERS * number_step(p) : groups);
}

/* The summed loss. */
void NAMED(forward, VARIANT)(const Problem *p, const number *scores, const number *labels, const number *weights, number *losses,
                             Result *result) {
  const Arrays a = {scores, labels, weights, losses, 0, 1};
  check(p);
  memset(result, 0, sizeof *result);
  if (p->inner) loops[families[p->loss]](p, &a, result);
}

/* scale times the gradient of the loss that was computed last. */
void NAMED(backward, VARIANT)(const Problem *p, const number *scores, const number *labels, const number *weights, double scale,
                              number *out) {
  const Arrays a = {scores, labels, weights, 0, out, (number)scale};
  Result unused = {0};
  check(p);
  if (p->inner) loops[families[p->loss]](p, &a, &unused);
}
