#include "src/tokens/mean_query.h"

#include <math.h>

#include "src/base/clones.h"

/* Weights up to e^this are no reason to rescale. */
static const double SLACK = 8;

static void rescale(precis_mean_query *mean, int n, double m)
{
  double keep = exp(mean->m - m);
  mean->l *= keep;
  for (int c = 0; c < n; c++)
    mean->o[c] *= keep;
  mean->m = m;
}

PRECIS_CLONES
static void add(precis_mean_query *mean, const precis_keys *keys, int64_t first, int64_t end)
{
  int d = keys->dim, dv = keys->value_dim;
  double *restrict o = mean->o;
  for (int64_t j = first; j < end; j++) {
    const float *restrict k = keys->k + (j * keys->kv_heads + mean->kv_head) * d;
    const float *restrict v = keys->v + (j * keys->kv_heads + mean->kv_head) * dv;
    if (precis_keys_masked(keys, j))
      continue;
    double x = 0;
#pragma omp simd reduction(+ : x)
    for (int c = 0; c < d; c++)
      x += mean->q[c] * (k[c] - mean->k_base[c]);
    x = mean->scale * x + (keys->bias ? keys->bias[j] : 0);
    if (x > mean->m + SLACK)
      rescale(mean, dv, x);
    double w = exp(x - mean->m);
    mean->l += w;
    for (int c = 0; c < dv; c++)
      o[c] += w * (v[c] - mean->v_base[c]);
  }
}

void precis_mean_query_add(precis_mean_query *mean, const precis_keys *keys, int64_t first,
                           int64_t end)
{
  add(mean, keys, first, end);
}

void precis_mean_query_merge(precis_mean_query *mean, int value_dim, double m, double l,
                             const double *o)
{
  if (m == -INFINITY)
    return;
  if (m > mean->m)
    rescale(mean, value_dim, m);
  double factor = exp(m - mean->m);
  mean->l += factor * l;
  for (int c = 0; c < value_dim; c++)
    mean->o[c] += factor * o[c];
}
