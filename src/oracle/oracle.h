/* oracle.h - attention and the unit of its promise, for a problem that is held whole in memory
 *
 * Knows no plan: everything follows from precis_unit in precis.h and src/oracle/reference.h. What rows see
 * of the mean query is a running sum over the keys, so that beside the rows themselves it costs
 * O((queries + keys) (d + d_v)) a head. */
#ifndef PRECIS_SRC_ORACLE_ORACLE_H
#define PRECIS_SRC_ORACLE_ORACLE_H

#include <stdint.h>

#include "src/precis.h"

typedef struct precis_oracle_case {
  const precis_problem *problem; /* settled */
  int64_t queries, keys;         /* of all ranks */
  const float *q, *k, *v, *bias; /* bias may be NULL */
  const int64_t *position;       /* of every query, if causal; NULL: aligned at the end */
  const double *mean_query;      /* heads x dim, of an earlier call; NULL: that of these queries */
  int64_t count;                 /* rows to attend with ... */
  const int64_t *rows;           /* ... which they are; NULL: the first ones */
} precis_oracle_case;

/* Arrays of row i are those of rows[i]. */
typedef struct precis_oracle {
  precis_problem problem;
  int64_t count;
  double *out, *anchor; /* count x heads x value_dim: o_i and m_i; 0 where nothing is visible */
  double *lse;          /* count x heads; -infinity where nothing is visible */
  double *distance;     /* count x heads: |o_i - m_i|; 0 where nothing is visible */
  double *mean_query;   /* heads x dim */
  double *sigma, *mean, *low, *high; /* kv_heads x value_dim, over unmasked keys */
  double *largest;                   /* kv_heads: the largest |v_j - mean| */
  int64_t *visible;                  /* heads: rows of `rows` that see a key, and ... */
  double *signal; /* ... the sum of their |o_i - m_i|: R is the quotient, over the rows that
                     the caller adds up */
} precis_oracle;

/* Everything of *oracle is released with precis_oracle_free(), also after an error. Errors: MEMORY.
 */
int precis_oracle_make(const precis_oracle_case *problem, precis_oracle *oracle);
void precis_oracle_free(precis_oracle *oracle);

/* How far a computed row and head is off. */
typedef struct precis_oracle_error {
  double absolute; /* |computed - o_i|, in the norm of sigma; infinity where not finite */
  double outputs;  /* that by max(R, |o_i - m_i|); infinity over 0 */
  double range;    /* largest |difference| of a column by its range, or by the size of its one value
                    */
  double lse; /* |difference| beyond half a unit in the last place of the result; infinity where
                 only one of them is infinite */
} precis_oracle_error;

precis_oracle_error precis_oracle_judge(const precis_oracle *oracle, int64_t i, int head,
                                        double mean_signal, const float *out, float lse);

/* Is R too small to be a unit for this head? */
int precis_oracle_constant(const precis_oracle *oracle, int head, double mean_signal);

#endif
