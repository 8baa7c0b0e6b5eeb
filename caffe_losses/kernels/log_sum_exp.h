/* Losses of sums of exponentials, over the classes of each row and, where classes have a loss too, over the rows of each:
 *
 *   n = T_neg log sum e^(s / T_neg) over the labels 0        p = T_pos log sum e^(-s / T_pos) over the labels 1
 *
 * Such a row or class is a group. Its scores are read three times: for both maxima, for both sums, for the slopes.
 * Scores that follow each other in memory are a run. They are of one group, or of one each, or both. A group that is
 * all of some runs may have sums before it has its last maximum: a higher one scales them.
 */
#ifndef CAFFE_LOSSES_LOG_SUM_EXP_H
#define CAFFE_LOSSES_LOG_SUM_EXP_H

#include "problem.h"

#define COST_OF_SUMS(name, cost, reads) case name##_loss: return cost;

FUNCTION CostOfSums of_sums(int loss, Sum n, Sum p, const Options *o) {
  (void)o;
  switch (loss) { LOSSES(NOT_HERE, NOT_HERE, COST_OF_SUMS) }
  __builtin_unreachable();
}

typedef struct {
  number *max_neg, *max_pos, *sum_neg, *sum_pos, *rest_neg, *rest_pos;
  number *slope_neg, *slope_pos; /* of the loss in n and p, by the sum */
} Groups;

enum { NUMBERS_OF_A_GROUP = 8 };

#define EMPTY (-(number)INFINITY) /* the maximum of no scores */
#define LOWEST (-LARGEST_NUMBER)  /* that of scores which are all -infinity */

/* Rows first, then classes. Beyond each, there is room for the padding of a run that begins anywhere. */
FUNCTION int64_t class_groups(const Problem *p) { return padded(p->outer * p->inner + LANES); }
FUNCTION int64_t all_groups(const Problem *p) { return class_groups(p) + (p->of_classes ? padded(p->classes + LANES) : 0); }

FUNCTION Groups groups_from(const Problem *p, int64_t from) {
  int64_t n = all_groups(p);
  number *at = p->memory + tile_numbers(p, LOG_SUM_EXP) + from;
  Groups g = {at, at + n, at + 2 * n, at + 3 * n, at + 4 * n, at + 5 * n, at + 6 * n, at + 7 * n};
  return g;
}

FUNCTION Groups groups_after(Groups g, int64_t by) {
  Groups next = {g.max_neg + by, g.max_pos + by, g.sum_neg + by, g.sum_pos + by, g.rest_neg + by, g.rest_pos + by,
                 g.slope_neg + by, g.slope_pos + by};
  return next;
}

/* each: of which group each score is; one: of which all are; with_each, with_one: whether there are such. */
typedef struct {
  const number *scores, *labels;
  number *out;
  int n, end; /* n: a multiple of LANES, and `end` too; or LANES, and from `end` on there is padding */
  Groups each, one;
  number scale_each, scale_one;
} Run;

enum { MAXIMA, SUMS, SLOPES };

FUNCTION void raise_maximum(number *maximum, number *sum, number *rest, number to, double temperature) {
  if (to <= *maximum) return;
  number scale = *sum != 0 ? (number)exp(((double)*maximum - (double)to) / temperature) : 0;
  *sum *= scale;
  *rest *= scale;
  *maximum = to;
}

/* Whether some of the scores from i on, as far as they are computed alike, have a label that is not 0 nor ignored. */
FUNCTION int labelled_from(const Problem *p, const Run *run, int i) {
  return any_positive(p, run->labels + i, (int)smaller_of(run->n - i, BLOCK));
}

FUNCTION mask kept_at(const Problem *p, const Run *run, real y) {
  return p->ignores ? first(run->end) & ~is_ignored(p, y) : first(run->end);
}

