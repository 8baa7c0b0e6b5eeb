/* Losses of independent labels. Of a score with the label y, and its target t = (1 - label_smoothing) y + label_smoothing / 2:
 *
 *   weight * ((1 - t) loss of the label 0 + pos_weight t loss of the label 1)
 */
enum { ALL_0, PLAIN, GENERAL }; /* labels that are all 0 and, like PLAIN, no option but a weight of the whole run */

/* Scores that follow each other in memory. */
typedef struct {
  const real *scores, *labels;
  const real *weights, *pos_weights; /* one a score, or null */
  real weight, pos_weight;           /* of all of them */
  real *slopes;
} Run;

FUNCTION Cost blended(int loss, int whole, int mode, real s, real t, real pos_weight, const Options *o) {
  Cost no = of_label_0(loss, s, o, whole);
  if (mode == ALL_0) return no;
  Cost yes = of_label_1(loss, s, o, whole);
  Cost cost = {(1 - t) * no.loss + (t != 0 ? pos_weight * t * yes.loss : 0),
               (1 - t) * no.slope + (t != 0 ? pos_weight * t * yes.slope : 0)};
  return cost;
}

/* The loss of n scores, a multiple of LANES; or, with `backward`, their slopes. From `end` on there is padding: scores that
 * lose nothing with the label 0. */
FUNCTION double piece(int loss, int whole, int mode, int backward, const Problem *p, Run run, int n, int end, Result *result) {
  const real *restrict scores = run.scores, *restrict labels = run.labels;
  real *restrict slopes = run.slopes;
  const Options o = p->options;
  const real keep = (real)(1 - p->label_smoothing), half = (real)(p->label_smoothing / 2), limit = (real)p->label_limit;
  const real ignore_label = (real)(p->index ? NEVER : p->ignore_label);
  const int ignores = p->ignores;
  double total = 0;
  unsigned_real highest = 0;
  int bad_score = 0, valid = 0;
#pragma omp simd reduction(+ : total, valid) reduction(max : highest) reduction(| : bad_score)
  for (int i = 0; i < n; ++i) {
    real s = scores[i], y = mode == ALL_0 ? 0 : labels[i];
    int ignored = mode == GENERAL && ignores && y == ignore_label, out = ignored || (mode == GENERAL && i >= end);
    real label = y > 1 ? 1 : y; /* by a rounding */
    real t = mode == GENERAL ? keep * label + half : label;
    real pos_weight = mode == GENERAL ? run.pos_weight * run.pos_weights[i] : 1;
    real weight = mode == GENERAL ? run.weights[i] : 1;
    Cost cost = blended(loss, whole, mode, s, t, pos_weight, &o);
    if (mode == GENERAL && (loss == FOCAL_UNANNOTATED || loss == ASYMMETRIC_UNANNOTATED)) {
      Cost unannotated = of_unannotated(loss, s, &o, whole);
      cost.loss = ignored ? unannotated.loss : cost.loss;
      cost.slope = ignored ? unannotated.slope : cost.slope;
      y = ignored ? 0 : y;
      out = i >= end;
    }
    if (backward) {
      slopes[i] = out ? 0 : run.weight * weight * cost.slope;
    } else {
      real loss_of_label = out ? 0 : cost.loss; /* not chosen in double: gcc 12 loses sums of such a choice */
      total += (double)weight * (double)loss_of_label;
      if (mode == GENERAL) valid += !out;
      unsigned_real order = order_of(out ? 0 : y);
      highest = order > highest ? order : highest;
      if (loss == ASYMMETRIC || loss == ASYMMETRIC_UNANNOTATED) bad_score |= !out & (s == (real)INFINITY);
      if (loss == BINARY) bad_score |= !out & !(s >= (real)-1e-4 && s <= (real)1.0001);
    }
  }
  if (!backward) {
    result->valid += mode == GENERAL ? valid : end;
    result->bad_label |= highest > order_of(limit);
    result->bad_score |= bad_score;
  }
  return total;
}

typedef double Piece(const Problem *, Run, int, int, Result *);

/* The pieces of each loss, compiled for each mode, and with gammas that are small whole numbers or not. */
#define PIECE(loss, whole, mode, backward)                                                                                \
  static double piece_##loss##_##whole##_##mode##_##backward(const Problem *p, Run run, int n, int end, Result *result) { \
    return piece(loss, whole, mode, backward, p, run, n, end, result);                                                    \
  }
#define PIECES_OF_MODE(loss, mode) \
  PIECE(loss, 0, mode, 0) PIECE(loss, 0, mode, 1) PIECE(loss, 1, mode, 0) PIECE(loss, 1, mode, 1)
