/* traffic.c - one kernel, run once, for a simulator of caches to watch (jobs/traffic)
 *
 *   traffic KERNEL N DIM VALUE_DIM DEGREE FAST_MEMORY on|off [FORM]
 *
 * KERNEL is summarise, apply-tile, apply-whole or exact; its blocks are planned for FAST_MEMORY
 * bytes. FORM names a form of the feature kernels (feature_kernel.h) instead of the one that suits
 * the processor. "off" leaves out the call of the kernel and nothing else: what remains is to be
 * subtracted. Before the call the cache is filled with something else, so that nothing of what was
 * initialised is found there. Prints the bytes that come in by the formulas of the headers, and how
 * many rows of S or queries stay.
 *
 * A simulated cache counts a line when it comes in, be it for reading or for writing, but not its
 * way back. So accumulators that are read and written count once here, where the formula for
 * traffic both ways counts them twice. One thread, no MPI. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/summary/apply.h"
#include "src/base/blas.h"
#include "src/exact/jobs.h"
#include "src/base/memory.h"
#include "src/summary/summarise.h"

typedef struct run {
  int64_t n;
  int dim, value_dim, degree;
  int64_t fast_memory;
  int on;
  const char *form; /* NULL: as planned */
  double words;     /* that come in, by the formula */
  int64_t resident; /* rows of S, or queries, that stay */
} run;

static int64_t parts(int64_t whole, int64_t part)
{
  return (whole + part - 1) / part;
}

/* Aligned to 64 bytes and touched. Ends the program where there is no memory. */
static void *take(int64_t count, size_t size)
{
  void *memory = precis_memory_array(count, size);
  if (memory == NULL) {
    fprintf(stderr, "traffic: no memory for %lld elements\n", (long long)count);
    exit(EXIT_FAILURE);
  }
  memset(memory, 0, (size_t)count * size);
  return memory;
}

/* Numbers in [-.5, .5). */
static float *take_random(int64_t count)
{
  static const uint64_t FACTOR = 6364136223846793005u;
  uint64_t state = 1;
  float *x = take(count, sizeof *x);
  for (int64_t i = 0; i < count; i++) {
    state = state * FACTOR + 1442695040888963407u;
    x[i] = (float)(state >> 40) * 0x1p-24f - .5f;
  }
  return x;
}

/* Twice the cache, line by line. */
static void forget(const run *r)
{
  int64_t bytes = 2 * r->fast_memory;
  volatile char *other = take(bytes, 1);
  for (int64_t i = 0; i < bytes; i += 64)
    (void)other[i];
}

/* Leaves the kernel alone if no form has the name or none was asked for. */
static void choose_form(const char *form, const precis_feature_kernel **kernel)
{
  const precis_feature_kernel *kernels[4];
  int count = precis_feature_kernels(kernels);
  for (int i = 0; form != NULL && i < count; i++)
    if (strcmp(kernels[i]->name, form) == 0)
      *kernel = kernels[i];
}

static int summarise(run *r)
{
  precis_summarise_shape shape;
  precis_feature_set set = precis_feature_set_full(r->dim, r->degree, r->degree);
  if (precis_summarise_plan(&set, r->value_dim, r->fast_memory, &shape) != 0)
    return -1;
  shape.deviations = 1;
  choose_form(r->form, &shape.kernel);
  int64_t features = precis_features_count(r->dim, r->degree);
  precis_weighted_keys keys = {
      .keys = r->n,
      .k = take_random(r->n * r->dim),
      .k_stride = r->dim,
      .v = take_random(r->n * r->value_dim),
      .v_stride = r->value_dim,
      .deviation = take_random(r->n),
  };
  double *values = take(features * r->value_dim, sizeof *values);
  double *counts = take(features, sizeof *counts), *deviating = take(features, sizeof *deviating);
  void *scratch = take(precis_summarise_scratch(&shape), 1);
  forget(r);
  if (r->on)
    precis_summarise_add(&shape, &keys, 0, features, values, counts, deviating, scratch);
  r->words = precis_summarise_words(&shape, r->n, features);
  r->resident = shape.tile_features;
  return 0;
}

