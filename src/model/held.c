#include "src/model/held.h"

#include "src/tokens/keys.h"
#include "src/tokens/survey.h"

double precis_held_bytes(const precis_problem *p, double keys, int with_bias,
                         const precis_engine *engine, size_t head)
{
  int64_t numbers = precis_survey_numbers(p) + precis_survey_signal_numbers(p);
  return keys * (double)precis_keys_row_bytes(p, with_bias) + (double)numbers * sizeof(double) +
         (double)p->heads * (double)head +
         (double)precis_engine_scratch(engine) * sizeof(float);
}