FUNCTION void maxima(const Problem *problem, const Run *of, int with_each, int with_one, Result *result) {
  const Problem here = *problem, *p = &here; /* no store can change these */
  const Run a_run = *of, *run = &a_run;
  const number limit = (number)p->label_limit;
  const real empty = all(EMPTY), lowest = all(LOWEST);
  real one_neg = empty, one_pos = empty;
  mask wrong = {0};
  int labelled = 0, some_labelled = 0;
  for (int i = 0; i < run->n; i += LANES) {
    if (i % BLOCK == 0) labelled = labelled_from(p, run, i), some_labelled |= labelled;
    real s = load(run->scores + i), y = load(run->labels + i);
    mask kept = kept_at(p, run, y), positive = y != 0;
    real neg = choose(labelled ? kept & ~positive : kept, larger(s, lowest), empty);
    if (with_one) one_neg = larger(neg, one_neg);
    if (with_each) store(run->each.max_neg + i, larger(neg, load(run->each.max_neg + i)));
    if (!labelled) continue;
    real pos = choose(kept & positive, larger(-s, lowest), empty);
    if (with_one) one_pos = larger(pos, one_pos);
    if (with_each) store(run->each.max_pos + i, larger(pos, load(run->each.max_pos + i)));
    /* Infinity would make no loss at a label of 1; elsewhere it makes a NaN. */
    wrong |= kept & positive & ~((y >= 2 - limit) & (y <= limit) & in_domain(p, s));
  }
  result->wrong |= any(wrong);
  if (!with_one) return;
  const Groups *one = &run->one;
  raise_maximum(one->max_neg, one->sum_neg, one->rest_neg, largest_lane(one_neg), p->options.temperature_neg);
  if (some_labelled) raise_maximum(one->max_pos, one->sum_pos, one->rest_pos, largest_lane(one_pos), p->options.temperature_pos);
}

/* The maxima of the groups of some scores. */
typedef struct {
  real neg, pos;
} Maxima;

/* e^((s - max) / T) of a score in its group's sum */
FUNCTION real share_of(const Problem *p, int labelled, real s, mask positive, Maxima max) {
  real x = (s - max.neg) * (number)(1 / p->options.temperature_neg);
  if (labelled) x = choose(positive, (-s - max.pos) * (number)(1 / p->options.temperature_pos), x);
  return exponential(x);
}

FUNCTION Maxima maxima_of(const Run *run, int i) {
  Maxima max = {load(run->each.max_neg + i), load(run->each.max_pos + i)};
  return max;
}

FUNCTION void add_to_each(number *sum, number *rest, real x) {
  Sum s = {load(sum), load(rest)};
  s = plus(s, x);
  store(sum, s.sum);
  store(rest, s.rest);
}

FUNCTION void add_to_one(number *sum, number *rest, Sum more) {
  double s = (double)*sum + (double)*rest + total(more);
  *sum = (number)s;
  *rest = (number)(s - (double)*sum);
}

FUNCTION void sums(const Problem *problem, const Run *of, int with_each, int with_one) {
  const Problem here = *problem, *p = &here;
  const Run a_run = *of, *run = &a_run;
  const Maxima max = {all(with_one ? *run->one.max_neg : 0), all(with_one ? *run->one.max_pos : 0)};
  Sum neg = {{0}, {0}}, pos = neg;
  int labelled = 0, some_labelled = 0;
  for (int i = 0; i < run->n; i += LANES) {
    if (i % BLOCK == 0) labelled = labelled_from(p, run, i), some_labelled |= labelled;
    real s = load(run->scores + i), y = load(run->labels + i);
    mask kept = kept_at(p, run, y), positive = y != 0, negative = labelled ? kept & ~positive : kept;
    if (with_one) {
      real e = share_of(p, labelled, s, positive, max);
      neg = plus(neg, only(negative, e));
      if (labelled) pos = plus(pos, only(kept & positive, e));
    }
    if (with_each) {
      real e = share_of(p, labelled, s, positive, maxima_of(run, i));
      add_to_each(run->each.sum_neg + i, run->each.rest_neg + i, only(negative, e));
      if (labelled) add_to_each(run->each.sum_pos + i, run->each.rest_pos + i, only(kept & positive, e));
    }
  }
  if (!with_one) return;
  add_to_one(run->one.sum_neg, run->one.rest_neg, neg);
  if (some_labelled) add_to_one(run->one.sum_pos, run->one.rest_pos, pos);
}

