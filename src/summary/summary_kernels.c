#include "src/summary/summary_kernels.h"

#include "src/precis.h"

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static int64_t scratch_of(const precis_summary_kernels *k)
{
  const int64_t needs[] = {precis_summarise_scratch(&k->summarise),
                           precis_summarise_scratch(&k->summarise_counts),
                           precis_apply_scratch(&k->apply), precis_apply_scratch(&k->apply_counts)};
  int64_t most = 0;
  for (int i = 0; i < 4; i++)
    most = needs[i] > most ? needs[i] : most;
  return (most + 63) / 64 * 64;
}

int precis_summary_kernels_plan(const precis_feature_set *set, int value_dim, int64_t fast,
                                precis_summary_kernels *kernels)
{
  precis_summary_kernels k;
  if (precis_summarise_plan(set, value_dim, fast, &k.summarise) ||
      precis_summarise_plan(set, 0, fast, &k.summarise_counts) ||
      precis_apply_plan(set, value_dim, fast, &k.apply) ||
      precis_apply_plan(set, 0, fast, &k.apply_counts))
    return PRECIS_ERR_ARGUMENT;
  k.summarise.deviations = k.apply.deviations = 1;
  k.apply.tile_features = least(k.apply.tile_features, k.summarise.tile_features);
  k.apply_counts.tile_features =
      least(k.apply_counts.tile_features, k.summarise_counts.tile_features);
  k.scratch = scratch_of(&k);
  *kernels = k;
  return PRECIS_SUCCESS;
}
