/* Losses of sums of exponentials, over the classes of each row and, TwoWayLoss, over the rows of each class, too:
 *
 *   n = T_neg log sum e^(s / T_neg) over the labels 0        p = T_pos log sum e^(-s / T_pos) over the labels 1
 *
 * Such a row or class is a group. Its scores are read three times: for both maxima, for both sums, for the slopes.
 * Scores that follow each other in memory are a line. They are of one group, or of one each, or both. A group that is
 * all of some lines may have sums before it has its last maximum: a higher one scales them.
 */
typedef struct {
  real *max_neg, *max_pos, *slope_neg, *slope_pos; /* slopes: of the loss in n and p, by the sum */
  double *sum_neg, *sum_pos;
} Groups;

#define EMPTY (-LARGEST_REAL)       /* the maximum of no scores */
#define LOWEST (-LARGEST_REAL / 2)  /* that of scores which are all -infinity */

/* Rows first, then classes. Beyond each, there is room for the padding of a line that begins anywhere. */
static int64_t padded_size(int64_t n) { return (n + 2 * LANES - 2) / LANES * LANES; }

FUNCTION Groups groups_from(const Problem *p, int64_t first) {
  int64_t all = padded_size(p->outer * p->inner) + (p->loss == TWO_WAY ? padded_size(p->classes) : 0);
  real *number = p->row + first;
  Groups g = {number, number + all, number + 2 * all, number + 3 * all, p->sums + first, p->sums + all + first};
  return g;
}

/* One line. `end`: where its padding begins; each: of which group each score is; one: of which all are; or null. */
typedef struct {
  const real *scores, *labels;
  real *slopes;
  int n, end;
  const Groups *each, *one;
} Line;

enum { MAXIMA, SUMS, SLOPES };

FUNCTION real at_least(real a, real b) { return a > b ? a : b; }

FUNCTION void raise_maximum(real *maximum, double *sum, real to, double temperature) {
  if (to <= *maximum) return;
  if (*sum) *sum *= exp(((double)*maximum - (double)to) / temperature);
  *maximum = to;
}

FUNCTION void maxima(const Problem *p, Line line, int with_each, int with_one, Result *result) {
  const real ignore_label = (real)(p->index ? NEVER : p->ignore_label), limit = (real)p->label_limit, lower = 2 - limit;
  const int ignores = p->ignores;
  real one_neg = EMPTY, one_pos = EMPTY, *restrict each_neg = with_each ? line.each->max_neg : 0;
  real *restrict each_pos = with_each ? line.each->max_pos : 0;
  int bad_label = 0;
#pragma omp simd reduction(max : one_neg, one_pos) reduction(| : bad_label)
  for (int i = 0; i < line.n; ++i) {
    real s = line.scores[i], y = line.labels[i];
    int out = i >= line.end || (ignores && y == ignore_label);
    real neg = out || y != 0 ? EMPTY : at_least(LOWEST, s), pos = out || y == 0 ? EMPTY : at_least(LOWEST, -s);
    bad_label |= !out & (y != 0) & !(y >= lower && y <= limit);
    if (with_one) {
      one_neg = neg > one_neg ? neg : one_neg;
      one_pos = pos > one_pos ? pos : one_pos;
    }
    if (with_each) {
      each_neg[i] = at_least(each_neg[i], neg);
      each_pos[i] = at_least(each_pos[i], pos);
    }
  }
  result->bad_label |= bad_label;
  if (with_one) {
    raise_maximum(line.one->max_neg, line.one->sum_neg, one_neg, p->options.temperature_neg);
    raise_maximum(line.one->max_pos, line.one->sum_pos, one_pos, p->options.temperature_pos);
  }
}

/* e^((s - max) / T) of a score in its group's sum */
FUNCTION real share_of(real s, int positive, real max_neg, real max_pos, real by_neg, real by_pos) {
  return exponential(positive ? (-s - max_pos) * by_pos : (s - max_neg) * by_neg);
}

