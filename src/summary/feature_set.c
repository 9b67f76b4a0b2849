#include "src/summary/feature_set.h"

static int64_t greatest_divisor(int64_t a, int64_t b)
{
  while (b != 0) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* C(n, k), or -1. After step i the product is C(n - k + i, i), an integer; dividing before
 * multiplying keeps all that lies between below the result. */
static int64_t choose(int64_t n, int64_t k)
{
  int64_t result = 1;
  for (int64_t i = 1; i <= k; i++) {
    int64_t up = n - k + i, common = greatest_divisor(up, i), down = i / common;
    if (__builtin_mul_overflow(result / down, up / common, &result))
      return -1;
  }
  return result;
}

int64_t precis_features_count(int dim, int degree)
{
  return degree < 0 ? 0 : choose(dim + (int64_t)degree, degree);
}

int64_t precis_features_homogeneous(int variables, int degree)
{
  if (variables == 0)
    return degree == 0;
  int64_t count = choose(variables + (int64_t)degree - 1, degree);
  return count < 0 ? INT64_MAX : count;
}

precis_feature_set precis_feature_set_full(int dim, int degree, int count_degree)
{
  precis_feature_set set = {
      .dim = dim, .lead = dim, .value_blocks = degree + 1, .blocks = count_degree + 1};
  for (int p = 0; p <= count_degree && p < PRECIS_BLOCKS_MAX; p++)
    set.block[p].lead = (uint8_t)p;
  return set;
}

int64_t precis_feature_block_size(const precis_feature_set *set, int block)
{
  precis_feature_block b = set->block[block];
  int64_t lead = precis_features_homogeneous(set->lead, b.lead), size;
  int64_t trail = precis_features_homogeneous(set->dim - set->lead, b.trail);
  return lead == INT64_MAX || trail == INT64_MAX || __builtin_mul_overflow(lead, trail, &size)
             ? -1
             : size;
}

int64_t precis_feature_set_size(const precis_feature_set *set, int blocks)
{
  int64_t sum = 0;
  for (int i = 0; i < blocks; i++) {
    int64_t size = precis_feature_block_size(set, i);
    if (size < 0 || __builtin_add_overflow(sum, size, &sum))
      return -1;
  }
  return sum;
}

int precis_feature_set_degree(const precis_feature_set *set, int blocks)
{
  int most = 0;
  for (int i = 0; i < blocks; i++) {
    int degree = set->block[i].lead + set->block[i].trail;
    most = degree > most ? degree : most;
  }
  return most;
}

int precis_feature_set_find(const precis_feature_set *set, int lead, int trail)
{
  for (int i = 0; i < set->blocks; i++)
    if (set->block[i].lead == lead && set->block[i].trail == trail)
      return i;
  return -1;
}

int precis_feature_set_valid(const precis_feature_set *set)
{
  if (set->dim < 1 || set->dim > PRECIS_FEATURES_DIM_MAX || set->lead < 1 || set->lead > set->dim ||
      set->value_blocks < 1 || set->blocks < set->value_blocks || set->blocks > PRECIS_BLOCKS_MAX ||
      precis_feature_set_find(set, 0, 0) != 0)
    return 0;
  for (int i = 0; i < set->blocks; i++) {
    precis_feature_block b = set->block[i];
    if (b.lead + b.trail > PRECIS_FEATURES_DEGREE_MAX || precis_feature_block_size(set, i) < 1 ||
        precis_feature_set_find(set, b.lead, b.trail) != i)
      return 0;
  }
  return precis_feature_set_size(set, set->blocks) > 0;
}
