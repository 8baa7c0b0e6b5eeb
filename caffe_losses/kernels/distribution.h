/* Losses of a distribution. A row's labels y give its targets, in units of what label_scale divides by:
 *
 *   t = class_weight ((1 - label_smoothing) y + uniform)        uniform = label_smoothing scale / C
 *
 * Kept for backward are, of each row, the largest score, W / Z, the share weight / scale of the row and, in general,
 * uniform. They stand apart: log Z and the largest score in one number would cost digits.
 */
enum { LARGEST, RATIO, SHARE, UNIFORM };

/* Sums over the classes of a row, or of each of LANES rows; x is s - max s or log p. */
typedef struct {
  double z, y, weighted_y, weight, weighted_yx, weighted_x;
  int64_t positive, kept;
} Sums;

/* The loss of a row, and its numbers. */
FUNCTION double finish(int general, const Problem *p, Sums sums, real largest, real weight, real *number, int64_t step, Result *result) {
  double scale = p->count ? (double)sums.positive : p->sum ? sums.y : 1, keep = 1 - p->label_smoothing;
  double uniform = p->label_smoothing && sums.positive ? p->label_smoothing * scale / (double)sums.kept : 0;
  double w = keep * sums.weighted_y + uniform * sums.weight;
  double wx = keep * sums.weighted_yx + (uniform ? uniform * sums.weighted_x : 0);
  real share = sums.positive ? (real)(weight / scale) : 0;
  number[LARGEST * step] = largest;
  number[RATIO * step] = (real)w / (real)sums.z;
  number[SHARE * step] = share;
  if (general) number[UNIFORM * step] = (real)uniform;
  if (!sums.kept) return 0;
  result->valid += 1;
  return share * (w * (double)log1p_any((real)(sums.z - 1)) - wx);
}

/* What a class adds to the sums of its row. Nothing is chosen in double: gcc 12 loses sums of such a choice. */
FUNCTION void add(int loss, int general, int out, real s, real y, real weight, real largest, double *z, double *sum_y,
                  double *weighted_y, double *weights, double *weighted_yx, double *weighted_x, int *positive, int *kept) {
  real x = log_of(loss, s, largest);
  real label = out ? 0 : y, x_of_positive = label == 0 || (general && weight == 0) ? 0 : x;
  if (loss == SOFTMAX) {
    real e = out ? 0 : exponential(x);
    *z += (double)e;
  }
  *positive += label != 0;
  *sum_y += (double)label;
  if (!general) {
    *weighted_yx += (double)(label * x_of_positive);
    return;
  }
  real weight_of_kept = out ? 0 : weight, x_of_weighted = weight_of_kept == 0 ? 0 : x;
  *kept += !out;
  *weights += (double)weight_of_kept;
  *weighted_y += (double)weight * (double)label;
  *weighted_yx += (double)weight * (double)label * (double)x_of_positive;
  *weighted_x += (double)weight * (double)x_of_weighted;
}

FUNCTION int is_probability(real s) { return s >= (real)-1e-4 && s <= (real)1.0001; }

/* One row, its classes in a line: n of them, a multiple of LANES, of which the last may be padding */

FUNCTION real largest_of(int general, const Problem *p, const real *scores, const real *labels, int n, int end, real largest) {
  const real ignore_label = (real)(p->index ? NEVER : p->ignore_label);
  const int ignores = p->ignores;
#pragma omp simd reduction(max : largest)
  for (int c = 0; c < n; ++c) {
    int out = general && (c >= end || (ignores && labels[c] == ignore_label));
    largest = !out && scores[c] > largest ? scores[c] : largest;
  }
  return largest;
}

