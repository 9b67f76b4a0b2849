/* softmax.h - one row of scores to weights */
#ifndef PRECIS_SRC_SOFTMAX_H
#define PRECIS_SRC_SOFTMAX_H

/* Turns the scores s[0..n) (in units of log 2; n >= 1) of a row into weights 2^(s_j + bias_j - m),
 * in place, and returns the factor by which what was accumulated so far must be multiplied.
 *
 * m, l: the row's reference exponent (-infinity at first) and sum of weights, both updated. The
 * reference is the running maximum, but moves only when a score exceeds it by more than a few bits:
 * weights up to 2^12 lose nothing in float32, and one pass over the row does instead of two. bias:
 * n, or NULL. Kernel: no failure, no allocation. */
float precis_softmax_row(float *s, int n, const float *bias, float *m, float *l);

#endif
