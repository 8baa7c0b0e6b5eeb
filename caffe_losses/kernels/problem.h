/* What a loss is computed from, and the labels of rows, whatever their format.
 *
 * Arrays are seen as (outer, classes, inner): the axes before that of the classes, the classes, and the axes after it.
 */
#ifndef CAFFE_LOSSES_PROBLEM_H
#define CAFFE_LOSSES_PROBLEM_H

#include <assert.h>

#include "losses.h"

#define BLOCK 256 /* scores that are computed with the same weights in between; a multiple of LANES, as the next two */
#define WIDE 256  /* at most so many rows side by side in forward, and in backward */
#define WIDEST 1024
#define FEW 48     /* with so many classes, rows that follow each other are handled side by side, too */
#define NEVER (-2) /* the label of a row of nothing but ignored indices */

/* The fields as Python fills them in: its structures are made of these lists. */
#define PROBLEM(FIELD)                                                                                             \
  FIELD(int64_t, outer) FIELD(int64_t, classes) FIELD(int64_t, inner)                                              \
  FIELD(int64_t, slots)         /* the labels of a row: the classes, or K class indices */                         \
  FIELD(int32_t, loss)          /* its place in the list */                                                        \
  FIELD(int32_t, index)         /* the label format */                                                             \
  FIELD(int32_t, count) FIELD(int32_t, sum) /* what label_scale divides by */                                      \
  FIELD(int32_t, ignores) FIELD(int32_t, unannotated) /* whether some labels are ignored; and those lose something */ \
  FIELD(int32_t, of_classes)    /* whether classes, too, have a loss of their own */                               \
  FIELD(double, ignore_label) FIELD(double, label_limit) FIELD(double, label_smoothing)                            \
  FIELD(double, lowest) FIELD(double, highest) /* scores that have a loss */                                       \
  FIELD(double, row_share) FIELD(double, class_share) /* what log_sum_exp.h multiplies slopes by */                \
  FIELD(address, class_weight) FIELD(address, pos_weight) /* one number a class, or null */                        \
  FIELD(address, memory)        /* memory_of numbers, 0 before the first call, and not touched between calls */

#define RESULT(FIELD)                                                                                              \
  FIELD(double, loss) FIELD(double, loss_of_classes)                                                               \
  FIELD(int64_t, valid)         /* rows or, of independent labels, scores that are not ignored */                  \
  FIELD(int64_t, valid_classes) /* that have a loss */                                                             \
  FIELD(int32_t, wrong)         /* whether a label or a score is out of its domain */

typedef number *address;
#define DECLARE_FIELD(type, name) type name;
typedef struct {
  PROBLEM(DECLARE_FIELD)
  Options options;
} Problem;

typedef struct {
  RESULT(DECLARE_FIELD)
} Result;

/* The arrays of a call. */
typedef struct {
  const number *scores, *labels;
  const number *weights; /* one a row, or null */
  number *losses;        /* one a row or, of independent labels, a score; or null */
  number *out;           /* for scale times the gradient; null in forward */
  number scale;
} Arrays;

enum { INDEPENDENT, DISTRIBUTION, LOG_SUM_EXP };

#define NOT_HERE(...) /* for the families that a list is not wanted of */

/* Each loss has a number, in the order of the list. */
#define NUMBER_OF(name, ...) name##_loss,
enum { LOSSES(NUMBER_OF, NUMBER_OF, NUMBER_OF) NUMBER_OF_LOSSES };

FUNCTION int64_t padded(int64_t n) { return (n + LANES - 1) / LANES * LANES; }

FUNCTION mask is_ignored(const Problem *p, real labels) {
  return labels == all(p->index ? (number)NEVER : (number)p->ignore_label);
}

FUNCTION mask in_domain(const Problem *p, real scores) {
  return (scores >= (number)p->lowest) & (scores <= (number)p->highest);
}

FUNCTION mask is_label(const Problem *p, real labels) { return (labels >= 0) & (labels <= (number)p->label_limit); }

