/* Losses of a distribution. A row's labels y give its targets, in units of what label_scale divides by:
 *
 *   t = class_weight ((1 - label_smoothing) y + uniform)        uniform = label_smoothing scale / C
 *
 * Kept for backward are, of each row, the largest score, W / Z, the share weight / scale of the row and uniform.
 * They stand apart: log Z and the largest score in one number would cost digits.
 */
#ifndef CAFFE_LOSSES_DISTRIBUTION_H
#define CAFFE_LOSSES_DISTRIBUTION_H

#include "problem.h"

#define LOG(name, log, slope, has_z, reads) case name##_loss: return log;
#define SLOPE(name, log, slope, has_z, reads) case name##_loss: return slope;
#define HAS_Z(name, log, slope, has_z, reads) case name##_loss: return has_z;

FUNCTION real log_of(int loss, real s, real largest, const Options *o) {
  (void)largest, (void)o;
  switch (loss) { LOSSES(NOT_HERE, LOG, NOT_HERE) }
  __builtin_unreachable();
}

FUNCTION real slope_of(int loss, real s, real largest, real w_over_z, real t, const Options *o) {
  (void)largest, (void)w_over_z, (void)o;
  switch (loss) { LOSSES(NOT_HERE, SLOPE, NOT_HERE) }
  __builtin_unreachable();
}

FUNCTION int has_z_of(int loss) {
  switch (loss) { LOSSES(NOT_HERE, HAS_Z, NOT_HERE) }
  __builtin_unreachable();
}

enum { LARGEST, RATIO, SHARE, UNIFORM, KEPT_NUMBERS };

/* What is kept of rows; beyond the last one there is room for LANES more. */
FUNCTION int64_t number_step(const Problem *p) { return p->outer * p->inner + LANES; }

FUNCTION number *numbers_of(const Problem *p, int64_t row) {
  return p->memory + tile_numbers(p, DISTRIBUTION) + row;
}

/* Sums over the classes of LANES rows, or over LANES parts of one; x is s - max s or log p. */
typedef struct {
  Sum z, y, weighted_y, weight, weighted_yx, weighted_x;
  real positive, kept;
} Sums;

/* The losses of LANES rows, of which `rows` are there; and their numbers. */
static real finish(int general, const Problem *p, const Sums *sums, real largest, real weight, mask rows, int64_t row,
                     Result *result) {
  number *numbers = numbers_of(p, row);
  const int64_t step = number_step(p);
  const number smoothing = (number)p->label_smoothing, keep = (number)(1 - p->label_smoothing);
  const mask labelled = sums->positive != 0, counted = rows & (sums->kept > 0);
  real y = rounded(sums->y), scale = p->count ? sums->positive : p->sum ? y : all(1);
  real w = general ? keep * (p->class_weight ? rounded(sums->weighted_y) : y) : y, wx = rounded(sums->weighted_yx), uniform = all(0);
  if (general) wx *= keep;
  if (general && smoothing != 0) {
    uniform = only(labelled, smoothing * scale / sums->kept);
    w += uniform * (p->class_weight ? rounded(sums->weight) : sums->kept);
    wx += only(uniform != 0, uniform * rounded(sums->weighted_x));
  }
  real share = only(labelled, weight / scale);
  store(numbers + LARGEST * step, largest);
  store(numbers + RATIO * step, w / rounded(sums->z));
  store(numbers + SHARE * step, share);
  store(numbers + UNIFORM * step, uniform);
  for (int i = 0; i < LANES; ++i) result->valid -= counted[i];
  return only(counted, share * (w * log1p_any((sums->z.sum - 1) + sums->z.rest) - wx));
}