FUNCTION void sums(const Problem *p, Line line, int with_each, int with_one) {
  const real ignore_label = (real)(p->index ? NEVER : p->ignore_label);
  const real by_neg = (real)(1 / p->options.temperature_neg), by_pos = (real)(1 / p->options.temperature_pos);
  const int ignores = p->ignores;
  const real max_neg = with_one ? *line.one->max_neg : 0, max_pos = with_one ? *line.one->max_pos : 0;
  double sum_neg = 0, sum_pos = 0, *restrict each_neg = with_each ? line.each->sum_neg : 0;
  double *restrict each_pos = with_each ? line.each->sum_pos : 0;
  const real *restrict maxima_neg = with_each ? line.each->max_neg : 0, *restrict maxima_pos = with_each ? line.each->max_pos : 0;
#pragma omp simd reduction(+ : sum_neg, sum_pos)
  for (int i = 0; i < line.n; ++i) {
    real s = line.scores[i], y = line.labels[i];
    int out = i >= line.end || (ignores && y == ignore_label), positive = y != 0;
    if (with_one) {
      real e = share_of(s, positive, max_neg, max_pos, by_neg, by_pos);
      real neg = out || positive ? 0 : e, pos = out || !positive ? 0 : e;
      sum_neg += (double)neg;
      sum_pos += (double)pos;
    }
    if (with_each) {
      real e = share_of(s, positive, maxima_neg[i], maxima_pos[i], by_neg, by_pos);
      real neg = out || positive ? 0 : e, pos = out || !positive ? 0 : e;
      each_neg[i] += (double)neg;
      each_pos[i] += (double)pos;
    }
  }
  if (with_one) {
    *line.one->sum_neg += sum_neg;
    *line.one->sum_pos += sum_pos;
  }
}

FUNCTION void slopes(const Problem *p, Line line, int with_each, int with_one, real scale_each, real scale_one) {
  const real ignore_label = (real)(p->index ? NEVER : p->ignore_label);
  const real by_neg = (real)(1 / p->options.temperature_neg), by_pos = (real)(1 / p->options.temperature_pos);
  const int ignores = p->ignores;
  const Groups none = {0, 0, 0, 0, 0, 0}, each = with_each ? *line.each : none;
  const real max_neg = with_one ? *line.one->max_neg : 0, max_pos = with_one ? *line.one->max_pos : 0;
  const real slope_neg = with_one ? scale_one * *line.one->slope_neg : 0, slope_pos = with_one ? scale_one * *line.one->slope_pos : 0;
  real *restrict to = line.slopes;
#pragma omp simd
  for (int i = 0; i < line.n; ++i) {
    real s = line.scores[i], y = line.labels[i], slope = 0;
    int out = ignores && y == ignore_label, positive = y != 0;
    if (with_one)
      slope += (positive ? -slope_pos : slope_neg) * share_of(s, positive, max_neg, max_pos, by_neg, by_pos);
    if (with_each)
      slope += scale_each * (positive ? -each.slope_pos[i] : each.slope_neg[i]) *
               share_of(s, positive, each.max_neg[i], each.max_pos[i], by_neg, by_pos);
    to[i] = out ? 0 : slope;
  }
}

typedef struct {
  const Problem *p;
  int first_step, last_step; /* of MAXIMA, SUMS, SLOPES */
  real scale_each, scale_one;
  Result *result;
} Pass;

FUNCTION void step_of(Pass pass, int step, Line line, int with_each, int with_one) {
  if (step == MAXIMA) maxima(pass.p, line, with_each, with_one, pass.result);
  if (step == SUMS) sums(pass.p, line, with_each, with_one);
  if (step == SLOPES) slopes(pass.p, line, with_each, with_one, pass.scale_each, pass.scale_one);
}

FUNCTION Groups groups_after(Groups g, int64_t by) {
  Groups next = {g.max_neg + by, g.max_pos + by, g.slope_neg + by, g.slope_pos + by, g.sum_neg + by, g.sum_pos + by};
  return next;
}

/* A line of n scores: the last ones, fewer than LANES, are padded, so that each score meets the same code. */
FUNCTION void of_line(Pass pass, int step, Line line, int with_each, int with_one) {
  int most = line.n / LANES * LANES, left = line.n - most;
  real scores[LANES], labels[LANES], to[LANES];
  Groups last = with_each ? groups_after(*line.each, most) : *line.one;
  Line whole = {line.scores, line.labels, line.slopes, most, most, line.each, line.one};
  Line rest = {scores, labels, to, LANES, left, &last, line.one};
  if (most) step_of(pass, step, whole, with_each, with_one);
  if (!left) return;
  padded(line.scores + most, left, scores, 0);
  padded(line.labels + most, left, labels, 0);
  step_of(pass, step, rest, with_each, with_one);
  if (step == SLOPES) memcpy(line.slopes + most, to, left * sizeof(real));
}

static void line_with(Pass pass, int step, Line line) {
  if (line.each && line.one) of_line(pass, step, line, 1, 1);
  else if (line.each) of_line(pass, step, line, 1, 0);
  else of_line(pass, step, line, 0, 1);
}

