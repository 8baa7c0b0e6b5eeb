/* Each loss as its formula. The docstrings in caffe_losses/losses say the same in words.
 *
 * Two families. The losses of independent labels are sums over single scores: `Cost` holds the loss of a score for the
 * label 1, or for the label 0, and its slope, the derivative in the score. The losses of a distribution are
 * sums over the classes of a row, to which its targets t give weights.
 */
#include "functions.h"

typedef struct {
  double gamma_pos, gamma_neg, alpha_pos, alpha_neg, clip;
  double slope_of_focus;               /* 1, or 0 for a gradient that takes the focusing weights as constants */
  double gamma_unannotated, weight_unannotated; /* of the labels that nobody has judged */
  double margin, lamb;
  double temperature_pos, temperature_neg;
} Options;

typedef struct {
  real loss, slope;
} Cost;

/* p = sigmoid(s), q = 1 - p = sigmoid(-s), and their logarithms, finite for any finite s. */
typedef struct {
  real p, q, log_p, minus_log_q;
} Logistic;

FUNCTION Logistic logistic(real s) {
  real e = exponential(-(real)fabs(s)), larger = 1 / (1 + e), minus_log_larger = log1p_up_to_1(e);
  Logistic l = {s < 0 ? e * larger : larger, s < 0 ? larger : e * larger, (s < 0 ? s : 0) - minus_log_larger,
                (s < 0 ? 0 : s) + minus_log_larger};
  return l;
}

FUNCTION Cost mirrored(Cost cost) { /* of -s, as a function of s */
  Cost other = {cost.loss, -cost.slope};
  return other;
}

/* base^gamma; `whole`: gamma is one of 0, 1, ... 7. */
FUNCTION real power(real base, real log_base, double gamma, int whole) {
  if (!whole) return exponential((real)gamma * (log_base < (real)-1e30 ? (real)-1e30 : log_base));
  int n = (int)gamma;
  real square = base * base;
  return (n & 1 ? base : 1) * (n & 2 ? square : 1) * (n & 4 ? square * square : 1);
}

/* SigmoidCrossEntropyLoss: log(1 + e^s), sigmoid(s) */
FUNCTION Cost cross_entropy_0(real s) {
  Logistic l = logistic(s);
  Cost cost = {l.minus_log_q, l.p};
  return cost;
}

FUNCTION Cost cross_entropy_1(real s) { return mirrored(cross_entropy_0(-s)); }

FUNCTION Cost weighted(double weight, Cost cost) {
  Cost other = {(real)weight * cost.loss, (real)weight * cost.slope};
  return other;
}

/* SigmoidFocalLoss: -p^gamma log q, p^gamma (p - gamma q log q) */
FUNCTION Cost focal(real s, double gamma, const Options *o, int whole) {
  Logistic l = logistic(s);
  real focus = power(l.p, l.log_p, gamma, whole);
  Cost cost = {focus * l.minus_log_q, focus * (l.p + (real)(o->slope_of_focus * gamma) * l.q * l.minus_log_q)};
  return cost;
}

FUNCTION Cost focal_0(real s, const Options *o, int whole) { return weighted(o->alpha_neg, focal(s, o->gamma_neg, o, whole)); }

FUNCTION Cost focal_1(real s, const Options *o, int whole) {
  return weighted(o->alpha_pos, mirrored(focal(-s, o->gamma_pos, o, whole)));
}

FUNCTION Cost focal_unannotated(real s, const Options *o, int whole) {
  return weighted(o->weight_unannotated, focal(s, o->gamma_unannotated, o, whole));
}

/* AsymmetricLoss with r = max(p - clip, 0): -r^gamma log(1 - r), p q r^gamma (1 / (1 - r) - gamma log(1 - r) / r) */
FUNCTION Cost asymmetric(real s, double gamma, const Options *o, int whole) {
  Logistic l = logistic(s);
  real clip = (real)o->clip, above = l.p - clip;
  real r = above < 0 ? 0 : above, not_r = l.q + clip > 1 ? 1 : l.q + clip; /* 1 - r would cancel */
  real minus_log = -logarithm(not_r);
  real some_r = r > (real)1e-30 ? r : (real)1e-30;
  real focus = r == 0 ? 0 : power(r, whole ? 0 : logarithm(some_r), gamma, whole);
  real slope_of_focus = (real)(o->slope_of_focus * gamma) * minus_log * not_r;
  Cost cost = {focus * minus_log, l.p * l.q * focus * ((some_r + slope_of_focus) / (some_r * not_r))};
  return cost;
}

FUNCTION Cost asymmetric_0(real s, const Options *o, int whole) { return asymmetric(s, o->gamma_neg, o, whole); }

FUNCTION Cost asymmetric_unannotated(real s, const Options *o, int whole) {
  return weighted(o->weight_unannotated, asymmetric(s, o->gamma_unannotated, o, whole));
}

/* HillLoss: (lamb - p) p^2, (2 lamb - 3 p) p^2 q; and focal of s - margin for a label 1 */
FUNCTION Cost hill_0(real s, const Options *o) {
  Logistic l = logistic(s);
  real square = l.p * l.p;
  Cost cost = {square * ((real)(o->lamb - 1) + l.q), square * l.q * ((real)(2 * o->lamb - 3) + 3 * l.q)};
  return cost;
}

FUNCTION Cost hill_1(real s, const Options *o, int whole) { return focal_1(s - (real)o->margin, o, whole); }

/* BinaryCrossEntropyLoss, of a probability: -log max(1 - p, 1e-20), 1 / (1 - p) unless it is clamped */
FUNCTION real clamped(real p) { return p < (real)1e-20 ? (real)1e-20 : p; }

