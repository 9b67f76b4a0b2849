/* bench_work.c - the kernels of precis bench kernels, each as a rank runs it */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/summary/apply.h"
#include "src/cli/bench.h"
#include "src/summary/features.h"
#include "src/oracle/generate.h"
#include "src/base/memory.h"
#include "src/summary/summarise.h"
#include "src/exact/tile.h"

/* Exact: as many queries as keys. Summaries: as many tokens as make at least so many flops. */
enum { TILE_TOKENS = 4096, TOKENS_STEP = 1024 };
static const int64_t SUMMARY_FLOPS = INT64_C(1) << 32;

static int64_t features(const precis_bench_kernel *kernel)
{
  return precis_features_count(kernel->dim, kernel->degree);
}

static int64_t tokens(const precis_bench_kernel *kernel)
{
  if (kernel->degree == 0)
    return TILE_TOKENS;
  int64_t each = 2 * features(kernel) * (kernel->dim + PRECIS_SUMMARY_COUNTS);
  return (SUMMARY_FLOPS / each / TOKENS_STEP + 1) * TOKENS_STEP;
}

static int is_form(const precis_bench_kernel *kernel, const char *form)
{
  return kernel->form != NULL && strcmp(kernel->form, form) == 0;
}

double precis_bench_flops(const precis_bench_kernel *kernel)
{
  double n = (double)tokens(kernel);
  return kernel->degree == 0
             ? 4 * n * (is_form(kernel, "causal") ? (n + 1) / 2 : n) * kernel->dim
             : 2 * n * (double)features(kernel) * (kernel->dim + PRECIS_SUMMARY_COUNTS);
}

static int64_t tile_scratch(const precis_bench *bench, const precis_bench_kernel *kernel)
{
  precis_tile_shape shape = precis_tile_plan(kernel->dim, kernel->dim, bench->fast_memory);
  return precis_tile_scratch(&shape) * (int64_t)sizeof(float);
}

/* As precis_attend() does it: block after block of queries. Scores of form "large" are such that
 * the running maximum has to be followed. */
static void run_tile(precis_bench *bench, const precis_bench_kernel *kernel)
{
  int dim = kernel->dim;
  precis_tile_shape shape = precis_tile_plan(dim, dim, bench->fast_memory);
  precis_tile tile = {.keys = TILE_TOKENS, .k = bench->k, .v = bench->v};
  const double scale = 1.4426950408889634 / sqrt(dim) * (is_form(kernel, "large") ? 6 : 1);
  int64_t visible[TILE_TOKENS], *seen = is_form(kernel, "causal") ? visible : NULL;
  for (int i = 0; i < TILE_TOKENS; i++)
    visible[i] = i + 1;
  precis_partial_clear(&bench->partial, TILE_TOKENS, dim);
  for (int row = 0; row < TILE_TOKENS; row += shape.query_block) {
    int rows = TILE_TOKENS - row < shape.query_block ? TILE_TOKENS - row : shape.query_block;
    precis_partial at = precis_partial_at(&bench->partial, row, dim);
    precis_tile_attend(&shape, &tile, rows, bench->q + (int64_t)row * dim, dim, scale,
                       seen ? seen + row : NULL, &at, bench->scratch);
  }
}

/* Shapes of the table are in range, so that planning cannot fail. */
static precis_summarise_shape summarise_shape(const precis_bench *bench,
                                              const precis_bench_kernel *kernel)
{
  precis_summarise_shape shape = {0};
  precis_feature_set set = precis_feature_set_full(kernel->dim, kernel->degree, kernel->degree);
  precis_summarise_plan(&set, kernel->dim, bench->fast_memory, &shape);
  shape.deviations = 1;
  return shape;
}

static int64_t summarise_scratch(const precis_bench *bench, const precis_bench_kernel *kernel)
{
  precis_summarise_shape shape = summarise_shape(bench, kernel);
  return precis_summarise_scratch(&shape);
}

static void run_summarise(precis_bench *bench, const precis_bench_kernel *kernel)
{
  precis_summarise_shape shape = summarise_shape(bench, kernel);
  precis_weighted_keys keys = {.keys = tokens(kernel),
                               .k = bench->k,
                               .k_stride = kernel->dim,
                               .v = bench->v,
                               .v_stride = kernel->dim,
                               .deviation = bench->a};
  memset(bench->values, 0, (size_t)(features(kernel) * kernel->dim) * sizeof *bench->values);
  memset(bench->counts, 0, (size_t)features(kernel) * sizeof *bench->counts);
  memset(bench->deviating, 0, (size_t)features(kernel) * sizeof *bench->deviating);
  precis_summarise_add(&shape, &keys, 0, features(kernel), bench->values, bench->counts,
                       bench->deviating, bench->scratch);
}

