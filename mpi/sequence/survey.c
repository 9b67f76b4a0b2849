#include "mpi/sequence/survey.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/tokens/norm.h"
#include "src/precis.h"

/* The centres move when a mean has left them by this part of the radius. */
static const double DRIFT = 0.125;

/* Weights of the spreads are taken anew when a bias exceeds what they are relative to by this. */
static const double BIAS_DRIFT = 50;

int precis_survey_create(const precis_keys *keys, precis_survey *survey)
{
  int64_t sums = precis_survey_sums_size(keys), extremes = precis_survey_extremes_size(keys);
  int64_t larger = sums > extremes ? sums : extremes;
  *survey = (precis_survey){0};
  survey->sums = precis_memory_array(sums, sizeof(double));
  survey->center = precis_memory_array(sums, sizeof(double));
  survey->extremes = precis_memory_array(extremes, sizeof(double));
  survey->scratch = precis_memory_array(larger, sizeof(double));
  int64_t columns = (int64_t)keys->kv_heads * keys->value_dim;
  survey->sigma = precis_memory_array(4 * columns, sizeof(double));
  if (!survey->sums || !survey->center || !survey->extremes || !survey->scratch || !survey->sigma) {
    precis_survey_free(survey);
    return PRECIS_ERR_MEMORY;
  }
  for (int64_t i = 0; i < sums; i++)
    survey->sums[i] = survey->center[i] = 0;
  survey->per = survey->sigma + columns;
  survey->per_range = survey->per + columns;
  survey->fold = survey->per_range + columns;
  for (int64_t c = 0; c < 4 * columns; c++)
    survey->sigma[c] = c < 3 * columns ? 0 : 1;
  precis_survey_extremes_clear(keys, survey->extremes);
  return PRECIS_SUCCESS;
}

void precis_survey_copy(const precis_keys *keys, const precis_survey *from, precis_survey *to)
{
  size_t sums = (size_t)precis_survey_sums_size(keys),
         extremes = (size_t)precis_survey_extremes_size(keys),
         columns = (size_t)keys->kv_heads * (size_t)keys->value_dim;
  precis_survey copy = *from;
  copy.sums = memcpy(to->sums, from->sums, sums * sizeof *to->sums);
  copy.center = memcpy(to->center, from->center, sums * sizeof *to->center);
  copy.extremes = memcpy(to->extremes, from->extremes, extremes * sizeof *to->extremes);
  copy.sigma = memcpy(to->sigma, from->sigma, 4 * columns * sizeof *to->sigma);
  copy.per = to->per;
  copy.per_range = to->per_range;
  copy.fold = to->fold;
  copy.scratch = to->scratch;
  *to = copy;
}

void precis_survey_free(precis_survey *survey)
{
  free(survey->sums);
  free(survey->center);
  free(survey->extremes);
  free(survey->scratch);
  free(survey->sigma);
  *survey = (precis_survey){0};
}

/* Sums over new rows, spreads about the centre as it is; and extremes, unless all centres are sure
 * to move. */
void precis_survey_tell(const precis_keys *keys, precis_survey *survey, precis_told *told)
{
  int64_t size = precis_survey_sums_size(keys), extremes = precis_survey_extremes_size(keys);
  memset(survey->scratch, 0, (size_t)size * sizeof *survey->scratch);
  precis_survey_sums(keys, survey->seen, survey->scratch);
  precis_survey_spreads(keys, survey->seen, precis_survey_v_center(keys, survey), survey->bias_top,
                        survey->scratch);
  if (survey->counted > 0)
    precis_survey_extremes(keys, survey->seen, survey->center, survey->extremes);
  told[0] = (precis_told){PRECIS_FOLD_SUM, size, survey->scratch, NULL};
  told[1] =
      (precis_told){PRECIS_FOLD_MAX, survey->counted > 0 ? extremes : 0, survey->extremes, NULL};
}

/* Spreads of all rows of all ranks, about a centre, into their place in sums. */
static int add_spreads(precis_world *world, const precis_keys *keys, const precis_survey *survey,
                       const double *center, double *sums)
{
  int64_t at = precis_survey_spreads_at(keys), size = precis_survey_sums_size(keys) - at;
  memset(sums + at, 0, (size_t)size * sizeof *sums);
  precis_survey_spreads(keys, 0, center, survey->bias_top, sums);
  return MPI_Allreduce(MPI_IN_PLACE, sums + at, (int)size, MPI_DOUBLE, MPI_SUM, world->comm)
             ? PRECIS_ERR_MPI
             : PRECIS_SUCCESS;
}

/* Where few keys have nearly all of the weight, another pass about their mean finds how little they
 * differ. */
