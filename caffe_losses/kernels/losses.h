/* Each loss as its formula, and the list of all. The docstrings in caffe_losses/losses say the same in words.
 *
 * Three families. The losses of independent labels are sums over single scores: `Cost` holds the loss of a score for the
 * label 1, or for the label 0, and its slope, the derivative in the score. The losses of a distribution are sums over the
 * classes of a row, to which its targets t give weights. The losses of sums of exponentials are functions of two of these.
 */
#ifndef CAFFE_LOSSES_LOSSES_H
#define CAFFE_LOSSES_LOSSES_H

#include "functions.h"

/* What the formulas read; each line of the list below names those of its loss, and Python gives just these. */
#define OPTIONS(OPTION)                                                                                          \
  OPTION(gamma_pos) OPTION(gamma_neg) OPTION(alpha_pos) OPTION(alpha_neg) OPTION(clip)                           \
  OPTION(slope_of_focus)     /* 1, or 0 for a gradient that takes the focusing weights as constants */           \
  OPTION(gamma_unannotated) OPTION(weight_unannotated) /* of the labels that nobody has judged */                \
  OPTION(margin) OPTION(lamb) OPTION(temperature_pos) OPTION(temperature_neg)

#define DECLARE_OPTION(name) double name;
typedef struct {
  OPTIONS(DECLARE_OPTION)
} Options;

typedef struct {
  real loss, slope;
} Cost;

/* p = sigmoid(s), q = 1 - p = sigmoid(-s), and their logarithms, finite for any finite s. */
typedef struct {
  real p, q, log_p, minus_log_q;
} Logistic;

FUNCTION Logistic logistic(real s) {
  real e = exponential(-magnitude(s)), p_or_q = 1 / (1 + e), minus_log = log1p_up_to_1(e), e_p_or_q = e * p_or_q;
  Logistic l = {choose(s < 0, e_p_or_q, p_or_q), choose(s < 0, p_or_q, e_p_or_q), smaller(s, all(0)) - minus_log,
                larger(s, all(0)) + minus_log};
  return l;
}

FUNCTION Logistic opposite(Logistic l) { /* logistic(-s) */
  Logistic other = {l.q, l.p, -l.minus_log_q, -l.log_p};
  return other;
}

FUNCTION Cost mirrored(Cost cost) { /* of -s, as a function of s */
  Cost other = {cost.loss, -cost.slope};
  return other;
}

FUNCTION Cost weighted(double weight, Cost cost) {
  Cost other = {(number)weight * cost.loss, (number)weight * cost.slope};
  return other;
}

/* Whether a power is products and a square root: gamma is one of 0, 1/2, 1, ... 15/2. */
FUNCTION int is_simple(double gamma) { return gamma >= 0 && gamma < 8 && 2 * gamma == (double)(int)(2 * gamma); }

/* base^gamma, for a base in [0, 1]; the logarithm is read only if it is not simple. */
FUNCTION real power(real base, real log_base, double gamma) {
  if (!is_simple(gamma)) return exponential_of_product(gamma, log_base);
  int n = (int)(2 * gamma);
  real square = base * base, result = n & 1 ? square_root(base) : all(1);
  if (n & 2) result *= base;
  if (n & 4) result *= square;
  if (n & 8) result *= square * square;
  return result;
}

/* SigmoidCrossEntropyLoss: log(1 + e^s), sigmoid(s) */
FUNCTION Cost cross_entropy(Logistic l) {
  Cost cost = {l.minus_log_q, l.p};
  return cost;
}

FUNCTION Cost cross_entropy_0(real s) { return cross_entropy(logistic(s)); }
FUNCTION Cost cross_entropy_1(real s) { return mirrored(cross_entropy(opposite(logistic(s)))); }

/* SigmoidFocalLoss: -p^gamma log q, p^gamma (p - gamma q log q) */
FUNCTION Cost focal(Logistic l, double gamma, const Options *o) {
  real focus = power(l.p, l.log_p, gamma);
  Cost cost = {focus * l.minus_log_q, focus * (l.p + (number)(o->slope_of_focus * gamma) * l.q * l.minus_log_q)};
  return cost;
}

FUNCTION Cost focal_0(real s, const Options *o) { return weighted(o->alpha_neg, focal(logistic(s), o->gamma_neg, o)); }

FUNCTION Cost focal_1(real s, const Options *o) {
  return weighted(o->alpha_pos, mirrored(focal(opposite(logistic(s)), o->gamma_pos, o)));
}

FUNCTION Cost focal_unannotated(real s, const Options *o) {
  return weighted(o->weight_unannotated, focal(logistic(s), o->gamma_unannotated, o));
}

/* AsymmetricLoss with r = max(p - clip, 0):
 * -r^gamma log(1 - r), p q (r^gamma / (1 - r) - gamma r^(gamma - 1) log(1 - r)) */
FUNCTION Cost asymmetric(real s, double gamma, const Options *o) {
  Logistic l = logistic(s);
  real r = larger(l.p - (number)o->clip, all(0)), not_r = smaller(l.q + (number)o->clip, all(1)); /* 1 - r would cancel */
  real minus_log = -coarse_logarithm(not_r);
  const double less = gamma == 0 ? 0 : gamma - 1;
  real log_r = is_simple(less) ? all(0) : coarse_logarithm(larger(r, all((number)1e-30)));
  real lower = only(r > 0, power(r, log_r, less)), focus = gamma == 0 ? lower : r * lower;
  real slope_of_focus = (number)(o->slope_of_focus * gamma) * minus_log * lower;
  Cost cost = {focus * minus_log, l.p * l.q * (focus / not_r + slope_of_focus)};
  return cost;
}

