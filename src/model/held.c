#include "src/model/held.h"

#include "src/tokens/survey.h"

int64_t precis_held_key(const precis_problem *p, int with_bias)
{
  return (int64_t)sizeof(float) * ((int64_t)p->kv_heads * (p->dim + p->value_dim) + (with_bias != 0)) +
         (int64_t)sizeof(int64_t);
}

/* Sums and centres, extremes, room for a message of either, sigma and what is made of it. */
int64_t precis_held_survey_numbers(const precis_problem *p)
{
  const precis_keys keys = {.kv_heads = p->kv_heads, .dim = p->dim, .value_dim = p->value_dim};
  int64_t sums = precis_survey_sums_size(&keys), extremes = precis_survey_extremes_size(&keys);
  return 2 * sums + extremes + (sums > extremes ? sums : extremes) +
         4 * (int64_t)p->kv_heads * p->value_dim;
}

int64_t precis_held_signal_numbers(const precis_problem *p)
{
  return (int64_t)p->heads * (p->dim + p->value_dim + 5) +
         (int64_t)p->kv_heads * (p->dim + p->value_dim + 1);
}

double precis_held_bytes(const precis_problem *p, double keys, int with_bias,
                         const precis_engine *engine, size_t head)
{
  int64_t numbers = precis_held_survey_numbers(p) + precis_held_signal_numbers(p);
  return keys * (double)precis_held_key(p, with_bias) + (double)numbers * sizeof(double) +
         (double)p->heads * (double)head +
         (double)precis_engine_scratch(engine) * sizeof(float);
}