/* What a class adds to the sums of its row. */
FUNCTION void add(int loss, int general, int labelled, const Problem *p, real s, real y, real weight, mask kept, real largest,
                  Sums *sums) {
  real x = log_of(loss, s, largest, &p->options);
  if (has_z_of(loss)) sums->z = plus(sums->z, general ? only(kept, exponential(x)) : exponential(x));
  if (general && p->ignores) sums->kept += only(kept, all(1));
  if (general && p->label_smoothing != 0) {
    if (p->class_weight) sums->weight = plus(sums->weight, only(kept, weight));
    sums->weighted_x = plus(sums->weighted_x, p->class_weight ? weight * only(kept & (weight != 0), x) : only(kept, x));
  }
  if (!labelled) return;
  real label = general && p->ignores ? only(kept, y) : y, t = general && p->class_weight ? weight * label : label;
  sums->positive += only(label != 0, all(1));
  sums->y = plus(sums->y, label);
  if (general && p->class_weight) sums->weighted_y = plus(sums->weighted_y, t);
  sums->weighted_yx = plus(sums->weighted_yx, t * only(t != 0, x));
}

/* A Z shows what is wrong with scores. */
FUNCTION mask is_wrong(int loss, const Problem *p, real s, real y, mask kept) {
  return kept & ~(has_z_of(loss) ? is_label(p, y) : is_label(p, y) & in_domain(p, s));
}

/* A row whose classes are in a line: blocks of it, of which the last may be padded */

typedef struct {
  const number *scores, *labels, *weights;
  number *out;
  int n, end; /* n: a multiple of LANES, and `end` too; or LANES, and from `end` on there is padding */
  real rest[4];
} Line;

static void take_block(const Problem *p, const Tile *t, int64_t at, int64_t most, Line *line) {
  int64_t left = p->classes - at;
  line->scores = t->scores + at, line->labels = t->labels + at;
  line->weights = p->class_weight ? p->class_weight + at : line->labels; /* any numbers, where they are not used */
  line->out = t->out ? t->out + at : 0;
  line->n = line->end = (int)smaller_of(most, left / LANES * LANES);
  if (line->n) return;
  line->rest[0] = load_first(line->scores, left, (number)p->lowest);
  line->rest[1] = load_first(line->labels, left, 0);
  line->rest[2] = load_first(line->weights, left, 0);
  line->scores = (number *)&line->rest[0], line->labels = (number *)&line->rest[1], line->weights = (number *)&line->rest[2];
  line->out = (number *)&line->rest[3];
  line->n = LANES, line->end = (int)left;
}

static real largest_kept(const Problem *p, const Line *line, real largest) {
  for (int i = 0; i < line->n; i += LANES) {
    mask kept = first(line->end) & ~is_ignored(p, load(line->labels + i));
    largest = larger(choose(kept, load(line->scores + i), largest), largest);
  }
  return largest;
}

static real largest_of(const Line *line, real largest) {
  int i = 0;
  for (; i + 4 * LANES <= line->n; i += 4 * LANES) {
    const number *s = line->scores + i;
    real pair = larger(load(s), load(s + LANES)), other = larger(load(s + 2 * LANES), load(s + 3 * LANES));
    largest = larger(larger(pair, other), largest);
  }
  for (; i < line->n; i += LANES) largest = larger(load(line->scores + i), largest);
  return largest;
}

/* Without options, few of them are: the others are not copied. */
FUNCTION Sums sums_in_use(int general, const Sums *sums) {
  if (general) return *sums;
  Sums plain = {.z = sums->z, .y = sums->y, .weighted_yx = sums->weighted_yx, .positive = sums->positive};
  return plain;
}

FUNCTION void add_line(int loss, int general, const Problem *problem, const Line *line, real largest, Sums *sums, mask *wrong) {
  const Problem p = *problem; /* no store can change it */
  const number *scores = line->scores, *labels = line->labels, *weights = line->weights;
  const int n = line->n, labelled = any_positive(&p, labels, n), weighted = general && p.class_weight;
  const mask there = first(line->end);
  mask wrong_here = {0};
  Sums so_far = sums_in_use(general, sums);
  for (int i = 0; i < n; i += LANES) {
    real s = load(scores + i), y = load(labels + i), weight = weighted ? load(weights + i) : all(1);
    mask kept = general && p.ignores ? there & ~is_ignored(&p, y) : there;
    add(loss, general, labelled, &p, s, y, weight, kept, largest, &so_far);
    if (labelled || !has_z_of(loss)) wrong_here |= is_wrong(loss, &p, s, y, kept);
  }
  if (general) *sums = so_far;
  sums->z = so_far.z, sums->y = so_far.y, sums->weighted_yx = so_far.weighted_yx, sums->positive = so_far.positive;
  *wrong |= wrong_here;
}