FUNCTION Cost asymmetric_0(real s, const Options *o) { return asymmetric(s, o->gamma_neg, o); }

FUNCTION Cost asymmetric_unannotated(real s, const Options *o) {
  return weighted(o->weight_unannotated, asymmetric(s, o->gamma_unannotated, o));
}

/* HillLoss: (lamb - p) p^2, (2 lamb - 3 p) p^2 q; and focal of s - margin for a label 1 */
FUNCTION Cost hill_0(real s, const Options *o) {
  Logistic l = logistic(s);
  real square = l.p * l.p;
  Cost cost = {square * ((number)(o->lamb - 1) + l.q), square * l.q * ((number)(2 * o->lamb - 3) + 3 * l.q)};
  return cost;
}

FUNCTION Cost hill_1(real s, const Options *o) {
  const number margin = (number)o->margin, rest = (number)(o->margin - (double)margin); /* near the margin, rest matters */
  return focal_1((s - margin) - rest, o);
}

/* BinaryCrossEntropyLoss, of a probability: -log max(1 - p, 1e-20), 1 / (1 - p) unless it is clamped */
FUNCTION Cost minus_log(real p) {
  const real smallest = all((number)1e-20);
  Cost cost = {-logarithm(choose(p < smallest, smallest, p)), only(p > smallest, -1 / p)};
  return cost;
}

FUNCTION Cost binary_0(real p) { return mirrored(minus_log(1 - p)); }
FUNCTION Cost binary_1(real p) { return minus_log(p); }

FUNCTION Cost no_cost(void) {
  Cost cost = {all(0), all(0)};
  return cost;
}

/* MultiLabelSoftmaxLoss, with x = s - max s, Z = sum e^x and W = sum t:  W log Z - sum t x,  W / Z e^x - t */
FUNCTION real softmax_log(real s, real largest) { return s - largest; }
FUNCTION real softmax_slope(real s, real largest, real w_over_z, real t) {
  return w_over_z * exponential(s - largest) - t;
}

/* MultiLabelLogisticLoss, of probabilities: -sum t log max(p, 1e-20),  -t / p unless it is clamped */
FUNCTION real logistic_log(real p) { return -minus_log(p).loss; }
FUNCTION real logistic_slope(real p, real t) { return t * minus_log(p).slope; }

/* Losses of sums of exponentials: n = T_neg log sum e^(s / T_neg) over the labels 0, p = T_pos log sum e^(-s / T_pos) over
 * the labels 1. The functions of them are softplus(x) = log(1 + e^x) = -log q, and its slope p. */
typedef struct {
  real loss, slope_neg, slope_pos; /* slopes: in n and in p */
} CostOfSums;

/* ZLPRLoss, with T = 1: log(1 + sum e^s) + log(1 + sum e^-s) */
FUNCTION CostOfSums zlpr(Sum n, Sum p) {
  Logistic neg = logistic(rounded(n)), pos = logistic(rounded(p));
  CostOfSums cost = {neg.minus_log_q + pos.minus_log_q, neg.p, pos.p};
  return cost;
}

/* TwoWayLoss, of a row or of a class: log(1 + e^(n + p)) */
FUNCTION CostOfSums two_way(Sum n, Sum p) {
  Sum n_and_p = plus_any(plus_any(n, p.sum), p.rest); /* they may cancel, or be -infinity */
  Logistic both = logistic(choose(n_and_p.sum >= -LARGEST_NUMBER, rounded(n_and_p), n_and_p.sum));
  CostOfSums cost = {both.minus_log_q, both.p, both.p};
  return cost;
}

/* The list that all of C follows: the family, with the name of the loss, its functions, and the options that they read.
 *
 * INDEPENDENT    cost of a label 0, of a label 1, of a label that nobody has judged, of the score s
 * DISTRIBUTION   logarithm that the targets weigh, slope; of the score s, the largest one, W / Z and the target t;
 *                and 1 if Z is wanted, or 0
 * LOG_SUM_EXP    cost of n and p
 *
 * Each may read its options, o.
 */
#define LOSSES(INDEPENDENT, DISTRIBUTION, LOG_SUM_EXP)                                                              \
  INDEPENDENT(cross_entropy, cross_entropy_0(s), cross_entropy_1(s), no_cost(), "")                                 \
  INDEPENDENT(focal, focal_0(s, o), focal_1(s, o), focal_unannotated(s, o),                                         \
              "gamma_pos gamma_neg alpha_pos alpha_neg slope_of_focus gamma_unannotated weight_unannotated")        \
  INDEPENDENT(asymmetric, asymmetric_0(s, o), focal_1(s, o), asymmetric_unannotated(s, o),                          \
              "gamma_pos gamma_neg alpha_pos clip slope_of_focus gamma_unannotated weight_unannotated")             \
  INDEPENDENT(hill, hill_0(s, o), hill_1(s, o), no_cost(), "gamma_pos alpha_pos slope_of_focus margin lamb")        \
  INDEPENDENT(binary, binary_0(s), binary_1(s), no_cost(), "")                                                      \
  DISTRIBUTION(softmax, softmax_log(s, largest), softmax_slope(s, largest, w_over_z, t), 1, "")                     \
  DISTRIBUTION(logistic, logistic_log(s), logistic_slope(s, t), 0, "")                                              \
  LOG_SUM_EXP(zlpr, zlpr(n, p), "temperature_pos temperature_neg")                                                  \
  LOG_SUM_EXP(two_way, two_way(n, p), "temperature_pos temperature_neg")

#endif
