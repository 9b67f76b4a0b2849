/* attention_data.h - the numbers of an attention_case */
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

#endif