static int find_deviations(precis_world *world, const precis_keys *keys, precis_survey *survey)
{
  precis_extremes extremes = precis_survey_extremes_view(keys, survey->extremes);
  const double *sums = survey->sums;
  int status = PRECIS_SUCCESS;
  if (precis_survey_cancels(keys, sums, precis_survey_v_center(keys, survey), survey->per)) {
    status = add_spreads(world, keys, survey, survey->per, survey->scratch);
    sums = survey->scratch;
  }
  precis_survey_deviations(keys, sums, extremes.value_most, extremes.value_least, survey->sigma);
  for (int64_t c = 0; c < (int64_t)keys->kv_heads * keys->value_dim; c++) {
    double range = extremes.value_most[c] + extremes.value_least[c];
    survey->per[c] = survey->sigma[c] > 0 ? 1 / survey->sigma[c] : 0;
    survey->per_range[c] = range > 0 ? 1 / range : 0;
    survey->fold[c] = precis_norm_fold(survey->sigma[c], range > 0 ? range : 0);
  }
  return status;
}

static int raise_extremes(precis_world *world, const precis_keys *keys, precis_survey *survey,
                          int64_t first)
{
  int64_t size = precis_survey_extremes_size(keys);
  precis_survey_extremes(keys, first, survey->center, survey->extremes);
  if (MPI_Allreduce(MPI_IN_PLACE, survey->extremes, (int)size, MPI_DOUBLE, MPI_MAX, world->comm))
    return PRECIS_ERR_MPI;
  return PRECIS_SUCCESS;
}

/* The mean of some key head, or of some value column, is far from the centre for the spread that it
 * should have. */
static int drifted(const precis_keys *keys, const precis_survey *survey)
{
  precis_extremes extremes = precis_survey_extremes_view(keys, survey->extremes);
  const double *mean = survey->sums, *center = survey->center;
  double count = survey->sums[precis_survey_spreads_at(keys) - 1];
  for (int g = 0; g < keys->kv_heads; g++) {
    double square = 0;
    for (int c = 0; c < keys->dim; c++, mean++, center++)
      square += (*mean / count - *center) * (*mean / count - *center);
    if (sqrt(square) > DRIFT * extremes.radius[g])
      return 1;
  }
  for (int64_t c = 0; c < (int64_t)keys->kv_heads * keys->value_dim; c++, mean++, center++) {
    double range = extremes.value_most[c] + extremes.value_least[c];
    double center_outside = fabs(*mean / count - *center);
    if (center_outside > DRIFT * range)
      return 1;
  }
  return 0;
}

/* The centres to the means, and all that depends on them anew. */
static int move_centers(precis_world *world, const precis_keys *keys, precis_survey *survey)
{
  int64_t at = precis_survey_spreads_at(keys);
  double count = survey->sums[at - 1];
  for (int64_t i = 0; i < at - 1; i++)
    survey->center[i] = survey->sums[i] / count;
  survey->counted = count;
  survey->moves++;
  precis_survey_extremes_clear(keys, survey->extremes);
  return raise_extremes(world, keys, survey, 0);
}

int precis_survey_take(precis_world *world, const precis_keys *keys, precis_survey *survey)
{
  int64_t size = precis_survey_sums_size(keys);
  int status = PRECIS_SUCCESS, told = survey->counted > 0;
  for (int64_t i = 0; i < size; i++)
    survey->sums[i] += survey->scratch[i];
  double count = survey->sums[precis_survey_spreads_at(keys) - 1];
  int move = count > 0 && count >= 2 * survey->counted;
  if (!move && !told)
    status = raise_extremes(world, keys, survey, survey->seen);
  if (status == PRECIS_SUCCESS && !move)
    move = count > 0 && drifted(keys, survey);
  if (status == PRECIS_SUCCESS && move)
    status = move_centers(world, keys, survey);
  double top = *precis_survey_extremes_view(keys, survey->extremes).bias_top;
  if (status == PRECIS_SUCCESS && count > 0 && (move || top > survey->bias_top + BIAS_DRIFT)) {
    survey->bias_top = top;
    status = add_spreads(world, keys, survey, precis_survey_v_center(keys, survey), survey->sums);
  }
  if (status == PRECIS_SUCCESS)
    status = find_deviations(world, keys, survey);
  if (status == PRECIS_SUCCESS)
    survey->seen = keys->rows;
  return status;
}

int precis_survey_update(precis_world *world, const precis_keys *keys, precis_survey *survey)
{
  precis_told told[PRECIS_SURVEY_PARTS];
  precis_survey_tell(keys, survey, told);
  int status = precis_world_meet(world, PRECIS_SUCCESS, NULL, told, PRECIS_SURVEY_PARTS);
  return status == PRECIS_SUCCESS ? precis_survey_take(world, keys, survey) : status;
}