#define PIECES(loss, ...) PIECES_OF_MODE(loss, ALL_0) PIECES_OF_MODE(loss, PLAIN) PIECES_OF_MODE(loss, GENERAL)
#define MODES_OF(loss, whole, backward) \
  {piece_##loss##_##whole##_ALL_0_##backward, piece_##loss##_##whole##_PLAIN_##backward, piece_##loss##_##whole##_GENERAL_##backward}
#define PIECES_OF(loss, ...) \
  {{MODES_OF(loss, 0, 0), MODES_OF(loss, 0, 1)}, {MODES_OF(loss, 1, 0), MODES_OF(loss, 1, 1)}},

INDEPENDENT_LOSSES(PIECES)

/* by loss, whether gammas are whole, backward and mode */
static Piece *const pieces[][2][2][3] = {INDEPENDENT_LOSSES(PIECES_OF)};

FUNCTION int small_and_whole(double gamma) { return gamma == 0 || (gamma <= 7 && gamma == (double)(int)gamma); }

static int any_positive(const real *labels, int n) {
  int positive = 0;
#pragma omp simd reduction(| : positive)
  for (int i = 0; i < n; ++i) positive |= labels[i] != 0;
  return positive;
}

static Run moved(Run run, int64_t by) {
  run.scores += by;
  run.labels += by;
  if (run.weights) run.weights += by;
  if (run.pos_weights) run.pos_weights += by;
  if (run.slopes) run.slopes += by;
  return run;
}

static void padded(const real *from, int n, real *to, real filling) {
  for (int i = 0; i < LANES; ++i) to[i] = from && i < n ? from[i] : filling;
}

/* The last n scores of a run, fewer than LANES. */
static double tail(Piece *of, const Problem *p, Run run, int n, Result *result) {
  real scores[LANES], labels[LANES], weights[LANES], pos_weights[LANES], slopes[LANES];
  padded(run.scores, n, scores, p->loss == BINARY ? 0 : (real)-INFINITY);
  padded(run.labels, n, labels, 0);
  padded(run.weights, n, weights, 1);
  padded(run.pos_weights, n, pos_weights, 1);
  Run whole = {scores, labels, weights, pos_weights, run.weight, run.pos_weight, slopes};
  double loss = of(p, whole, LANES, n, result);
  if (run.slopes) memcpy(run.slopes, slopes, n * sizeof(real));
  return loss;
}

static double of_run(const Problem *p, Run run, int64_t n, Result *result) {
  real ones[BLOCK];
  const Options *o = &p->options;
  int whole = small_and_whole(o->gamma_pos) && small_and_whole(o->gamma_neg) && small_and_whole(o->gamma_unannotated);
  int backward = run.slopes != 0;
  double loss = 0;
  int unweighted = p->general && !run.weights, unweighted_positives = p->general && !run.pos_weights;
  if (unweighted || unweighted_positives)
    for (int i = 0; i < BLOCK; ++i) ones[i] = 1;
  for (int64_t start = 0; start < n; start += BLOCK) {
    Run block = moved(run, start);
    int size = n - start < BLOCK ? (int)(n - start) : BLOCK, most = size / LANES * LANES;
    PREFETCH(block.scores + AHEAD, size, 0);
    PREFETCH(block.labels + AHEAD, size, 0);
    if (backward) PREFETCH(block.slopes + AHEAD, size, 1);
    if (unweighted) block.weights = ones;
    if (unweighted_positives) block.pos_weights = ones;
    int mode = p->general ? GENERAL : p->loss == CROSS_ENTROPY || any_positive(block.labels, size) ? PLAIN : ALL_0;
    Piece *of = pieces[p->loss][whole][backward][mode];
    if (most) loss += of(p, block, most, most, result);
    if (size > most) loss += tail(of, p, moved(block, most), size - most, result);
  }
  return loss;
}

/* All scores: their loss, or with `out` top_diff times the gradient. */
static void independent(const Problem *p, const real *scores, const real *labels, const real *weights, double scale,
                        real *out, Result *result) {
  const int64_t inner = p->inner, most = p->index ? p->lanes : inner;
  if (!p->general && !p->index && !weights) {
    Run all = {scores, labels, 0, 0, (real)scale, 1, out};
    result->loss = of_run(p, all, p->outer * p->classes * inner, result);
    return;
  }
  for (int64_t o = 0; o < p->outer; ++o)
    for (int64_t at = 0; at < inner; at += most) {
      int lanes = (int)(inner - at < most ? inner - at : most);
      Tile tile = tile_at(p, o, at, lanes, scores, labels, result);
      const real *w = weights ? weights + tile.row : 0;
      for (int64_t c = 0; c < (inner == 1 ? 1 : p->classes); ++c) {
        /* a run is a row with its classes, or a class of neighbouring rows */
        real weight = inner == 1 ? (w ? *w : 1) : p->class_weight ? p->class_weight[c] : 1;
        Run run = {tile.scores + c * inner, tile.labels + c * tile.label_step, w, 0, (real)(scale * weight),
                   p->pos_weight ? p->pos_weight[c] : 1, out ? out + tile.first + c * inner : 0};
        if (inner == 1) {
          run.weights = p->class_weight;
          run.pos_weights = p->pos_weight;
          run.pos_weight = 1;
        }
        result->loss += weight * of_run(p, run, inner == 1 ? p->classes : lanes, result);
      }
      leave(p, tile);
    }
}