/* The numbers of rows that backward needs, in each lane or one a lane. */
typedef struct {
  real largest, ratio, uniform, share;
} Kept;

FUNCTION real slope_at(int loss, int general, const Problem *p, real s, real y, real weight, Kept k) {
  real t = general ? weight * ((number)(1 - p->label_smoothing) * y + k.uniform) : y;
  real slope = k.share * slope_of(loss, s, k.largest, k.ratio, t, &p->options);
  return general && p->ignores ? only(~is_ignored(p, y), slope) : slope;
}

FUNCTION void slopes_of_line(int loss, int general, const Problem *problem, const Line *line, Kept k) {
  const Problem p = *problem;
  const number *scores = line->scores, *labels = line->labels, *weights = line->weights;
  number *out = line->out;
  const int n = line->n, weighted = general && p.class_weight;
  for (int i = 0; i < n; i += LANES) {
    real weight = weighted ? load(weights + i) : all(1);
    store(out + i, slope_at(loss, general, &p, load(scores + i), load(labels + i), weight, k));
  }
}

/* Rows side by side, in groups of LANES */

static void largest_of_rows(const Problem *p, const Tile *t, int groups, real *largest) {
  for (int64_t c = 0; c < p->classes; ++c)
    for (int g = 0; g < groups; ++g) {
      real s = load(t->scores + c * t->score_step + g * LANES);
      if (p->ignores) s = choose(is_ignored(p, load(t->labels + c * t->label_step + g * LANES)), largest[g], s);
      largest[g] = larger(s, largest[g]);
    }
}

FUNCTION void add_rows(int loss, int general, const Problem *problem, const Tile *t, int groups, const real *largest, Sums *sums,
                       mask *wrong) {
  const Problem p = *problem;
  const mask everywhere = ~(mask){0};
  mask wrong_here = {0};
  for (int64_t c = 0; c < p.classes; ++c) {
    const number *scores = t->scores + c * t->score_step, *labels = t->labels + c * t->label_step;
    const int labelled = groups < 4 || any_positive(&p, labels, groups * LANES);
    const real weight = all(general && p.class_weight ? p.class_weight[c] : 1);
    prefetch(scores + groups * LANES, groups * LANES); /* of the next rows */
    prefetch(labels + groups * LANES, groups * LANES);
    for (int g = 0; g < groups; ++g) {
      real s = load(scores + g * LANES), y = load(labels + g * LANES);
      mask kept = general && p.ignores ? ~is_ignored(&p, y) : everywhere;
      add(loss, general, labelled, &p, s, y, weight, kept, largest[g], &sums[g]);
      if (labelled || !has_z_of(loss)) wrong_here |= is_wrong(loss, &p, s, y, kept);
    }
  }
  *wrong |= wrong_here;
}

FUNCTION Kept kept_of(const Problem *p, const number *numbers, number scale) {
  const int64_t step = number_step(p);
  Kept k = {load(numbers + LARGEST * step), load(numbers + RATIO * step), load(numbers + UNIFORM * step),
            scale * load(numbers + SHARE * step)};
  return k;
}

FUNCTION void slopes_of_rows(int loss, int general, const Problem *problem, const Tile *t, int groups, number scale) {
  const Problem p = *problem;
  const number *numbers = numbers_of(&p, t->row);
  for (int64_t c = 0; c < p.classes; ++c) {
    const number *scores = t->scores + c * t->score_step, *labels = t->labels + c * t->label_step;
    number *out = t->out + c * t->score_step;
    const real weight = all(general && p.class_weight ? p.class_weight[c] : 1);
    prefetch(scores + groups * LANES, groups * LANES);
    prefetch(labels + groups * LANES, groups * LANES);
    prefetch_to_write(out + groups * LANES, groups * LANES);
    for (int g = 0; g < groups; ++g) {
      Kept k = kept_of(&p, numbers + g * LANES, scale);
      real slope = slope_at(loss, general, &p, load(scores + g * LANES), load(labels + g * LANES), weight, k);
      store(out + g * LANES, only(k.share != 0, slope));
    }
  }
}