FUNCTION void slopes(const Problem *problem, const Run *of, int with_each, int with_one) {
  const Problem here = *problem, *p = &here;
  const Run a_run = *of, *run = &a_run;
  const Maxima max = {all(with_one ? *run->one.max_neg : 0), all(with_one ? *run->one.max_pos : 0)};
  const real one_neg = all(with_one ? run->scale_one * *run->one.slope_neg : 0);
  const real one_pos = all(with_one ? run->scale_one * *run->one.slope_pos : 0);
  int labelled = 0;
  for (int i = 0; i < run->n; i += LANES) {
    if (i % BLOCK == 0) labelled = labelled_from(p, run, i);
    real s = load(run->scores + i), y = load(run->labels + i), slope = all(0);
    mask positive = y != 0;
    if (with_one)
      slope = (labelled ? choose(positive, -one_pos, one_neg) : one_neg) * share_of(p, labelled, s, positive, max);
    if (with_each) {
      real of_each = load(run->each.slope_neg + i);
      if (labelled) of_each = choose(positive, -load(run->each.slope_pos + i), of_each);
      slope += run->scale_each * of_each * share_of(p, labelled, s, positive, maxima_of(run, i));
    }
    store(run->out + i, p->ignores ? only(~is_ignored(p, y), slope) : slope);
  }
}

typedef void Step(const Problem *, const Run *, Result *);

#define STEPS_WITH(name, each, one)                                                                                   \
  static void maxima_##name(const Problem *p, const Run *run, Result *result) { maxima(p, run, each, one, result); }  \
  static void sums_##name(const Problem *p, const Run *run, Result *result) { (void)result, sums(p, run, each, one); } \
  static void slopes_##name(const Problem *p, const Run *run, Result *result) { (void)result, slopes(p, run, each, one); }

STEPS_WITH(of_both, 1, 1)
STEPS_WITH(of_each, 1, 0)
STEPS_WITH(of_one, 0, 1)

/* by what the scores of a run are of, and step */
enum { BOTH, EACH, ONE };
static Step *const steps[][3] = {
    {maxima_of_both, sums_of_both, slopes_of_both}, {maxima_of_each, sums_of_each, slopes_of_each}, {maxima_of_one, sums_of_one, slopes_of_one}};

/* The last scores of a run, fewer than LANES, are padded, so that each score meets the same code. */
static void of_whole_run(Step *step, const Problem *p, Run run, Result *result) {
  const int left = run.end % LANES, most = run.end - left;
  Run whole = run;
  whole.n = whole.end = most;
  if (most) step(p, &whole, result);
  if (!left) return;
  real scores = load_first(run.scores + most, left, 0), labels = load_first(run.labels + most, left, 0), out;
  Run rest = {(number *)&scores, (number *)&labels, (number *)&out, LANES, left, groups_after(run.each, most), run.one,
              run.scale_each, run.scale_one};
  step(p, &rest, result);
  if (run.out) store_first(run.out + most, out, left);
}

/* A row with its classes or, where the classes are apart, each class of neighbouring rows. */
static void of_tile(const Problem *p, const Tile *t, int step, number scale, Result *result) {
  const number scale_row = (number)(scale * p->row_share), scale_class = (number)(scale * p->class_share);
  const Groups rows = groups_from(p, t->row), classes = groups_from(p, class_groups(p));
  if (t->layout == LINE) {
    Run run = {t->scores, t->labels, t->out, 0, (int)p->classes, classes, rows, scale_class, scale_row};
    of_whole_run(steps[p->of_classes ? BOTH : ONE][step], p, run, result);
    return;
  }
  for (int64_t c = 0; c < p->classes; ++c) {
    Run run = {t->scores + c * t->score_step, t->labels + c * t->label_step, t->out ? t->out + c * t->score_step : 0, 0,
               t->rows, rows, groups_after(classes, p->of_classes ? c : 0), scale_row, scale_class};
    if (t->layout == GATHERED) run.n = LANES, steps[p->of_classes ? BOTH : EACH][step](p, &run, result);
    else of_whole_run(steps[p->of_classes ? BOTH : EACH][step], p, run, result);
  }
}

static void pass_over(const Problem *p, const Arrays *a, int first_step, int last_step, Result *result) {
  Tile t = {0};
  while (next_tile(p, LOG_SUM_EXP, a, &t, result)) {
    for (int step = first_step; step <= last_step; ++step) of_tile(p, &t, step, a->scale, result);
    leave_tile(p, a, &t, result);
  }
}

