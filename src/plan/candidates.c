/* Pairs of degrees, by what they cost: see choose.h. */
#include <stdlib.h>

#include "src/plan/choose.h"
#include "src/summary/features.h"
#include "src/model/footprint.h"

/* More than can ever be worth it, and few enough that no size computed from it overflows. */
static const int64_t features_most = INT64_C(1) << 40;

precis_summary_size precis_candidate_size(const precis_candidate *c)
{
  return (precis_summary_size){.degree = c->degree,
                               .envelope_degree = c->envelope_degree,
                               .features = c->features,
                               .count_features = c->count_features};
}

double precis_choose_seconds(const precis_scene *scene, const precis_candidate *c)
{
  precis_summary_size size = precis_candidate_size(c);
  return precis_model_summary_seconds(scene, &size);
}

static int by_seconds(const void *a, const void *b)
{
  double x = ((const precis_candidate *)a)->seconds, y = ((const precis_candidate *)b)->seconds;
  return (x > y) - (x < y);
}

int precis_choose_candidates(const precis_scene *scene, int degree, int most,
                             precis_candidate *candidates)
{
  precis_candidate all[PRECIS_CANDIDATES_MOST];
  int count = 0;
  for (int g = degree > 0 ? degree : 1; g <= (degree > 0 ? degree : PRECIS_DEGREE_MAX); g++)
    for (int e = g; e <= g + 4 && e <= PRECIS_DEGREE_MAX; e++) {
      int64_t features = precis_features_count(scene->problem->dim, g),
              with = precis_features_count(scene->problem->dim, e);
      if (features < 0 || with < 0 || with > features_most || (e > g && e % 2 != 0) ||
          count == PRECIS_CANDIDATES_MOST)
        continue;
      all[count] = (precis_candidate){g, e, features, with - features, 0};
      precis_summary_size size = precis_candidate_size(&all[count]);
      if (scene->memory_limit > 0 && precis_footprint_summaries(scene, &size) > scene->memory_limit)
        continue;
      all[count].seconds = precis_choose_seconds(scene, &all[count]);
      count++;
    }
  qsort(all, (size_t)count, sizeof *all, by_seconds);
  count = count < most ? count : most;
  for (int i = 0; i < count; i++)
    candidates[i] = all[i];
  return count;
}