/* The loops of each loss, with and without options */

typedef struct {
  int has_z;
  void (*add_line)(const Problem *, const Line *, real largest, Sums *, mask *wrong);
  void (*slopes_of_line)(const Problem *, const Line *, Kept);
  void (*add_rows)(const Problem *, const Tile *, int groups, const real *largest, Sums *, mask *wrong);
  void (*slopes_of_rows)(const Problem *, const Tile *, int groups, number scale);
} Loops;

#define LOOPS(name, general)                                                                                                      \
  static void name##_add_line_##general(const Problem *p, const Line *line, real largest, Sums *sums, mask *wrong) {              \
    add_line(name##_loss, general, p, line, largest, sums, wrong);                                                                \
  }                                                                                                                               \
  static void name##_slopes_of_line_##general(const Problem *p, const Line *line, Kept k) {                                       \
    slopes_of_line(name##_loss, general, p, line, k);                                                                             \
  }                                                                                                                               \
  static void name##_add_rows_##general(const Problem *p, const Tile *t, int groups, const real *largest, Sums *s, mask *wrong) { \
    add_rows(name##_loss, general, p, t, groups, largest, s, wrong);                                                              \
  }                                                                                                                               \
  static void name##_slopes_of_rows_##general(const Problem *p, const Tile *t, int groups, number scale) {                        \
    slopes_of_rows(name##_loss, general, p, t, groups, scale);                                                                    \
  }
#define BOTH_LOOPS(name, ...) LOOPS(name, 0) LOOPS(name, 1)
LOSSES(NOT_HERE, BOTH_LOOPS, NOT_HERE)