/* A row with its classes or, where the classes are apart, each class of neighbouring rows. */
static void tile_with(Pass pass, int step, Tile tile, real *out) {
  const Problem *p = pass.p;
  const int of_classes = p->loss == TWO_WAY;
  Groups rows = groups_from(p, tile.row), classes = groups_from(p, padded_size(p->outer * p->inner));
  if (p->inner == 1) {
    Line line = {tile.scores, tile.labels, out, (int)p->classes, 0, of_classes ? &classes : 0, &rows};
    line_with(pass, step, line);
    return;
  }
  for (int64_t c = 0; c < p->classes; ++c) {
    Groups one = groups_after(classes, of_classes ? c : 0);
    Line line = {tile.scores + c * p->inner, tile.labels + c * tile.label_step, out ? out + c * p->inner : 0,
                 tile.lanes, 0, &rows, of_classes ? &one : 0};
    line_with(pass, step, line);
  }
}

static void pass_over(Pass pass, const real *scores, const real *labels, real *out) {
  const Problem *p = pass.p;
  const int64_t most = out ? p->wide : p->lanes;
  for (int64_t o = 0; o < p->outer; ++o)
    for (int64_t at = 0, lanes; at < p->inner; at += lanes) {
      lanes = p->inner - at < most ? p->inner - at : most;
      Tile tile = tile_at(p, o, at, (int)lanes, scores, labels, pass.result);
      for (int step = pass.first_step; step <= pass.last_step; ++step) tile_with(pass, step, tile, out ? out + tile.first : 0);
      leave(p, tile);
    }
}

/* T log of a sum of e^((s - max) / T): 1 or more, or 0, or NaN. */
FUNCTION real log_of_sum(double sum, real temperature) {
  real some = (real)sum;
  return temperature * logarithm(some) - (some == 0 ? (real)INFINITY : 0);
}

/* The summed loss of n groups, and how many of them count: those with a positive label or, ZLPRLoss, with any. */
FUNCTION double finish_groups(int loss, int weighted, const Problem *p, Groups g, int64_t n, const real *weights, int64_t *valid) {
  const real temperature_neg = (real)p->options.temperature_neg, temperature_pos = (real)p->options.temperature_pos;
  double total = 0;
  int64_t count = 0;
#pragma omp simd reduction(+ : total, count)
  for (int64_t i = 0; i < n; ++i) {
    double neg = (double)g.max_neg[i] + (double)log_of_sum(g.sum_neg[i], temperature_neg);
    double pos = (double)g.max_pos[i] + (double)log_of_sum(g.sum_pos[i], temperature_pos);
    CostOfSums cost = of_sums(loss, neg, pos);
    real weight = weighted ? weights[i] : 1, sum_neg = (real)g.sum_neg[i], sum_pos = (real)g.sum_pos[i];
    total += (double)weight * (double)cost.loss;
    g.slope_neg[i] = weight * cost.slope_neg / (sum_neg > 1 ? sum_neg : 1); /* no sum is between 0 and 1 */
    g.slope_pos[i] = weight * cost.slope_pos / (sum_pos > 1 ? sum_pos : 1);
    count += g.max_pos[i] != EMPTY || (loss == ZLPR && g.max_neg[i] != EMPTY);
  }
  *valid += count;
  return total;
}

static void log_sum_exp(const Problem *p, const real *scores, const real *labels, const real *weights, double scale, real *out,
                        Result *result) {
  const int64_t rows = p->outer * p->inner, all = padded_size(rows) + (p->loss == TWO_WAY ? padded_size(p->classes) : 0);
  const int of_rows = p->inner == 1; /* what a line's `one` is */
  real scale_rows = (real)(scale * p->row_share), scale_classes = (real)(scale * p->class_share);
  Pass pass = {p, SLOPES, SLOPES, of_rows ? scale_classes : scale_rows, of_rows ? scale_rows : scale_classes, result};
  if (out) {
    pass_over(pass, scores, labels, out);
    return;
  }
  Groups groups = groups_from(p, 0);
  for (int64_t i = 0; i < 2 * all; ++i) groups.max_neg[i] = EMPTY; /* and max_pos */
  memset(p->sums, 0, (size_t)(2 * all) * sizeof(double));
  int twice = p->loss == TWO_WAY && p->inner == 1; /* a class is not all of a line */
  pass.first_step = MAXIMA;
  pass.last_step = twice ? MAXIMA : SUMS;
  pass_over(pass, scores, labels, 0);
  if (twice) {
    pass.first_step = pass.last_step = SUMS;
    pass_over(pass, scores, labels, 0);
  }
  if (p->loss == TWO_WAY) {
    result->loss = finish_groups(TWO_WAY, 0, p, groups, rows, 0, &result->valid);
    result->loss_of_classes = finish_groups(TWO_WAY, 0, p, groups_from(p, padded_size(rows)), p->classes, 0, &result->valid_classes);
  } else {
    result->loss = weights ? finish_groups(ZLPR, 1, p, groups, rows, weights, &result->valid)
                           : finish_groups(ZLPR, 0, p, groups, rows, 0, &result->valid);
  }
}