FUNCTION Cost minus_log(real p) {
  Cost cost = {-logarithm(clamped(p)), p > (real)1e-20 ? -1 / p : 0};
  return cost;
}

FUNCTION Cost binary_0(real p) { return mirrored(minus_log(1 - p)); }
FUNCTION Cost binary_1(real p) { return minus_log(p); }

/* MultiLabelSoftmaxLoss, with x = s - max s, Z = sum e^x and W = sum t:  W log Z - sum t x,  W / Z e^x - t */
FUNCTION real softmax_log(real s, real largest) { return s - largest; }
FUNCTION real softmax_slope(real s, real largest, real w_over_z, real t) {
  return w_over_z * exponential(s - largest) - t;
}

/* MultiLabelLogisticLoss, of probabilities: -sum t log max(p, 1e-20),  -t / p unless it is clamped */
FUNCTION real logistic_log(real p) { return -minus_log(p).loss; }
FUNCTION real logistic_slope(real p, real t) { return t * minus_log(p).slope; }

/* Losses of sums of exponentials: n = T_neg log sum e^(s / T_neg) over the labels 0, p = T_pos log sum e^(-s / T_pos) over the
 * labels 1. The functions of them are softplus(x) = log(1 + e^x) = -log q, and its slope p. */
typedef struct {
  real loss, slope_neg, slope_pos; /* slopes: in n and in p */
} CostOfSums;

/* ZLPRLoss, with T = 1: log(1 + sum e^s) + log(1 + sum e^-s) */
FUNCTION CostOfSums zlpr(double n, double p) {
  Logistic neg = logistic((real)n), pos = logistic((real)p);
  CostOfSums cost = {neg.minus_log_q + pos.minus_log_q, neg.p, pos.p};
  return cost;
}

/* TwoWayLoss, of a row or of a class: log(1 + e^(n + p)) */
FUNCTION CostOfSums two_way(double n, double p) {
  Logistic both = logistic((real)(n + p)); /* which may cancel: so they are in double */
  CostOfSums cost = {both.minus_log_q, both.p, both.p};
  return cost;
}

/* The losses of independent labels: name, cost of a label 0, cost of a label 1. */
#define INDEPENDENT_LOSSES(LOSS)                                             \
  LOSS(CROSS_ENTROPY, cross_entropy_0(s), cross_entropy_1(s))                \
  LOSS(FOCAL, focal_0(s, o, whole), focal_1(s, o, whole))                    \
  LOSS(ASYMMETRIC, asymmetric_0(s, o, whole), focal_1(s, o, whole))          \
  LOSS(FOCAL_UNANNOTATED, focal_0(s, o, whole), focal_1(s, o, whole))        \
  LOSS(ASYMMETRIC_UNANNOTATED, asymmetric_0(s, o, whole), focal_1(s, o, whole)) \
  LOSS(HILL, hill_0(s, o), hill_1(s, o, whole))                              \
  LOSS(BINARY, binary_0(s), binary_1(s))

/* The losses of a distribution: name, logarithm that the targets weigh, slope. */
#define DISTRIBUTION_LOSSES(LOSS)                                                                       \
  LOSS(SOFTMAX, softmax_log(s, largest), softmax_slope(s, largest, w_over_z, t))                        \
  LOSS(LOGISTIC, logistic_log(s), logistic_slope(s, t))

/* The losses of sums of exponentials: name, cost. */
#define LOG_SUM_EXP_LOSSES(LOSS) \
  LOSS(ZLPR, zlpr(n, p))         \
  LOSS(TWO_WAY, two_way(n, p))

#define NUMBER_OF(name, ...) name,
enum { INDEPENDENT_LOSSES(NUMBER_OF) DISTRIBUTION_LOSSES(NUMBER_OF) LOG_SUM_EXP_LOSSES(NUMBER_OF) };

#define COST_0(name, cost_0, cost_1) case name: return cost_0;
#define COST_1(name, cost_0, cost_1) case name: return cost_1;
#define LOG(name, log, slope) case name: return log;
#define SLOPE(name, log, slope) case name: return slope;
#define OF_SUMS(name, cost) case name: return cost;

/* `whole`: both gammas are one of 0, 1, ... 7. */
FUNCTION Cost of_label_0(int loss, real s, const Options *o, int whole) {
  (void)o, (void)whole;
  switch (loss) {
    INDEPENDENT_LOSSES(COST_0)
    default: return cross_entropy_0(s);
  }
}

FUNCTION Cost of_label_1(int loss, real s, const Options *o, int whole) {
  (void)o, (void)whole;
  switch (loss) {
    INDEPENDENT_LOSSES(COST_1)
    default: return cross_entropy_1(s);
  }
}

FUNCTION real log_of(int loss, real s, real largest) {
  switch (loss) {
    DISTRIBUTION_LOSSES(LOG)
    default: return softmax_log(s, largest);
  }
}

FUNCTION real slope_of(int loss, real s, real largest, real w_over_z, real t) {
  switch (loss) {
    DISTRIBUTION_LOSSES(SLOPE)
    default: return softmax_slope(s, largest, w_over_z, t);
  }
}

/* The cost of a label that nobody has judged; only the losses whose names say so have one. */
FUNCTION Cost of_unannotated(int loss, real s, const Options *o, int whole) {
  return loss == FOCAL_UNANNOTATED ? focal_unannotated(s, o, whole) : asymmetric_unannotated(s, o, whole);
}

FUNCTION CostOfSums of_sums(int loss, double n, double p) {
  switch (loss) {
    LOG_SUM_EXP_LOSSES(OF_SUMS)
    default: return zlpr(n, p);
  }
}