#define LOOPS_OF(name, general, has_z)                                                                              \
  {has_z, name##_add_line_##general, name##_slopes_of_line_##general, name##_add_rows_##general, name##_slopes_of_rows_##general}
#define BOTH_LOOPS_OF(name, log, slope, has_z, reads) [name##_loss] = {LOOPS_OF(name, 0, has_z), LOOPS_OF(name, 1, has_z)},
static const Loops loops_of[][2] = {LOSSES(NOT_HERE, BOTH_LOOPS_OF, NOT_HERE)};

/* One row, or the rows of a tile */

static Sums no_sums(const Problem *p, int has_z) {
  Sums none;
  memset(&none, 0, sizeof none);
  if (!p->ignores) none.kept = all((number)p->classes);
  if (!has_z) none.z.sum = all(1);
  return none;
}

/* Rows whose classes were in a line, one a lane: LANES of them are finished at once. */
typedef struct {
  Sums sums;
  real largest, weight;
  int rows;
  int64_t row; /* the first of them */
} Lines;

FUNCTION void set_lane(Sum *to, int lane, Sum from) {
  double sum = total(from);
  to->sum[lane] = (number)sum;
  to->rest[lane] = (number)(sum - (double)(number)sum);
}

static void join(const Problem *p, int general, int has_z, const Sums *sums, Lines *lines) {
  Sums *to = &lines->sums;
  const int lane = lines->rows++;
  if (has_z) set_lane(&to->z, lane, sums->z);
  set_lane(&to->y, lane, sums->y);
  set_lane(&to->weighted_yx, lane, sums->weighted_yx);
  to->positive[lane] = (number)sum_of_lanes(sums->positive);
  if (!general) return;
  if (p->ignores) to->kept[lane] = (number)sum_of_lanes(sums->kept);
  set_lane(&to->weighted_y, lane, sums->weighted_y);
  set_lane(&to->weight, lane, sums->weight);
  set_lane(&to->weighted_x, lane, sums->weighted_x);
}

static void finish_lines(const Problem *p, int general, int has_z, const Arrays *a, Lines *lines, Result *result) {
  if (!lines->rows) return;
  real losses = finish(general, p, &lines->sums, lines->largest, lines->weight, first(lines->rows), lines->row, result);
  if (a->losses) store_first(a->losses + lines->row, losses, lines->rows);
  result->loss += sum_of_lanes(losses);
  lines->row += lines->rows;
  lines->rows = 0;
  lines->sums = no_sums(p, has_z);
}

static void forward_line(const Loops *loops, int general, const Problem *p, const Arrays *a, const Tile *t, Lines *lines, Result *result) {
  real largest = all(-(number)INFINITY);
  mask wrong = {0};
  Sums sums = no_sums(p, loops->has_z);
  Line line;
  for (int64_t at = 0; loops->has_z && at < p->classes; at += line.n) {
    take_block(p, t, at, p->classes, &line);
    largest = p->ignores ? largest_kept(p, &line, largest) : largest_of(&line, largest);
  }
  largest = all(largest_lane(largest));
  for (int64_t at = 0; at < p->classes; at += line.n) {
    take_block(p, t, at, BLOCK, &line);
    prefetch(t->scores + p->classes + at, line.n); /* of the next row, whose largest score is wanted next */
    prefetch(line.labels + BLOCK, line.n);
    loops->add_line(p, &line, largest, &sums, &wrong);
  }
  result->wrong |= any(wrong);
  lines->largest[lines->rows] = largest[0];
  lines->weight[lines->rows] = a->weights ? a->weights[t->row] : 1;
  join(p, general, loops->has_z, &sums, lines);
  if (lines->rows == LANES) finish_lines(p, general, loops->has_z, a, lines, result);
}

static void backward_line(const Loops *loops, const Problem *p, const Arrays *a, const Tile *t) {
  const number *numbers = numbers_of(p, t->row);
  const int64_t step = number_step(p);
  const Kept k = {all(numbers[LARGEST * step]), all(numbers[RATIO * step]), all(numbers[UNIFORM * step]),
                  all(a->scale * numbers[SHARE * step])};
  if (k.share[0] == 0) {
    memset(t->out, 0, (size_t)p->classes * sizeof(number));
    return;
  }
  Line line;
  for (int64_t at = 0; at < p->classes; at += line.n) {
    take_block(p, t, at, BLOCK, &line);
    prefetch(line.scores + BLOCK, line.n);
    prefetch(line.labels + BLOCK, line.n);
    prefetch_to_write(line.out + BLOCK, line.n);
    loops->slopes_of_line(p, &line, k);
    if (line.end < line.n) store_first(t->out + at, line.rest[3], line.end);
  }
}

static double forward_rows(const Loops *loops, int general, const Problem *p, const Arrays *a, const Tile *t, Result *result) {
  real largest[WIDE / LANES];
  Sums sums[WIDE / LANES];
  Sum losses = {{0}, {0}};
  mask wrong = {0};
  const int groups = (t->rows + LANES - 1) / LANES;
  for (int g = 0; g < groups; ++g) sums[g] = no_sums(p, loops->has_z), largest[g] = all(-(number)INFINITY);
  if (loops->has_z) largest_of_rows(p, t, groups, largest);
  loops->add_rows(p, t, groups, largest, sums, &wrong);
  for (int g = 0; g < groups; ++g) {
    int64_t row = t->row + g * LANES, left = t->rows - g * LANES;
    real weight = a->weights ? load_first(a->weights + row, left, 0) : all(1);
    real lost = finish(general, p, &sums[g], largest[g], weight, first(left), row, result);
    losses = plus(losses, lost);
    if (a->losses) store_first(a->losses + row, lost, left);
  }
  result->wrong |= any(wrong);
  return total(losses);
}

static void distribution(const Problem *p, const Arrays *a, Result *result) {
  const int general = p->label_smoothing != 0 || p->class_weight || p->ignores;
  const Loops *loops = &loops_of[p->loss][general];
  Lines lines = {.sums = no_sums(p, loops->has_z)};
  Tile t = {0};
  while (next_tile(p, DISTRIBUTION, a, &t, result)) {
    if (t.layout == LINE && a->out) backward_line(loops, p, a, &t);
    else if (t.layout == LINE) forward_line(loops, general, p, a, &t, &lines, result);
    else if (a->out) loops->slopes_of_rows(p, &t, (t.rows + LANES - 1) / LANES, a->scale);
    else result->loss += forward_rows(loops, general, p, a, &t, result);
    leave_tile(p, a, &t, result);
  }
  finish_lines(p, general, loops->has_z, a, &lines, result);
}

#endif