/* Whether some label is neither 0 nor ignored. Without ignores, ignore_label is 0. */
static int any_positive(const Problem *p, const number *labels, int n) {
  mask some = {0};
  for (int i = 0; i < n; i += LANES) some |= (mask)load(labels + i) & ~is_ignored(p, load(labels + i));
  return any(some);
}

/* Some numbers, or LANES with a filling behind. */
FUNCTION real load_first(const number *from, int64_t n, number filling) {
  if (n >= LANES) return load(from);
  real x = all(filling);
  for (int i = 0; i < n; ++i) x[i] = from[i];
  return x;
}

FUNCTION void store_first(number *to, real x, int64_t n) {
  if (n >= LANES) store(to, x);
  else
    for (int i = 0; i < n; ++i) to[i] = x[i];
}

/* Rows that are handled at once. LINE: they follow each other in memory, and each has its classes in a line.
 * APART: neighbours, whose classes are `inner` apart. GATHERED: the same, copied to that end; LANES rows at most. */
typedef enum { LINE, APART, GATHERED } Layout;

typedef struct {
  Layout layout;
  int rows;
  int64_t row;                              /* the first one */
  int64_t at;                               /* its first score, in the arrays */
  const number *scores, *labels;            /* of the first class */
  number *out;                              /* null in forward */
  int64_t score_step, label_step;           /* from a class to the next; `out` as scores */
} Tile;

/* Where a row is; a division takes as long as some scores do. */
FUNCTION int64_t outer_of(const Problem *p, int64_t row) { return p->inner == 1 ? row : row / p->inner; }
FUNCTION int64_t inner_of(const Problem *p, int64_t row) { return p->inner == 1 ? 0 : row % p->inner; }
FUNCTION int64_t first_score(const Problem *p, int64_t row) {
  return outer_of(p, row) * p->classes * p->inner + inner_of(p, row);
}

/* How many rows at once: all their classes, or labels made of indices, should stay in a second-level cache. In backward,
 * what is written for a class should have left the processor's store buffer when the next class is read, whose address may
 * have the same last 12 bits. */
FUNCTION int64_t most_rows(const Problem *p, int backward) {
  if (p->classes <= 256) return backward ? WIDEST : WIDE;
  return backward && !p->index ? 128 : 16;
}

/* Rows of independent labels in a line, whose labels are made of indices. */
FUNCTION int64_t most_lines(const Problem *p) { return p->classes < 4 * BLOCK ? 4 * BLOCK / p->classes : 1; }

FUNCTION int64_t smaller_of(int64_t a, int64_t b) { return a < b ? a : b; }
FUNCTION int64_t larger_of(int64_t a, int64_t b) { return a > b ? a : b; }

/* The memory of a tile: labels made of indices, with a class more for what is none; and what is gathered. */
FUNCTION int64_t index_numbers(const Problem *p, int family) {
  int64_t lines = family == INDEPENDENT ? most_lines(p) : p->classes > FEW ? 1 : LANES;
  int64_t rows = p->inner == 1 ? lines : larger_of(LANES, smaller_of(padded(p->inner), most_rows(p, 1)));
  return p->index ? rows * (p->classes + 1) : 0;
}

FUNCTION int64_t gathered_numbers(const Problem *p, int family) {
  int gathers = p->inner == 1 ? p->classes <= FEW : p->inner % LANES != 0;
  return family != INDEPENDENT && gathers ? LANES * p->classes : 0;
}

FUNCTION int64_t tile_numbers(const Problem *p, int family) { return index_numbers(p, family) + 3 * gathered_numbers(p, family); }

/* From where the indices of some rows come, of one `outer` or of inner 1, and where their labels go: how often each class
 * is given. What is no class is counted at `nowhere`, without a branch. */
typedef struct {
  const number *from;
  int64_t row_from, rows;
  number *to, *nowhere;
  int64_t row_to, class_to;
} Indices;

FUNCTION int64_t class_of(const Problem *p, number label, int *wrong) { /* or -1 */
  int known = (label >= 0) & (label < (number)p->classes) & !((p->ignores != 0) & (label == (number)p->ignore_label));
  int64_t c = known ? (int64_t)label : -1;
  *wrong |= known ? (number)c != label : (label != -1) & !((p->ignores != 0) & (label == (number)p->ignore_label));
  return c;
}

