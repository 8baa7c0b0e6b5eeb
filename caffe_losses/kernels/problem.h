/* What a loss is computed from, and the labels of a row, whatever their format.
 *
 * Arrays are seen as (outer, classes, inner): the axes before that of the classes, the classes, and the axes after it.
 */
#include "losses.h"

#define LANES 16 /* what is computed at once; arrays that are shorter are padded, so that each score meets the same code */
#define BLOCK 256
#define NEVER (-2.0)

typedef struct {
  int64_t outer, classes, inner, slots; /* slots: the labels of a row; the classes, or K class indices */
  int32_t loss, index, count, sum;      /* index: the label format; count, sum: what label_scale divides by */
  int32_t lanes;                        /* neighbouring rows whose indices are read at once */
  int32_t ignores, general;             /* general: an option is in use that the plain loops do without */
  double ignore_label, label_limit, label_smoothing;
  Options options;
  const real *class_weight, *pos_weight; /* one a class, or null */
  real *row;                             /* numbers kept for backward: see distribution.h */
  real *scratch;                         /* (lanes + 2) x classes; zeros between calls */
} Problem;

typedef struct {
  double loss;
  int64_t valid;                  /* rows or, of independent labels, scores that are not ignored */
  int32_t bad_label, bad_score;
} Result;

/* Labels of `lanes` neighbouring rows from their class indices: how often each class is given, at to[class * lanes].
 * A row of nothing but ignored indices gets the label NEVER for each class: it is ignored whole. */
static void read_indices(const Problem *p, const real *labels, int64_t step, int lanes, real *to, Result *result) {
  for (int i = 0; i < lanes; ++i) {
    int positive = 0, ignored = 0;
    for (int64_t k = 0; k < p->slots; ++k) {
      real label = labels[k * step + i];
      if (p->ignores && label == (real)p->ignore_label) ignored = 1;
      else if (label >= 0 && label < (real)p->classes && label == (real)(int64_t)label) {
        to[(int64_t)label * lanes + i] += 1;
        positive = 1;
      } else if (label != -1) result->bad_label = 1;
    }
    if (ignored && !positive)
      for (int64_t c = 0; c < p->classes; ++c) to[c * lanes + i] = (real)NEVER;
  }
}

static void forget_indices(const Problem *p, const real *labels, int64_t step, int lanes, real *to) {
  for (int i = 0; i < lanes; ++i) {
    if (to[i] == (real)NEVER)
      for (int64_t c = 0; c < p->classes; ++c) to[c * lanes + i] = 0;
    for (int64_t k = 0; k < p->slots; ++k) {
      real label = labels[k * step + i];
      if (label >= 0 && label < (real)p->classes) to[(int64_t)label * lanes + i] = 0;
    }
  }
}

/* Asks the memory for numbers that are wanted soon; what lies past the end of an array does no harm. */
FUNCTION void prefetch(const real *from, int n) {
#ifdef __GNUC__
  for (int i = 0; i < n; i += 64 / (int)sizeof(real)) __builtin_prefetch(from + i, 0, 2);
#endif
}
