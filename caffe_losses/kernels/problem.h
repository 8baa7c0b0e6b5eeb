/* What a loss is computed from, and the labels of a row, whatever their format.
 *
 * Arrays are seen as (outer, classes, inner): the axes before that of the classes, the classes, and the axes after it.
 */
#include "losses.h"

#define LANES 16 /* what is computed at once; arrays that are shorter are padded, so that each score meets the same code */
#define BLOCK 256
#define AHEAD 256 /* so many scores ahead of need */
#define WIDE 256  /* at most so many rows side by side in forward, and in backward */
#define WIDEST 2048
#define NEVER (-2.0)

typedef struct {
  int64_t outer, classes, inner, slots; /* slots: the labels of a row; the classes, or K class indices */
  int32_t loss, index, count, sum;      /* index: the label format; count, sum: what label_scale divides by */
  int32_t lanes, wide;                  /* neighbouring rows that are handled at once, in forward and in backward */
  int32_t ignores, general;             /* general: an option is in use that the plain loops do without */
  double ignore_label, label_limit, label_smoothing;
  double row_share, class_share; /* what log_sum_exp.h multiplies slopes by, of rows and of classes */
  Options options;
  const real *class_weight, *pos_weight; /* one a class, or null */
  real *row;                             /* numbers kept for backward: see distribution.h and log_sum_exp.h */
  double *sums;                          /* see log_sum_exp.h */
  real *scratch;                         /* see the binding; zeros between calls, where it has labels */
} Problem;

typedef struct {
  double loss;
  int64_t valid;                  /* rows or, of independent labels, scores that are not ignored */
  double loss_of_classes;         /* see log_sum_exp.h; and how many of them count */
  int64_t valid_classes;
  int32_t bad_label, bad_score;
} Result;

/* Whether a label is one of the classes; else it is padding, ignored or wrong. */
FUNCTION int is_class(const Problem *p, real label) {
  return (label >= 0) & (label < (real)p->classes) & !((p->ignores != 0) & (label == (real)p->ignore_label));
}

/* The classes of one index of each of `lanes` rows; `classes` for what is none: it is counted there, without a branch. */
static void classes_of(const Problem *p, const real *labels, int lanes, int32_t *classes, Result *result) {
  const Problem local = *p;
  const real none = (real)p->classes, allowed = p->ignores ? (real)p->ignore_label : -1;
  int bad_label = 0;
#pragma omp simd reduction(| : bad_label)
  for (int i = 0; i < lanes; ++i) {
    real label = labels[i];
    int known = is_class(&local, label);
    real label_or_none = known ? label : none;
    int32_t c = (int32_t)label_or_none;
    classes[i] = c;
    bad_label |= (!known & (label != -1) & (label != allowed)) | (label_or_none != (real)c);
  }
  result->bad_label |= bad_label;
}

/* Labels of `lanes` neighbouring rows from their class indices: how often each class is given, at to[class * lanes].
 * A row of nothing but ignored indices gets the label NEVER for each class: it is ignored whole. */
static void read_indices(const Problem *p, const real *labels, int64_t step, int lanes, real *to, Result *result) {
  int32_t classes[WIDEST];
  for (int64_t k = 0; k < p->slots; ++k) {
    classes_of(p, labels + k * step, lanes, classes, result);
    for (int i = 0; i < lanes; ++i) to[(int64_t)classes[i] * lanes + i] += 1;
  }
  for (int i = 0; p->ignores && i < lanes; ++i) {
    int positive = 0, ignored = 0;
    for (int64_t k = 0; k < p->slots; ++k) {
      positive |= is_class(p, labels[k * step + i]);
      ignored |= labels[k * step + i] == (real)p->ignore_label;
    }
    if (ignored && !positive)
      for (int64_t c = 0; c < p->classes; ++c) to[c * lanes + i] = (real)NEVER;
  }
}

static void forget_indices(const Problem *p, const real *labels, int64_t step, int lanes, real *to) {
  if (p->slots * 8 > p->classes) {
    memset(to, 0, (size_t)((p->classes + 1) * lanes) * sizeof(real));
    return;
  }
  for (int i = 0; p->ignores && i < lanes; ++i)
    if (to[i] == (real)NEVER)
      for (int64_t c = 0; c < p->classes; ++c) to[c * lanes + i] = 0;
  for (int64_t k = 0; k < p->slots; ++k)
    for (int i = 0; i < lanes; ++i)
      if (is_class(p, labels[k * step + i])) to[(int64_t)labels[k * step + i] * lanes + i] = 0;
  for (int i = 0; i < lanes; ++i) to[p->classes * lanes + i] = 0;
}

/* Neighbouring rows, with their labels as one number a class, whatever their format. */
typedef struct {
  const real *scores, *labels, *indices;
  int64_t first, row, label_step; /* where the scores and the rows begin; from a class's labels to the next class's */
  int lanes;
} Tile;

FUNCTION Tile tile_at(const Problem *p, int64_t outer, int64_t at, int lanes, const real *scores, const real *labels, Result *result) {
  int64_t first = outer * p->classes * p->inner + at;
  const real *given = labels + outer * p->slots * p->inner + at;
  Tile tile = {scores + first, given, given, first, outer * p->inner + at, p->inner, lanes};
  if (p->index) {
    read_indices(p, given, p->inner, lanes, p->scratch, result);
    tile.labels = p->scratch;
    tile.label_step = lanes;
  }
  return tile;
}

FUNCTION void leave(const Problem *p, Tile tile) {
  if (p->index) forget_indices(p, tile.indices, p->inner, tile.lanes, p->scratch);
}

/* Asks the memory for numbers that are wanted soon; what lies past the end of an array does no harm. */
#ifdef __GNUC__
#define PREFETCH(from, n, write) \
  for (int next = 0; next < (n); next += 64 / (int)sizeof(real)) __builtin_prefetch((from) + next, write, 2)
#else
#define PREFETCH(from, n, write)
#endif
