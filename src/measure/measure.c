#include "src/measure/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "src/summary/apply.h"
#include "src/summary/bulk.h"
#include "src/proof/certificate.h"
#include "src/summary/features.h"
#include "src/exact/jobs.h"
#include "src/tokens/keys.h"
#include "src/measure/measure_sizes.h"
#include "src/base/memory.h"
#include "src/exact/parcel.h"
#include "src/proof/polynomial.h"
#include "src/rows/queries.h"
#include "src/summary/summarise.h"
#include "src/tokens/survey.h"

struct precis_measure {
  int threads;
  int64_t thread_memory;
  float *x, *y;  /* NUMBERS each: queries, keys, values, features, as needed */
  float *to;     /* RESULTS: results */
  double *sums;  /* of a summary */
  double *rows;  /* SUMS: of queries, of one summary after the other */
  void *scratch; /* of all threads, for any kernel */
  int64_t scratch_each;
  double ones[WIDE]; /* a norm, and powers of two: see terms.h */
  precis_partial partial;
  precis_keys keys; /* views of x and y */
};

static void fill(int64_t count, float *to)
{
  uint32_t state = 12345;
  for (int64_t i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    to[i] = (float)(int32_t)state * 0x1p-32f;
  }
}

static int64_t larger(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

static precis_feature_set set_of(const summary_kind *k)
{
  return precis_feature_set_full(k->dim, k->degree, k->degree);
}

static precis_summarise_shape summarise_shape(const precis_measure *m, const summary_kind *k)
{
  precis_summarise_shape shape = {0};
  precis_feature_set set = set_of(k);
  precis_summarise_plan(&set, k->value_dim, m->thread_memory, &shape);
  shape.deviations = k->value_dim > 0;
  return shape;
}

static precis_apply_shape apply_shape(const precis_measure *m, const summary_kind *k)
{
  precis_apply_shape shape = {0};
  precis_feature_set set = set_of(k);
  precis_apply_plan(&set, k->value_dim, m->thread_memory, &shape);
  shape.deviations = k->value_dim > 0;
  return shape;
}

static precis_engine engine_of(const precis_measure *m, int dim)
{
  return (precis_engine){.shape = precis_tile_plan(dim, dim, m->thread_memory),
                         .threads = m->threads,
                         .scale = 1.4426950408889634 / sqrt(dim),
                         .scratch = m->scratch};
}

static int64_t scratch_bytes(const precis_measure *m)
{
  const summary_kind *kinds[] = {&narrow_summary, &wide_summary, &count_summary};
  int64_t most = 0;
  for (int i = 0; i < 3; i++) {
    precis_summarise_shape s = summarise_shape(m, kinds[i]);
    precis_apply_shape a = apply_shape(m, kinds[i]);
    most = larger(most, larger(precis_summarise_scratch(&s), precis_apply_scratch(&a)));
  }
  return (most + 63) / 64 * 64;
}

precis_measure *precis_measure_create(int threads, int64_t thread_memory)
{
  precis_measure *m = calloc(1, sizeof *m);
  if (m == NULL)
    return NULL;
  m->threads = threads;
  m->thread_memory = thread_memory;
  m->scratch_each = scratch_bytes(m);
  precis_engine narrow = engine_of(m, NARROW), wide = engine_of(m, WIDE);
  int64_t engine = larger(precis_engine_scratch(&narrow), precis_engine_scratch(&wide)) * 4;
  m->x = precis_memory_array(NUMBERS, sizeof *m->x);
  m->y = precis_memory_array(NUMBERS, sizeof *m->y);
  m->to = precis_memory_array(RESULTS, sizeof *m->to);
  m->sums = precis_memory_array(1 << 18, sizeof *m->sums); /* of the largest summary */
  m->rows = precis_memory_array(SUMS, sizeof *m->rows);
  m->scratch = precis_memory_array(larger(engine, m->scratch_each * threads), 1);
  int64_t *position = precis_memory_array(ROWS, sizeof *position);
  int64_t rows = larger(ROWS, (int64_t)TILE_TOKENS * measured_heads(m->threads));
  int failed = !m->x || !m->y || !m->to || !m->sums || !m->rows || !m->scratch || !position ||
               precis_partial_create(&m->partial, rows, WIDE);
  m->keys = (precis_keys){.kv_heads = 1,
                          .dim = MIDDLE,
                          .value_dim = MIDDLE,
                          .rows = ROWS,
                          .capacity = ROWS,
                          .k = m->x,
                          .v = m->y,
                          .position = position};
  if (failed) {
    precis_measure_free(m);
    return NULL;
  }
  for (int c = 0; c < WIDE; c++)
    m->ones[c] = 1;
  fill(NUMBERS, m->x);
  fill(NUMBERS, m->y);
  for (int64_t i = 0; i < ROWS; i++)
    position[i] = i;
  memset(m->to, 0, RESULTS * sizeof *m->to);
  memset(m->rows, 0, SUMS * sizeof *m->rows);
  return m;
}

void precis_measure_free(precis_measure *m)
{
  if (m == NULL)
    return;
  precis_partial_free(&m->partial);
  free(m->keys.position);
  free(m->scratch);
  free(m->rows);
  free(m->sums);
  free(m->to);
  free(m->y);
  free(m->x);
  free(m);
}

static void attend(precis_measure *m, int dim, int rows, int keys)
{
  precis_engine engine = engine_of(m, dim);
  precis_job jobs[HEADS_MOST];
  for (int i = 0; i < measured_heads(m->threads); i++)
    jobs[i] = (precis_job){.rows = rows,
                           .q = m->x,
                           .q_stride = dim,
                           .tile = {.keys = keys, .k = m->x, .v = m->y},
                           .partial = precis_partial_at(&m->partial, (int64_t)i * rows, dim)};
  precis_jobs_run(&engine, jobs, measured_heads(m->threads));
}

static void summarise(precis_measure *m, const summary_kind *k)
{
  precis_summarise_shape shape = summarise_shape(m, k);
  precis_weighted_keys keys = {FEATURE_TOKENS, m->x, k->dim, m->y, k->value_dim, NULL, m->x};
  int64_t features = precis_features_count(k->dim, k->degree);
  double *counts = m->sums + features * k->value_dim, *deviating = counts + features;
  memset(m->sums, 0, (size_t)(features * (k->value_dim + PRECIS_SUMMARY_COUNTS)) * sizeof *m->sums);
#pragma omp parallel for num_threads(m->threads) schedule(static, 1)
  for (int i = 0; i < m->threads; i++) {
    int64_t from = features * i / m->threads, end = features * (i + 1) / m->threads;
    precis_summarise_add(&shape, &keys, from, end - from, m->sums + from * k->value_dim,
                         counts + from, deviating + from, (char *)m->scratch + i * m->scratch_each);
  }
}

static void apply(precis_measure *m, const summary_kind *k)
{
  static const double a[PRECIS_FEATURES_DEGREE_MAX + 1] = {1, 1, .5, .17},
                                                     e[PRECIS_FEATURES_DEGREE_MAX + 1] = {1e-3, 0,
                                                                                          1e-3};
  const precis_apply_coefficients coefficients = {a, e};
  precis_apply_shape shape = apply_shape(m, k);
  precis_summary_tile tile = {0, precis_features_count(k->dim, k->degree), m->y, m->x, m->x};
  double *den = m->rows + (int64_t)FEATURE_TOKENS * k->value_dim, *env = den + FEATURE_TOKENS,
         *deviating = env + FEATURE_TOKENS;
#pragma omp parallel for num_threads(m->threads) schedule(static, 1)
  for (int i = 0; i < m->threads; i++) {
    int64_t from = (int64_t)FEATURE_TOKENS * i / m->threads,
            end = (int64_t)FEATURE_TOKENS * (i + 1) / m->threads;
    precis_query_rows rows = {
        end - from,   m->x + from * k->dim, k->dim,     m->rows + from * k->value_dim,
        k->value_dim, den + from,           env + from, deviating + from};
    precis_apply_tile(&shape, &coefficients, &tile, &rows,
                      (char *)m->scratch + i * m->scratch_each);
  }
}

/* As a window of a node's ranks is, which no large pages can hold. */
static void pages(void)
{
  enum { SMALL = 4096 };
  char *memory = mmap(NULL, PAGES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return;
  for (size_t i = 0; i < PAGES; i += SMALL)
    ((volatile char *)memory)[i] = 1;
  munmap(memory, PAGES);
}

static void survey(precis_measure *m)
{
  static const double center[MIDDLE];
  double extremes[1 + 2 * MIDDLE + 2];
  memset(m->sums, 0, (4 * MIDDLE + 2) * sizeof *m->sums);
  precis_survey_sums(&m->keys, 0, m->sums);
  precis_survey_spreads(&m->keys, 0, center, 0, m->sums);
  precis_survey_extremes_clear(&m->keys, extremes);
  precis_survey_extremes(&m->keys, 0, center, extremes);
}

static const double CENTER[WIDE], RADIUS[1] = {1};

/* Of keys and values about 0, in a norm. */
static precis_terms terms_of(const precis_measure *m, const precis_problem *p)
{
  return (precis_terms){.problem = p,
                        .k_center = CENTER,
                        .v_center = CENTER,
                        .per = m->ones,
                        .fold = m->ones,
                        .key_radius = RADIUS,
                        .sum_terms = 64};
}

static const precis_problem MIDDLE_PROBLEM = {
    .heads = 1, .kv_heads = 1, .dim = MIDDLE, .value_dim = MIDDLE, .scale = 1};

static void pack(precis_measure *m)
{
  const precis_terms terms = terms_of(m, &MIDDLE_PROBLEM);
  const precis_parcel_kind kind = {.heads = 1, .dim = MIDDLE, .value_dim = MIDDLE};
  precis_parcel_pack(&kind, &m->keys, 0, ROWS, &terms, m->threads, m->to);
}

static void bulk(precis_measure *m)
{
  const precis_bulk bulk = {.k_center = CENTER,
                            .v_center = CENTER,
                            .norm = {.columns = MIDDLE, .per = m->ones},
                            .fold = m->ones,
                            .q_center = CENTER,
                            .scale = .125,
                            .lead = MIDDLE};
  precis_bulk_weights(&bulk, &m->keys, 0, ROWS, m->sums);
  precis_bulk_keys(&bulk, &m->keys, 0, ROWS, m->to, m->to + (int64_t)ROWS * MIDDLE);
  precis_bulk_deviations(&bulk, &m->keys, 0, ROWS, m->to + (int64_t)ROWS * 2 * MIDDLE);
}

static void merge(precis_measure *m)
{
#pragma omp parallel for num_threads(m->threads) schedule(static)
  for (int64_t i = 0; i < ROWS; i++)
    precis_partial_merge(&m->partial, i, MIDDLE, m->x[i], 1, m->y + i * MIDDLE);
}

static void finish(precis_measure *m)
{
  const precis_terms terms = terms_of(m, &MIDDLE_PROBLEM);
  float *lse = m->to + (int64_t)ROWS * MIDDLE;
  precis_queries queries = {.rows = ROWS, .q = m->x, .partial = m->partial};
  const precis_finished to = {m->to, lse, lse + ROWS};
  precis_queries_finish(&terms, &queries, 0, ROWS, &to);
}

/* What a row of a summary costs when it is done: its result and its certificate. */
static void rows(precis_measure *m)
{
  static const precis_polynomial fit = {.degree = 3,
                                        .envelope_degree = 4,
                                        .bound = 1,
                                        .a = {1, 1, .5, .17},
                                        .e = {1e-3, 0, 1e-3, 0, 1e-3}};
  const precis_summary_rounding rounding = {4, 256, 2, 4096};
  const precis_terms terms = terms_of(m, &MIDDLE_PROBLEM);
  double o[MIDDLE] = {0};
  float *lse = m->to + (int64_t)ROWS * MIDDLE;
  const precis_finished to = {m->to, lse, lse + ROWS};
  for (int64_t i = 0; i < PROOFS; i++) {
    double y = .5 + 1e-6 * (double)i,
           off = precis_certificate_rounding(&rounding, precis_polynomial_magnitude(&fit, y),
                                             precis_polynomial_envelope_magnitude(&fit, y));
    const precis_error_mass sums = {1e-3 * exp(m->x[i]), .3e-3 * exp(m->x[i])};
    const precis_weight_mass weights = {1, 1};
    precis_row row = {.m = 0,
                      .l = 1,
                      .mass = precis_certificate_mass(&sums, off, &weights, 0),
                      .o = o};
    precis_row_finish(&terms, 0, m->x + i, &row, precis_finished_at(&to, i % ROWS, MIDDLE));
  }
}

static void fit(void)
{
  double moments[PRECIS_DEGREE_MAX + 1] = {1, 0, .06, 0, .01, 0, 3e-3};
  precis_polynomial made;
  precis_polynomial_fit(2, 4, 1.5, moments, &made);
  precis_polynomial_fit(4, 6, 3, moments, &made);
}

void precis_measure_run(precis_measure *m, precis_measure_job job)
{
  switch (job) {
  case PRECIS_MEASURE_TILE_NARROW:
    attend(m, NARROW, TILE_TOKENS, TILE_TOKENS);
    break;
  case PRECIS_MEASURE_TILE_WIDE:
    attend(m, WIDE, TILE_TOKENS, TILE_TOKENS);
    break;
  case PRECIS_MEASURE_TILE_STREAM:
    attend(m, MIDDLE, 1, STREAM_KEYS);
    break;
  case PRECIS_MEASURE_SUMMARISE_NARROW:
    summarise(m, &narrow_summary);
    break;
  case PRECIS_MEASURE_SUMMARISE_WIDE:
    summarise(m, &wide_summary);
    break;
  case PRECIS_MEASURE_SUMMARISE_COUNTS:
    summarise(m, &count_summary);
    break;
  case PRECIS_MEASURE_APPLY_NARROW:
    apply(m, &narrow_summary);
    break;
  case PRECIS_MEASURE_APPLY_WIDE:
    apply(m, &wide_summary);
    break;
  case PRECIS_MEASURE_APPLY_COUNTS:
    apply(m, &count_summary);
    break;
  case PRECIS_MEASURE_COPY:
    memcpy(m->to, m->x, NUMBERS * sizeof *m->to);
    break;
  case PRECIS_MEASURE_PAGES:
    pages();
    break;
  case PRECIS_MEASURE_SURVEY:
    survey(m);
    break;
  case PRECIS_MEASURE_PACK:
    pack(m);
    break;
  case PRECIS_MEASURE_BULK:
    bulk(m);
    break;
  case PRECIS_MEASURE_MERGE:
    merge(m);
    break;
  case PRECIS_MEASURE_FINISH:
    finish(m);
    break;
  case PRECIS_MEASURE_STEP:
    for (int i = 0; i < STEPS; i++)
      attend(m, NARROW, 1, 1);
    break;
  case PRECIS_MEASURE_ROW:
    rows(m);
    break;
  case PRECIS_MEASURE_FIT:
    fit();
    break;
  case PRECIS_MEASURE_JOBS:
    break;
  }
}
