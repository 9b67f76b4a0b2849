/* What the seconds of the measured jobs tell. */
#include <math.h>

#include "src/summary/feature_set.h"
#include "src/measure/measure.h"
#include "src/measure/measure_sizes.h"
#include "src/summary/summarise.h"

/* From the seconds of two shapes, each so many flops and so many others: the rates of both. A term
 * that noise makes vanish is taken for nearly free. */
static void separate(const double flops[2], const double others[2], const double seconds[2],
                     double *flop_rate, double *other_rate)
{
  double determinant = flops[0] * others[1] - flops[1] * others[0];
  double flop = (seconds[0] * others[1] - seconds[1] * others[0]) / determinant,
         other = (flops[0] * seconds[1] - flops[1] * seconds[0]) / determinant;
  double most_flop = seconds[0] / flops[0], most_other = seconds[0] / others[0];
  *flop_rate = 1 / fmax(flop, most_flop * 1e-3);
  *other_rate = 1 / fmax(other, most_other * 1e-3);
}

static void separate_summary(const double seconds[2], double *flops, double *features)
{
  const summary_kind *kinds[] = {&narrow_summary, &wide_summary};
  double work[2], made[2];
  for (int i = 0; i < 2; i++) {
    made[i] =
        (double)FEATURE_TOKENS * (double)precis_features_count(kinds[i]->dim, kinds[i]->degree);
    work[i] = 2 * made[i] * (kinds[i]->value_dim + PRECIS_SUMMARY_COUNTS);
  }
  separate(work, made, seconds, flops, features);
}

void precis_measure_rates(int threads, const double s[PRECIS_MEASURE_JOBS], precis_rates *r)
{
  const double pairs = (double)TILE_TOKENS * TILE_TOKENS * measured_heads(threads);
  const double tile_flops[] = {4. * NARROW * pairs, 4. * WIDE * pairs},
               tile_pairs[] = {pairs, pairs};
  const double counted = (double)FEATURE_TOKENS *
                         (double)precis_features_count(count_summary.dim, count_summary.degree);
  const double numbers = (double)ROWS * 2 * MIDDLE;
  r->threads = threads;
  separate(tile_flops, tile_pairs, s + PRECIS_MEASURE_TILE_NARROW, &r->tile_flops,
           &r->tile_exponentials);
  r->tile_stream =
      2. * MIDDLE * STREAM_KEYS * measured_heads(threads) / s[PRECIS_MEASURE_TILE_STREAM];
  separate_summary(s + PRECIS_MEASURE_SUMMARISE_NARROW, &r->summarise_flops,
                   &r->summarise_features);
  separate_summary(s + PRECIS_MEASURE_APPLY_NARROW, &r->apply_flops, &r->apply_features);
  r->summarise_counts = counted / s[PRECIS_MEASURE_SUMMARISE_COUNTS];
  r->apply_counts = counted / s[PRECIS_MEASURE_APPLY_COUNTS];
  r->memory_bandwidth = 8. * NUMBERS / s[PRECIS_MEASURE_COPY];
  r->page_bandwidth = PAGES / s[PRECIS_MEASURE_PAGES];
  r->survey_numbers = numbers / s[PRECIS_MEASURE_SURVEY];
  r->pack_numbers = numbers / s[PRECIS_MEASURE_PACK];
  r->bulk_numbers = numbers / s[PRECIS_MEASURE_BULK];
  r->merge_numbers = numbers / 2 / s[PRECIS_MEASURE_MERGE];
  r->finish_numbers = numbers / s[PRECIS_MEASURE_FINISH];
  r->step_time = s[PRECIS_MEASURE_STEP] / STEPS;
  r->row_time = s[PRECIS_MEASURE_ROW] / PROOFS;
  r->fit_time = s[PRECIS_MEASURE_FIT] / 2;
}