static int apply(run *r, int whole)
{
  precis_apply_shape shape;
  precis_feature_set set = precis_feature_set_full(r->dim, r->degree, r->degree);
  if (precis_apply_plan(&set, r->value_dim, r->fast_memory, &shape) != 0)
    return -1;
  shape.deviations = 1;
  choose_form(r->form, &shape.kernel);
  int64_t features = precis_features_count(r->dim, r->degree);
  double ones[PRECIS_FEATURES_DEGREE_MAX + 1];
  for (int p = 0; p <= PRECIS_FEATURES_DEGREE_MAX; p++)
    ones[p] = 1;
  precis_apply_coefficients coefficients = {.a = ones, .e = ones};
  precis_summary_tile tile = {
      .features = features,
      .values = take_random(features * r->value_dim),
      .counts = take_random(features),
      .deviating = take_random(features),
  };
  precis_query_rows queries = {
      .rows = r->n,
      .q = take_random(r->n * r->dim),
      .q_stride = r->dim,
      .num = take(r->n * r->value_dim, sizeof(double)),
      .num_stride = r->value_dim,
      .den = take(r->n, sizeof(double)),
      .env = take(r->n, sizeof(double)),
      .deviating = take(r->n, sizeof(double)),
  };
  void *scratch = take(precis_apply_scratch(&shape), 1);
  forget(r);
  if (r->on && whole)
    precis_apply_whole(&shape, &coefficients, &tile, &queries, scratch);
  else if (r->on)
    precis_apply_tile(&shape, &coefficients, &tile, &queries, scratch);
  double back =
      2. * (double)r->n * (r->value_dim + 4) * (double)parts(features, shape.tile_features);
  r->words = whole ? precis_apply_whole_words(&shape, r->n, features)
                   : precis_apply_tile_words(&shape, r->n, features) - back;
  r->resident = whole ? shape.query_block : shape.tile_features;
  return 0;
}

static int exact(run *r)
{
  precis_engine engine = {
      .shape = precis_tile_plan(r->dim, r->value_dim, r->fast_memory),
      .threads = 1,
      .scale = 1 / sqrt(r->dim),
  };
  precis_job job = {
      .rows = r->n,
      .q = take_random(r->n * r->dim),
      .q_stride = r->dim,
      .tile = {.keys = r->n,
               .k = take_random(r->n * r->dim),
               .v = take_random(r->n * r->value_dim)},
      .partial = {.m = take(r->n, sizeof(double)),
                  .l = take(r->n, sizeof(double)),
                  .o = take(r->n * r->value_dim, sizeof(double))},
  };
  precis_partial_clear(&job.partial, r->n, r->value_dim);
  engine.scratch = take(precis_engine_scratch(&engine), sizeof(float));
  forget(r);
  if (r->on)
    precis_jobs_run(&engine, &job, 1);
  r->words = precis_tile_words(&engine.shape, r->n, r->n);
  r->resident = engine.shape.query_block;
  return 0;
}

static int run_kernel(const char *kernel, run *r)
{
  if (strcmp(kernel, "summarise") == 0)
    return summarise(r);
  if (strcmp(kernel, "exact") == 0)
    return exact(r);
  if (strcmp(kernel, "apply-tile") == 0 || strcmp(kernel, "apply-whole") == 0)
    return apply(r, strcmp(kernel, "apply-whole") == 0);
  return -1;
}

int main(int count, char **arguments)
{
  if (count != 8 && count != 9) {
    fputs("usage: traffic summarise|apply-tile|apply-whole|exact N DIM VALUE_DIM DEGREE "
          "FAST_MEMORY on|off [FORM]\n",
          stderr);
    return 2;
  }
  run r = {
      .n = atoll(arguments[2]),
      .dim = atoi(arguments[3]),
      .value_dim = atoi(arguments[4]),
      .degree = atoi(arguments[5]),
      .fast_memory = atoll(arguments[6]),
      .on = strcmp(arguments[7], "on") == 0,
      .form = count == 9 ? arguments[8] : NULL,
  };
  precis_blas_threads(1);
  if (r.n < 1 || r.fast_memory < 1024 || run_kernel(arguments[1], &r) != 0) {
    fputs("traffic: arguments out of range\n", stderr);
    return 2;
  }
  printf("formula_bytes %.0f resident %lld\n", r.words * (double)sizeof(float),
         (long long)r.resident);
  return 0;
}