FUNCTION void add_line(int loss, int general, const Problem *p, const real *scores, const real *labels, const real *weights,
                       int n, int end, real largest, Sums *sums, Result *result) {
  const real ignore_label = (real)(p->index ? NEVER : p->ignore_label), limit = (real)p->label_limit;
  const int ignores = p->ignores;
  double z = 0, sum_y = 0, weighted_y = 0, all_weights = 0, weighted_yx = 0, weighted_x = 0;
  unsigned_real highest = 0;
  int positive = 0, kept = 0, bad_score = 0;
#pragma omp simd reduction(+ : z, sum_y, weighted_y, all_weights, weighted_yx, weighted_x, positive, kept) \
    reduction(max : highest) reduction(| : bad_score)
  for (int c = 0; c < n; ++c) {
    real s = scores[c], y = labels[c];
    int out = general && (c >= end || (ignores && y == ignore_label));
    unsigned_real order = order_of(out ? 0 : y);
    highest = order > highest ? order : highest;
    if (loss == LOGISTIC) bad_score |= (general ? !out : c < end) & !is_probability(s);
    add(loss, general, out, s, y, general ? weights[c] : 1, largest, &z, &sum_y, &weighted_y, &all_weights, &weighted_yx,
        &weighted_x, &positive, &kept);
  }
  sums->z += z;
  sums->y += sum_y;
  sums->weighted_y += general ? weighted_y : sum_y;
  sums->weight += all_weights;
  sums->weighted_yx += weighted_yx;
  sums->weighted_x += weighted_x;
  sums->positive += positive;
  sums->kept += general ? kept : end < n ? end : n;
  result->bad_label |= highest > order_of(limit);
  result->bad_score |= bad_score;
}

FUNCTION void slope_line(int loss, int general, const Problem *p, const real *scores, const real *labels, const real *weights,
                         int n, const real *number, int64_t rows, real share, real *restrict slopes) {
  const real ignore_label = (real)(p->index ? NEVER : p->ignore_label), keep = (real)(1 - p->label_smoothing);
  const real largest = number[LARGEST], ratio = number[RATIO * rows], uniform = general ? number[UNIFORM * rows] : 0;
  const int ignores = p->ignores;
#pragma omp simd
  for (int c = 0; c < n; ++c) {
    real y = labels[c], t = general ? weights[c] * (keep * y + uniform) : y;
    real of_score = share * slope_of(loss, scores[c], largest, ratio, t);
    slopes[c] = general && ignores && y == ignore_label ? 0 : of_score;
  }
}

/* What is left of a row of n classes when its LANES are used up, padded: with the smallest score and the label 0. */
typedef struct {
  real scores[LANES], labels[LANES], weights[LANES];
} Rest;

static Rest rest_of(const real *scores, const real *labels, const real *weights, int n) {
  Rest rest;
  padded(scores, n, rest.scores, (real)-INFINITY);
  padded(labels, n, rest.labels, 0);
  padded(weights, n, rest.weights, 1);
  return rest;
}

FUNCTION double forward_row(int loss, int general, const Problem *p, const real *scores, const real *labels, real weight,
                            real *number, int64_t rows, Result *result) {
  int n = (int)p->classes, most = n / LANES * LANES;
  const real *weights = general ? p->class_weight : labels; /* any numbers, where they are not used */
  Rest rest = rest_of(scores + most, labels + most, weights + most, n - most);
  real largest = (real)-INFINITY;
  Sums sums = {loss == LOGISTIC, 0, 0, 0, 0, 0, 0, 0};
  for (int at = 0; loss == SOFTMAX && at < n; at += at < most ? most : LANES) {
    int whole = at < most;
    largest = largest_of(general, p, whole ? scores : rest.scores, whole ? labels : rest.labels, whole ? most : LANES,
                         n - at, largest);
  }
  for (int at = 0; at < n; at += BLOCK < most - at || at >= most ? BLOCK : most - at) {
    int whole = at < most, size = !whole ? LANES : most - at < BLOCK ? most - at : BLOCK;
    PREFETCH(scores + n + at, size, 0); /* of the next row, whose largest score is wanted next */
    PREFETCH(labels + at + AHEAD, size, 0);
    add_line(loss, general, p, whole ? scores + at : rest.scores, whole ? labels + at : rest.labels,
             whole ? weights + at : rest.weights, size, n - at, largest, &sums, result);
  }
  return finish(general, p, sums, largest, weight, number, rows, result);
}

