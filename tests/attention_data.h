/* attention_data.h - the numbers of an attention_case, and how far results are from what they
 * should be */
#ifndef PRECIS_TESTS_ATTENTION_DATA_H
#define PRECIS_TESTS_ATTENTION_DATA_H

#include "tests/attention_case.h"

typedef struct attention_data {
  const attention_case *c;
  precis_problem problem; /* settled */
  float *q, *k, *v, *bias;
} attention_data;

attention_data attention_data_make(const attention_case *c);
void attention_data_free(attention_data *d);

/* Compares `rows` queries from `first` on with the oracle over the first `keys` keys; raises error,
 * lse_error, bad_empty of the outcome and counts those beyond the promises of its report as broken.
 */
void attention_data_compare(const attention_data *d, int64_t keys, int64_t first, int64_t rows,
                            const float *out, const float *lse, attention_outcome *o);

#endif
