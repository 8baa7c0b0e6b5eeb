/* Losses of independent labels. Of a score with the label y, and its target t = (1 - label_smoothing) y + label_smoothing / 2:
 *
 *   weight * ((1 - t) loss of the label 0 + pos_weight t loss of the label 1)
 */
#ifndef CAFFE_LOSSES_INDEPENDENT_H
#define CAFFE_LOSSES_INDEPENDENT_H

#include "problem.h"

#define COST_0(name, cost_0, cost_1, cost_unannotated, reads) case name##_loss: return cost_0;
#define COST_1(name, cost_0, cost_1, cost_unannotated, reads) case name##_loss: return cost_1;
#define COST_UNANNOTATED(name, cost_0, cost_1, cost_unannotated, reads) case name##_loss: return cost_unannotated;
#define COST_OF(which)                                          \
  FUNCTION Cost which##_of(int loss, real s, const Options *o) { \
    (void)o;                                                    \
    switch (loss) { LOSSES(which, NOT_HERE, NOT_HERE) }         \
    __builtin_unreachable();                                    \
  }
COST_OF(COST_0)
COST_OF(COST_1)
COST_OF(COST_UNANNOTATED)

/* Scores that follow each other in memory, at most BLOCK. Without options, weights are not read. */
typedef struct {
  const number *scores, *labels;
  const number *weights, *pos_weights;
  number *losses, *out; /* losses: may be null */
  number scale;
  int n, end; /* n: a multiple of LANES, and `end` too; or LANES, and from `end` on there is padding */
} Block;

typedef struct {
  Sum loss;
  mask ignored, wrong; /* how many scores, negative; not 0 where one is, or a label */
} Found;

/* The loss of a block or, with `backward`, scale times its gradient. */
FUNCTION void of_block(int loss, int general, int backward, const Problem *problem, const Block b, Found *found) {
  const Problem p = *problem; /* no store can change it */
  const int labelled = (general && p.label_smoothing != 0) || any_positive(&p, b.labels, b.n);
  const number keep = (number)(1 - p.label_smoothing), half = (number)(p.label_smoothing / 2);
  const mask there = first(b.end);
  Found so_far = *found;
  for (int i = 0; i < b.n; i += LANES) {
    real s = load(b.scores + i), y = load(b.labels + i);
    mask ignored = general && p.ignores ? is_ignored(&p, y) : there & 0, counted = there & ~ignored;
    Cost cost = COST_0_of(loss, s, &p.options);
    if (labelled) {
      Cost yes = COST_1_of(loss, s, &p.options);
      real t = smaller(y, all(1)); /* y > 1 by a rounding */
      if (general) t = keep * t + half;
      real q = general ? load(b.pos_weights + i) * t : t;
      cost.loss = (1 - t) * cost.loss + only(t != 0, q * yes.loss);
      cost.slope = (1 - t) * cost.slope + only(t != 0, q * yes.slope);
    }
    if (general && p.unannotated) {
      Cost unannotated = COST_UNANNOTATED_of(loss, s, &p.options);
      cost.loss = choose(ignored, unannotated.loss, cost.loss);
      cost.slope = choose(ignored, unannotated.slope, cost.slope);
      counted = there;
    }
    real weight = general ? load(b.weights + i) : all(1);
    if (backward) {
      real slope = general ? b.scale * weight * cost.slope : b.scale * cost.slope;
      store(b.out + i, general ? only(counted, slope) : slope);
      continue;
    }
    real lost = only(counted, general ? weight * cost.loss : cost.loss);
    so_far.loss = plus(so_far.loss, lost);
    if (b.losses) store(b.losses + i, lost);
    if (general) so_far.ignored += there & ~counted;
    so_far.wrong |= counted & ~in_domain(&p, s);
    if (labelled) so_far.wrong |= there & ~ignored & ~is_label(&p, y);
  }
  *found = so_far;
}

typedef void OfBlock(const Problem *, Block, Found *);

#define OF_BLOCK(name, general, backward)                                                                   \
  static void name##_##general##_##backward(const Problem *p, Block b, Found *found) {                      \
    of_block(name##_loss, general, backward, p, b, found);                                                  \
  }
#define OF_BLOCKS(name, ...) OF_BLOCK(name, 0, 0) OF_BLOCK(name, 0, 1) OF_BLOCK(name, 1, 0) OF_BLOCK(name, 1, 1)
#define BLOCKS_OF(name, ...) [name##_loss] = {{name##_0_0, name##_0_1}, {name##_1_0, name##_1_1}},

LOSSES(OF_BLOCKS, NOT_HERE, NOT_HERE)