FUNCTION void backward_row(int loss, int general, const Problem *p, const real *scores, const real *labels, const real *number,
                           int64_t rows, real scale, real *out) {
  int n = (int)p->classes, most = n / LANES * LANES;
  real share = number[SHARE * rows] * scale, slopes[LANES];
  if (share == 0) {
    memset(out, 0, n * sizeof(real));
    return;
  }
  for (int at = 0; at < most; at += BLOCK) {
    int size = most - at < BLOCK ? most - at : BLOCK;
    PREFETCH(scores + at + AHEAD, size, 0);
    PREFETCH(labels + at + AHEAD, size, 0);
    PREFETCH(out + at + AHEAD, size, 1);
    slope_line(loss, general, p, scores + at, labels + at, p->class_weight + (general ? at : 0), size, number, rows, share,
               out + at);
  }
  if (most == n) return;
  Rest rest = rest_of(scores + most, labels + most, general ? p->class_weight + most : 0, n - most);
  slope_line(loss, general, p, rest.scores, rest.labels, rest.weights, LANES, number, rows, share, slopes);
  memcpy(out + most, slopes, (n - most) * sizeof(real));
}

/* n rows side by side, a multiple of LANES, whose classes are `step` apart; the first `done` of them are counted already */

FUNCTION double forward_rows(int loss, int general, const Problem *p, const real *scores, const real *labels, int64_t label_step,
                             const real *weights, int n, int done, real *number, int64_t rows, Result *result) {
  const real ignore_label = (real)(p->index ? NEVER : p->ignore_label), limit = (real)p->label_limit;
  const int ignores = p->ignores;
  real largest[WIDE];
  unsigned_real highest[WIDE];
  double z[WIDE], sum_y[WIDE], weighted_y[WIDE], all_weights[WIDE], weighted_yx[WIDE], weighted_x[WIDE];
  int positive[WIDE], kept[WIDE], bad_score[WIDE];
  for (int i = 0; i < n; ++i) {
    largest[i] = (real)-INFINITY;
    z[i] = loss == LOGISTIC;
    highest[i] = 0;
    sum_y[i] = weighted_y[i] = all_weights[i] = weighted_yx[i] = weighted_x[i] = 0;
    positive[i] = kept[i] = bad_score[i] = 0;
  }
  if (loss == SOFTMAX)
    for (int64_t c = 0; c < p->classes; ++c) {
      const real *s = scores + c * p->inner, *y = labels + c * label_step;
#pragma omp simd
      for (int i = 0; i < n; ++i) {
        int out = general && ignores && y[i] == ignore_label;
        largest[i] = !out && s[i] > largest[i] ? s[i] : largest[i];
      }
    }
  for (int64_t c = 0; c < p->classes; ++c) {
    const real *s = scores + c * p->inner, *y = labels + c * label_step;
    real weight = general ? p->class_weight[c] : 1;
    PREFETCH(s + n, n, 0); /* of the next rows */
    PREFETCH(y + n, n, 0);
#pragma omp simd
    for (int i = 0; i < n; ++i) {
      int out = general && ignores && y[i] == ignore_label;
      unsigned_real order = order_of(out ? 0 : y[i]);
      highest[i] = order > highest[i] ? order : highest[i];
      if (loss == LOGISTIC) bad_score[i] |= !out & !is_probability(s[i]);
      add(loss, general, out, s[i], y[i], weight, largest[i], z + i, sum_y + i, weighted_y + i, all_weights + i,
          weighted_yx + i, weighted_x + i, positive + i, kept + i);
    }
  }
  double loss_of_rows = 0;
  for (int i = done; i < n; ++i) {
    result->bad_label |= highest[i] > order_of(limit);
    result->bad_score |= bad_score[i];
    Sums sums = {z[i], sum_y[i], general ? weighted_y[i] : sum_y[i], all_weights[i], weighted_yx[i], weighted_x[i],
                 positive[i], general ? kept[i] : p->classes};
    loss_of_rows += finish(general, p, sums, largest[i], weights ? weights[i] : 1, number + i, rows, result);
  }
  return loss_of_rows;
}

FUNCTION void backward_rows(int loss, int general, const Problem *p, const real *scores, const real *labels, int64_t label_step,
                            int n, const real *number, int64_t rows, real scale, real *out) {
  const real ignore_label = (real)(p->index ? NEVER : p->ignore_label), keep = (real)(1 - p->label_smoothing);
  const int ignores = p->ignores;
  const real *largest = number + LARGEST * rows, *ratio = number + RATIO * rows, *uniform = general ? number + UNIFORM * rows : 0;
  real share[WIDEST];
  for (int i = 0; i < n; ++i) share[i] = scale * number[SHARE * rows + i];
  for (int64_t c = 0; c < p->classes; ++c) {
    const real *s = scores + c * p->inner, *y = labels + c * label_step;
    real *restrict slopes = out + c * p->inner, weight = general ? p->class_weight[c] : 1;
    PREFETCH(s + n, n, 0);
    PREFETCH(y + n, n, 0);
    PREFETCH(slopes + n, n, 1);
#pragma omp simd
    for (int i = 0; i < n; ++i) {
      real t = general ? weight * (keep * y[i] + uniform[i]) : y[i];
      int zero = share[i] == 0 || (general && ignores && y[i] == ignore_label);
      real of_score = share[i] * slope_of(loss, s[i], largest[i], ratio[i], t);
      slopes[i] = zero ? 0 : of_score;
    }
  }
}

