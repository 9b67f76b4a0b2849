#include "src/proof/turning.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

int precis_turning_create(const precis_problem *p, precis_turning *t)
{
  int64_t size = (int64_t)p->kv_heads * p->dim * p->dim;
  precis_turning made = {
      .to_queries = precis_memory_array(size, sizeof(double)),
      .to_keys = precis_memory_array(size, sizeof(double)),
      .error = precis_memory_array(p->kv_heads, sizeof(double)),
      .queries = precis_memory_array(p->kv_heads, sizeof(precis_reach)),
      .keys = precis_memory_array(p->kv_heads, sizeof(precis_reach)),
      .moments = precis_memory_array(p->kv_heads, sizeof(precis_bivariate_moments)),
  };
  *t = made;
  if (made.to_queries && made.to_keys && made.error && made.queries && made.keys && made.moments)
    return PRECIS_SUCCESS;
  precis_turning_free(t);
  return PRECIS_ERR_MEMORY;
}

void precis_turning_free(precis_turning *t)
{
  free(t->to_queries);
  free(t->to_keys);
  free(t->error);
  free(t->queries);
  free(t->keys);
  free(t->moments);
  *t = (precis_turning){0};
}

const double *precis_turning_map(const double *maps, int dim, int kv_head)
{
  return maps ? maps + (int64_t)kv_head * dim * dim : NULL;
}

precis_reach precis_reach_of(const double *lead_squares, const double *trail_squares, int dim,
                             int lead)
{
  return (precis_reach){sqrt(lead_squares[dim]), sqrt(lead_squares[lead]),
                        sqrt(trail_squares[lead])};
}

precis_bivariate_domain precis_turning_domain(const precis_reach *queries, const precis_reach *keys)
{
  const double more = 1 + 1e-9;
  return (precis_bivariate_domain){queries->whole * keys->whole * more,
                                   queries->lead * keys->lead * more,
                                   queries->trail * keys->trail * more};
}