/* by loss, whether it has options, and backward */
static OfBlock *const blocks[][2][2] = {LOSSES(BLOCKS_OF, NOT_HERE, NOT_HERE)};

static void fill(number *to, int64_t n, const number *each, number times) {
  for (int64_t k = 0; k < n; k += LANES) store(to + k, times * (each ? load_first(each + k, n - k, 1) : all(1)));
}

/* Weights of n scores from one on, whichever rows and classes they are of; LANES more may be written. */
static void fill_weights(const Problem *p, const number *rows, int64_t from, int n, number *weights, number *pos_weights) {
  for (int64_t i = 0, same; i < n; i += same) {
    int64_t at = from + i, inner = at % p->inner, c = at / p->inner % p->classes, row = at / p->inner / p->classes * p->inner + inner;
    const number *class_weight = p->class_weight ? p->class_weight + c : 0, *pos_weight = p->pos_weight ? p->pos_weight + c : 0;
    const number *weight = rows ? rows + row : 0;
    if (p->inner == 1) { /* the classes of a row */
      same = smaller_of(n - i, p->classes - c);
      fill(weights + i, same, class_weight, weight ? *weight : 1);
      fill(pos_weights + i, same, pos_weight, 1);
    } else { /* a class of neighbouring rows */
      same = smaller_of(n - i, p->inner - inner);
      fill(weights + i, same, weight, class_weight ? *class_weight : 1);
      fill(pos_weights + i, same, 0, pos_weight ? *pos_weight : 1);
    }
  }
}

/* The last scores of a run, fewer than LANES: copied, with 0 behind. */
static void of_rest(OfBlock *of, const Problem *p, Block b, Found *found) {
  real scores = load_first(b.scores, b.end, 0), labels = load_first(b.labels, b.end, 0), losses, out;
  Block rest = b;
  rest.scores = (number *)&scores, rest.labels = (number *)&labels, rest.n = LANES;
  rest.out = (number *)&out, rest.losses = b.losses ? (number *)&losses : 0;
  of(p, rest, found);
  if (b.out) store_first(b.out, out, b.end);
  if (b.losses) store_first(b.losses, losses, b.end);
}

/* n scores from one on, with their labels. */
static void of_run(const Problem *p, const Arrays *a, const number *labels, int64_t from, int64_t n, Found *found) {
  number weights[BLOCK + LANES], pos_weights[BLOCK + LANES];
  const int weighted = a->weights || p->class_weight || p->pos_weight;
  const int general = weighted || p->ignores || p->label_smoothing != 0;
  OfBlock *of = blocks[p->loss][general][a->out != 0];
  for (int i = 0; general && i < BLOCK + LANES; ++i) weights[i] = pos_weights[i] = 1;
  for (int64_t at = 0; at < n; at += BLOCK) {
    int size = (int)smaller_of(n - at, BLOCK), most = size / LANES * LANES;
    Block b = {a->scores + from + at, labels + at, weights, pos_weights, a->losses ? a->losses + from + at : 0,
               a->out ? a->out + from + at : 0, a->scale, most, most};
    prefetch(b.scores + BLOCK, size);
    prefetch(b.labels + BLOCK, size);
    if (a->out) prefetch_to_write(b.out + BLOCK, size);
    if (weighted) fill_weights(p, a->weights, from + at, size, weights, pos_weights);
    if (most) of(p, b, found);
    if (most == size) continue;
    Block rest = {b.scores + most, b.labels + most, weights + most, pos_weights + most, b.losses ? b.losses + most : 0,
                  b.out ? b.out + most : 0, a->scale, 0, size - most};
    of_rest(of, p, rest, found);
  }
}

/* All scores: their loss, or with `out` scale times the gradient. */
static void independent(const Problem *p, const Arrays *a, Result *result) {
  Found found = {{{0}, {0}}, {0}, {0}};
  Tile t = {0};
  if (!p->index) of_run(p, a, a->labels, 0, p->outer * p->classes * p->inner, &found);
  while (p->index && next_tile(p, INDEPENDENT, a, &t, result)) {
    if (t.layout == LINE) of_run(p, a, t.labels, t.at, t.rows * p->classes, &found);
    for (int64_t c = 0; t.layout == APART && c < p->classes; ++c)
      of_run(p, a, t.labels + c * t.label_step, t.at + c * p->inner, t.rows, &found);
    leave_tile(p, a, &t, result);
  }
  result->loss = total(found.loss);
  result->valid = p->outer * p->classes * p->inner;
  for (int i = 0; i < LANES; ++i) result->valid += found.ignored[i];
  result->wrong |= any(found.wrong);
}

#endif