static precis_apply_shape apply_shape(const precis_bench *bench, const precis_bench_kernel *kernel)
{
  precis_apply_shape shape = {0};
  precis_feature_set set = precis_feature_set_full(kernel->dim, kernel->degree, kernel->degree);
  precis_apply_plan(&set, kernel->dim, bench->fast_memory, &shape);
  shape.deviations = 1;
  return shape;
}

static int64_t apply_scratch(const precis_bench *bench, const precis_bench_kernel *kernel)
{
  precis_apply_shape shape = apply_shape(bench, kernel);
  return precis_apply_scratch(&shape);
}

static void run_apply(precis_bench *bench, const precis_bench_kernel *kernel)
{
  static const double p[PRECIS_FEATURES_DEGREE_MAX + 1] = {1, 1, .5, .17},
                                                     e[PRECIS_FEATURES_DEGREE_MAX + 1] = {1e-3, 0,
                                                                                          1e-3};
  const precis_apply_coefficients coefficients = {.a = p, .e = e};
  precis_apply_shape shape = apply_shape(bench, kernel);
  /* Any numbers will do for a summary; those of the matrices are many enough. */
  precis_summary_tile tile = {.first = 0,
                              .features = features(kernel),
                              .values = bench->a,
                              .counts = bench->b,
                              .deviating = bench->c};
  int64_t rows = tokens(kernel);
  precis_query_rows queries = {.rows = rows,
                               .q = bench->q,
                               .q_stride = kernel->dim,
                               .num = bench->num,
                               .num_stride = kernel->dim,
                               .den = bench->den,
                               .env = bench->env,
                               .deviating = bench->env_deviating};
  memset(bench->num, 0, (size_t)(rows * kernel->dim) * sizeof *bench->num);
  memset(bench->den, 0, (size_t)rows * sizeof *bench->den);
  memset(bench->env, 0, (size_t)rows * sizeof *bench->env);
  memset(bench->env_deviating, 0, (size_t)rows * sizeof *bench->env_deviating);
  if (strcmp(kernel->form, "whole") == 0)
    precis_apply_whole(&shape, &coefficients, &tile, &queries, bench->scratch);
  else
    precis_apply_tile(&shape, &coefficients, &tile, &queries, bench->scratch);
}

const precis_bench_kernel precis_bench_kernels[PRECIS_BENCH_KERNELS_MOST] = {
    {"tile", NULL, 15, 0, tile_scratch, run_tile},
    {"tile", NULL, 16, 0, tile_scratch, run_tile},
    {"tile", NULL, 32, 0, tile_scratch, run_tile},
    {"tile", NULL, 33, 0, tile_scratch, run_tile},
    {"tile", NULL, 64, 0, tile_scratch, run_tile},
    {"tile", NULL, 65, 0, tile_scratch, run_tile},
    {"tile", NULL, 80, 0, tile_scratch, run_tile},
    {"tile", NULL, 96, 0, tile_scratch, run_tile},
    {"tile", NULL, 128, 0, tile_scratch, run_tile},
    {"tile", NULL, 256, 0, tile_scratch, run_tile},
    {"tile", "large", 16, 0, tile_scratch, run_tile},
    {"tile", "large", 64, 0, tile_scratch, run_tile},
    {"tile", "causal", 64, 0, tile_scratch, run_tile},
    {"summarise", NULL, 64, 2, summarise_scratch, run_summarise},
    {"summarise", NULL, 32, 2, summarise_scratch, run_summarise},
    {"summarise", NULL, 32, 3, summarise_scratch, run_summarise},
    {"summarise", NULL, 16, 2, summarise_scratch, run_summarise},
    {"summarise", NULL, 16, 3, summarise_scratch, run_summarise},
    {"summarise", NULL, 16, 4, summarise_scratch, run_summarise},
    {"summarise", NULL, 8, 5, summarise_scratch, run_summarise},
    {"apply", "tile", 64, 2, apply_scratch, run_apply},
    {"apply", "tile", 32, 2, apply_scratch, run_apply},
    {"apply", "tile", 32, 3, apply_scratch, run_apply},
    {"apply", "tile", 16, 2, apply_scratch, run_apply},
    {"apply", "tile", 16, 3, apply_scratch, run_apply},
    {"apply", "tile", 16, 4, apply_scratch, run_apply},
    {"apply", "tile", 8, 5, apply_scratch, run_apply},
    {"apply", "whole", 64, 2, apply_scratch, run_apply},
    {"apply", "whole", 32, 2, apply_scratch, run_apply},
    {"apply", "whole", 32, 3, apply_scratch, run_apply},
    {"apply", "whole", 16, 2, apply_scratch, run_apply},
    {"apply", "whole", 16, 3, apply_scratch, run_apply},
    {"apply", "whole", 16, 4, apply_scratch, run_apply},
    {"apply", "whole", 8, 5, apply_scratch, run_apply},
    {0}};