/* max + T log of a sum of e^((s - max) / T), which is 1 or more, or 0, or NaN; in two parts, as n + p may cancel. */
FUNCTION Sum log_of_sum(const number *max, const number *sum, const number *rest, double temperature) {
  real whole_sum = load(sum) + load(rest);
  Sum log = logarithm_in_parts(whole_sum), value;
  number log_sum[LANES], log_rest[LANES]; /* apart from the loop in double, or clang takes logarithms lane by lane */
  store(log_sum, log.sum);
  store(log_rest, log.rest);
  for (int i = 0; i < LANES; ++i) {
    double of_lane = (double)max[i] + temperature * ((double)log_sum[i] + (double)log_rest[i]);
    value.sum[i] = (number)of_lane;
    value.rest[i] = (number)(of_lane - (double)value.sum[i]);
  }
  value.sum = choose(whole_sum == 0, all(-(number)INFINITY), choose(whole_sum == whole_sum, value.sum, whole_sum));
  value.rest = only(whole_sum != 0, value.rest);
  return value;
}

/* No sum is between 0 and 1. */
FUNCTION real sum_or_1(const number *sum, const number *rest) { return larger(load(sum) + load(rest), all(1)); }

/* The summed loss of n groups, and how many of them count: those with a positive label or, if only rows have a loss, any. */
FUNCTION double finish_groups(int loss, const Problem *problem, Groups g, int64_t n, const number *weights, number *losses, int64_t *valid) {
  const Problem here = *problem, *p = &here;
  Sum lost = {{0}, {0}};
  for (int64_t i = 0; i < n; i += LANES) {
    Sum neg = log_of_sum(g.max_neg + i, g.sum_neg + i, g.rest_neg + i, p->options.temperature_neg);
    Sum pos = log_of_sum(g.max_pos + i, g.sum_pos + i, g.rest_pos + i, p->options.temperature_pos);
    CostOfSums cost = of_sums(loss, neg, pos, &problem->options);
    mask counted = first(n - i) & ((load(g.max_pos + i) != EMPTY) | (p->of_classes ? (mask){0} : load(g.max_neg + i) != EMPTY));
    real weight = weights ? load_first(weights + i, n - i, 0) : all(1), lost_here = only(first(n - i), weight * cost.loss);
    lost = plus(lost, lost_here);
    if (losses) store_first(losses + i, lost_here, n - i);
    store(g.slope_neg + i, weight * cost.slope_neg / sum_or_1(g.sum_neg + i, g.rest_neg + i));
    store(g.slope_pos + i, weight * cost.slope_pos / sum_or_1(g.sum_pos + i, g.rest_pos + i));
    for (int k = 0; k < LANES; ++k) *valid -= counted[k];
  }
  return total(lost);
}

#define FINISH_OF(name, ...) \
  case name##_loss: return finish_groups(name##_loss, p, g, n, weights, losses, valid);

static double finish_all(const Problem *p, Groups g, int64_t n, const number *weights, number *losses, int64_t *valid) {
  switch (p->loss) { LOSSES(NOT_HERE, NOT_HERE, FINISH_OF) }
  __builtin_unreachable();
}

static void log_sum_exp(const Problem *p, const Arrays *a, Result *result) {
  if (a->out) {
    pass_over(p, a, SLOPES, SLOPES, result);
    return;
  }
  Groups groups = groups_from(p, 0);
  for (int64_t i = 0; i < 2 * all_groups(p); ++i) groups.max_neg[i] = EMPTY; /* and max_pos */
  memset(groups.sum_neg, 0, (size_t)(4 * all_groups(p)) * sizeof(number));   /* and what follows */
  int twice = p->of_classes && p->inner == 1 && p->classes > FEW; /* the rows of a class are not all of a line */
  pass_over(p, a, MAXIMA, twice ? MAXIMA : SUMS, result);
  if (twice) pass_over(p, a, SUMS, SUMS, result);
  result->loss = finish_all(p, groups, p->outer * p->inner, a->weights, a->losses, &result->valid);
  if (p->of_classes)
    result->loss_of_classes = finish_all(p, groups_from(p, class_groups(p)), p->classes, 0, 0, &result->valid_classes);
}

#endif
