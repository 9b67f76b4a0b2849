/* mean_query.h - what a head's mean query gets from keys, added up one by one in double */
#ifndef PRECIS_SRC_TOKENS_MEAN_QUERY_H
#define PRECIS_SRC_TOKENS_MEAN_QUERY_H

#include "src/tokens/keys.h"

/* One head: sums relative to e^m over keys, of weights and of weighted values less v_base. Scores
 * are scale <q, k - k_base> + bias. m is -infinity before the first key. */
typedef struct precis_mean_query {
  int kv_head;
  double scale;
  const double *q, *k_base, *v_base; /* dim, dim, value_dim */
  double m, l;
  double *o; /* value_dim */
} precis_mean_query;

/* Adds keys [first, end). */
void precis_mean_query_add(precis_mean_query *mean, const precis_keys *keys, int64_t first,
                           int64_t end);

/* Adds sums over other keys: value_dim of o. */
void precis_mean_query_merge(precis_mean_query *mean, int value_dim, double m, double l,
                             const double *o);

#endif