/* The indices of a row follow each other. */
FUNCTION int count_of_rows(const Problem *p, Indices x) {
  int wrong = 0;
  for (int64_t i = 0; i < x.rows; ++i)
    for (int64_t k = 0; k < p->slots; ++k) {
      int64_t c = class_of(p, x.from[i * x.row_from + k], &wrong);
      *(c < 0 ? x.nowhere : x.to + i * x.row_to + c * x.class_to) += 1;
    }
  return wrong;
}

/* Those of one slot of neighbouring rows do. */
FUNCTION int count_of_slots(const Problem *p, Indices x) {
  mask wrong = {0};
  for (int64_t k = 0; k < p->slots; ++k)
    for (int64_t i = 0; i < x.rows; i += LANES) {
      real label = load_first(x.from + k * p->inner + i, x.rows - i, -1);
      mask passed = p->ignores ? label == (number)p->ignore_label : (mask){0};
      mask known = (label >= 0) & (label < (number)p->classes) & ~passed, class_ = whole_of(only(known, label));
      wrong |= (~known & ~passed & (label != -1)) | (number_of(class_) != only(known, label));
      class_ = (known & class_) | (~known & (whole)p->classes); /* a class beyond the last is no class, either */
      int lanes = (int)smaller_of(x.rows - i, LANES);
      for (int lane = 0; lane < lanes; ++lane) x.to[i + lane + class_[lane] * x.class_to] += 1;
    }
  return any(wrong);
}

static void set_labels(const Problem *p, Indices x, int64_t row, number label) {
  for (int64_t c = 0; c < p->classes; ++c) x.to[row * x.row_to + c * x.class_to] = label;
}

/* A row of nothing but ignored indices gets the label NEVER for each class: it is ignored whole. */
static void never_label(const Problem *p, Indices x) {
  for (int64_t i = 0; i < x.rows; ++i) {
    int positive = 0, ignored = 0, wrong = 0;
    for (int64_t k = 0; k < p->slots; ++k) {
      number label = x.from[i * x.row_from + k * p->inner];
      ignored |= label == (number)p->ignore_label;
      positive |= class_of(p, label, &wrong) >= 0;
    }
    if (ignored && !positive) set_labels(p, x, i, NEVER);
  }
}

static void read_indices(const Problem *problem, Indices x, Result *result) {
  const Problem p = *problem; /* no store can change it */
  result->wrong |= p.inner == 1 ? count_of_rows(&p, x) : count_of_slots(&p, x);
  if (p.ignores) never_label(&p, x);
}

/* Sets the labels to 0 again, one by one. */
static void forget_indices(const Problem *problem, Indices x, Result *result) {
  const Problem p = *problem;
  int wrong = 0;
  (void)result;
  for (int64_t i = 0; p.ignores && i < x.rows; ++i)
    if (x.to[i * x.row_to] == NEVER) set_labels(&p, x, i, 0);
  for (int64_t k = 0; k < p.slots; ++k)
    for (int64_t i = 0; i < x.rows; ++i) {
      int64_t c = class_of(&p, x.from[i * x.row_from + k * p.inner], &wrong);
      *(c < 0 ? x.nowhere : x.to + i * x.row_to + c * x.class_to) = 0;
    }
}

/* How many labels a tile has in memory, before those of no class. */
FUNCTION int64_t labels_of(const Problem *p, const Tile *t) {
  return (t->layout == LINE ? t->rows : padded(t->rows)) * p->classes;
}

/* Of all rows of a tile: of a gathered one, they may be in several `outer`. */
static void with_indices(const Problem *p, const Arrays *a, const Tile *t, void act(const Problem *, Indices, Result *),
                         Result *result) {
  const int line = t->layout == LINE;
  const int64_t lanes = line ? 1 : padded(t->rows), row_to = line ? p->classes : 1;
  Indices x = {0, p->inner == 1 ? p->slots : 1, t->rows, 0, p->memory + labels_of(p, t), row_to, lanes};
  for (int64_t i = 0; i < t->rows; i += x.rows) {
    int64_t row = t->row + i, inner = inner_of(p, row);
    if (p->inner > 1) x.rows = smaller_of(t->rows - i, p->inner - inner);
    x.from = a->labels + outer_of(p, row) * p->slots * p->inner + inner;
    x.to = p->memory + i * row_to;
    act(p, x, result);
  }
}