/* The largest of what the kernels need. */
typedef struct extent {
  int64_t tokens, token_floats, features, feature_numbers, scratch;
} extent;

static void raise(int64_t *most, int64_t value)
{
  *most = value > *most ? value : *most;
}

static extent largest(const precis_bench *bench)
{
  extent most = {0};
  for (const precis_bench_kernel *kernel = precis_bench_kernels; kernel->name != NULL; kernel++) {
    raise(&most.tokens, tokens(kernel));
    raise(&most.token_floats, tokens(kernel) * kernel->dim);
    raise(&most.features, features(kernel));
    raise(&most.feature_numbers, features(kernel) * kernel->dim);
    raise(&most.scratch, kernel->scratch(bench, kernel));
  }
  return most;
}

/* Normal numbers, a few of them over and over. */
static void fill(uint64_t seed, int64_t count, float *to)
{
  enum { WIDTH = 128, ROWS = 4096 };
  precis_recipe recipe = {.spread = 1,
                          .seed = seed,
                          .problem = {.heads = 1, .kv_heads = 1, .dim = WIDTH, .value_dim = WIDTH}};
  int64_t made = count / WIDTH < ROWS ? count / WIDTH : ROWS;
  precis_generate_rows(&recipe, PRECIS_ROLE_V, 0, made, to);
  for (int64_t i = made * WIDTH; i < count; i++)
    to[i] = to[i - made * WIDTH];
}

static float *floats(int64_t count, int *complete)
{
  float *made = precis_memory_array(count, sizeof *made);
  *complete = *complete && made != NULL;
  return made;
}

static double *doubles(int64_t count, int *complete)
{
  double *made = precis_memory_array(count, sizeof *made);
  *complete = *complete && made != NULL;
  return made;
}

int precis_bench_create(precis_bench *bench)
{
  extent most = largest(bench);
  int64_t square = (int64_t)PRECIS_BENCH_ORDER * PRECIS_BENCH_ORDER;
  /* A matrix for sgemm, and any numbers where a kernel wants deviations or sums. */
  int64_t numbers = square;
  raise(&numbers, most.tokens);
  raise(&numbers, most.feature_numbers);
  int complete = 1;
  bench->a = floats(numbers, &complete);
  bench->b = floats(square, &complete);
  bench->c = floats(square, &complete);
  bench->q = floats(most.token_floats, &complete);
  bench->k = floats(most.token_floats, &complete);
  bench->v = floats(most.token_floats, &complete);
  bench->partial.m = doubles(TILE_TOKENS, &complete);
  bench->partial.l = doubles(TILE_TOKENS, &complete);
  bench->partial.o = doubles(most.token_floats, &complete);
  bench->num = doubles(most.token_floats, &complete);
  bench->den = doubles(most.tokens, &complete);
  bench->env = doubles(most.tokens, &complete);
  bench->env_deviating = doubles(most.tokens, &complete);
  bench->values = doubles(most.feature_numbers, &complete);
  bench->counts = doubles(most.features, &complete);
  bench->deviating = doubles(most.features, &complete);
  bench->scratch = precis_memory_array(most.scratch, 1);
  if (!complete || bench->scratch == NULL)
    return PRECIS_ERR_MEMORY;
  fill(1, numbers, bench->a);
  fill(2, square, bench->b);
  fill(3, most.token_floats, bench->q);
  fill(4, most.token_floats, bench->k);
  fill(5, most.token_floats, bench->v);
  return PRECIS_SUCCESS;
}

void precis_bench_release(precis_bench *bench)
{
  void *all[] = {bench->a,
                 bench->b,
                 bench->c,
                 bench->q,
                 bench->k,
                 bench->v,
                 bench->partial.m,
                 bench->partial.l,
                 bench->partial.o,
                 bench->num,
                 bench->den,
                 bench->env,
                 bench->values,
                 bench->counts,
                 bench->scratch,
                 bench->deviating,
                 bench->env_deviating};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    free(all[i]);
}