/* All rows */

typedef struct {
  const real *weights; /* one a row, or null */
  real *out;           /* null in forward */
  real scale;
  int64_t rows;
  Result *result;
} Call;

FUNCTION void side_by_side(int loss, int general, const Problem *p, Tile tile, int done, Call call) {
  real *number = p->row + tile.row;
  if (call.out)
    backward_rows(loss, general, p, tile.scores, tile.labels, tile.label_step, tile.lanes, number, call.rows, call.scale,
                  call.out + tile.first);
  else
    call.result->loss += forward_rows(loss, general, p, tile.scores, tile.labels, tile.label_step,
                                      call.weights ? call.weights + tile.row : 0, tile.lanes, done, number, call.rows, call.result);
}

FUNCTION void in_line(int loss, int general, const Problem *p, Tile tile, Call call) {
  real *number = p->row + tile.row;
  if (call.out) backward_row(loss, general, p, tile.scores, tile.labels, number, call.rows, call.scale, call.out + tile.first);
  else
    call.result->loss += forward_row(loss, general, p, tile.scores, tile.labels, call.weights ? call.weights[tile.row] : 1,
                                     number, call.rows, call.result);
}

static const real *line_of(const real *from, int64_t classes, int64_t step, real *line) {
  for (int64_t c = 0; c < classes; ++c) line[c] = from[c * step];
  return line;
}

/* A row whose classes are a few numbers apart, too few for LANES rows side by side: as a line, and back. */
FUNCTION void apart(int loss, int general, const Problem *p, Tile tile, Call call) {
  const int64_t classes = p->classes, step = p->inner;
  real *lines = p->scratch + (classes + 1) * step, *out = call.out ? call.out + tile.first : 0;
  tile.scores = line_of(tile.scores, classes, step, lines);
  if (!p->index) tile.labels = line_of(tile.labels, classes, step, lines + classes);
  if (out) call.out = lines + 2 * classes - tile.first;
  in_line(loss, general, p, tile, call);
  for (int64_t c = 0; out && c < classes; ++c) out[c * step] = lines[2 * classes + c];
}

FUNCTION void distribution_of(int loss, int general, const Problem *p, const real *scores, const real *labels,
                              const real *weights, double scale, real *out, Result *result) {
  const int64_t inner = p->inner;
  const Call call = {weights, out, (real)scale, p->outer * inner, result};
  const int most = inner < LANES ? 1 : out ? p->wide : p->lanes;
  for (int64_t o = 0; o < p->outer; ++o)
    for (int64_t at = 0, lanes; at < inner; at += lanes) {
      lanes = inner - at >= most ? most : LANES;
      int64_t start = at + lanes <= inner ? at : inner - lanes; /* the last LANES rows, though some may be done already */
      Tile tile = tile_at(p, o, start, (int)lanes, scores, labels, result);
      if (lanes > 1) side_by_side(loss, general, p, tile, (int)(at - start), call);
      else if (inner == 1) in_line(loss, general, p, tile, call);
      else apart(loss, general, p, tile, call);
      leave(p, tile);
    }
}

static void distribution(const Problem *p, const real *scores, const real *labels, const real *weights, double scale, real *out,
                         Result *result) {
  switch (2 * (p->loss == LOGISTIC) + (p->general != 0)) {
    case 0: distribution_of(SOFTMAX, 0, p, scores, labels, weights, scale, out, result); break;
    case 1: distribution_of(SOFTMAX, 1, p, scores, labels, weights, scale, out, result); break;
    case 2: distribution_of(LOGISTIC, 0, p, scores, labels, weights, scale, out, result); break;
    default: distribution_of(LOGISTIC, 1, p, scores, labels, weights, scale, out, result);
  }
}