static const number *gather(const Problem *p, const Tile *t, const number *from, number *to) {
  for (int i = 0; i < LANES; ++i) {
    const number *row = from + first_score(p, t->row + i);
    for (int64_t c = 0; c < p->classes; ++c) to[c * LANES + i] = i < t->rows ? row[c * p->inner] : 0;
  }
  return to;
}

static void scatter(const Problem *p, const Tile *t, const number *from, number *to) {
  for (int i = 0; i < t->rows; ++i) {
    number *row = to + first_score(p, t->row + i);
    for (int64_t c = 0; c < p->classes; ++c) row[c * p->inner] = from[c * LANES + i];
  }
}

FUNCTION Layout layout_of(const Problem *p, int family, int64_t left) {
  if (p->inner == 1 && (family == INDEPENDENT || p->classes > FEW)) return LINE;
  return family == INDEPENDENT || left >= LANES ? APART : GATHERED;
}

FUNCTION int64_t rows_of(const Problem *p, int family, Layout layout, int64_t left, int backward) {
  if (layout == LINE) return family == INDEPENDENT ? smaller_of(left, most_lines(p)) : 1;
  if (layout == GATHERED) return smaller_of(left, LANES);
  return smaller_of(family == INDEPENDENT ? left : left / LANES * LANES, most_rows(p, backward));
}

/* The tile after this one, to begin with {0}; 0 after the last. */
static int next_tile(const Problem *p, int family, const Arrays *a, Tile *t, Result *result) {
  int64_t row = t->row + t->rows, left = p->outer * p->inner - row;
  if (left <= 0) return 0;
  int64_t left_inside = p->inner - inner_of(p, row);
  t->layout = layout_of(p, family, left_inside);
  if (p->inner >= LANES || (family == INDEPENDENT && p->inner > 1)) left = left_inside;
  t->row = row;
  t->rows = (int)rows_of(p, family, t->layout, left, a->out != 0);
  t->at = first_score(p, row);
  t->scores = a->scores + t->at;
  t->labels = a->labels + t->at;
  t->out = a->out ? a->out + t->at : 0;
  t->score_step = t->label_step = p->inner;
  number *gathered = p->memory + index_numbers(p, family);
  if (t->layout == GATHERED) {
    t->scores = gather(p, t, a->scores, gathered);
    t->labels = p->index ? 0 : gather(p, t, a->labels, gathered + gathered_numbers(p, family));
    t->out = a->out ? gathered + 2 * gathered_numbers(p, family) : 0;
    t->score_step = t->label_step = LANES;
  }
  if (p->index) {
    with_indices(p, a, t, read_indices, result);
    t->labels = p->memory;
    t->label_step = t->layout == LINE ? p->inner : padded(t->rows);
  }
  return 1;
}

static void leave_tile(const Problem *p, const Arrays *a, const Tile *t, Result *result) {
  if (p->index) {
    const int64_t labels = labels_of(p, t), of_no_class = t->layout == LINE ? 1 : padded(t->rows);
    const int many = p->slots * 8 > p->classes;
    if (!many) with_indices(p, a, t, forget_indices, result);
    memset(p->memory + (many ? 0 : labels), 0, (size_t)(many ? labels + of_no_class : of_no_class) * sizeof(number));
  }
  if (t->layout == GATHERED && t->out) scatter(p, t, t->out, a->out);
}

/* Asks the memory for numbers that are wanted soon; what lies past the end of an array does no harm. */
FUNCTION void prefetch(const number *from, int64_t n) {
  for (int64_t next = 0; next < n; next += 64 / (int64_t)sizeof(number)) __builtin_prefetch(from + next, 0, 2);
}

FUNCTION void prefetch_to_write(const number *to, int64_t n) {
  for (int64_t next = 0; next < n; next += 64 / (int64_t)sizeof(number)) __builtin_prefetch(to + next, 1, 2);
}

#endif
