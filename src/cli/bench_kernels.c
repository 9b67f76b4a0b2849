/* bench_kernels.c - precis bench kernels: the kernels of one rank on one thread, beside BLAS
 *
 * A kernel and sgemm take turns, so that both meet the same clock and the same neighbours;
 * medians are compared. */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/blas.h"
#include "src/cli/cli.h"
#include "src/cli/json.h"
#include "src/generate.h"
#include "src/memory.h"
#include "src/partial.h"
#include "src/sgemm.h"
#include "src/tile.h"
#include "topology/cache.h"

enum { ORDER = 2048, QUERIES = 4096, KEYS = 4096, REPEATS = 5 };

static const int DIMS[] = {16, 32, 64, 128};
enum { DIM_COUNT = sizeof DIMS / sizeof *DIMS };

/* Inputs and results of the largest problem, used by all. */
typedef struct bench {
  int64_t fast_memory;
  int repeats;
  float *a, *b, *c; /* ORDER x ORDER */
  float *q, *k, *v; /* tokens x dim */
  float *scratch;
  precis_partial partial;
  double *sgemm_seconds; /* repeats for each dimension */
  double *tile_seconds;  /* repeats */
  double sgemm_gflops, tile_gflops[DIM_COUNT];
} bench;

static int64_t scratch_floats(int64_t fast_memory)
{
  int64_t most = 0;
  for (int i = 0; i < DIM_COUNT; i++) {
    precis_tile_shape shape = precis_tile_plan(DIMS[i], DIMS[i], fast_memory);
    int64_t floats = precis_tile_scratch(&shape);
    most = floats > most ? floats : most;
  }
  return most;
}

static int allocate(bench *b)
{
  int dim = DIMS[DIM_COUNT - 1];
  int64_t square = (int64_t)ORDER * ORDER, rows = (int64_t)QUERIES * dim,
          keys = (int64_t)KEYS * dim;
  b->a = precis_memory_array(square, sizeof *b->a);
  b->b = precis_memory_array(square, sizeof *b->b);
  b->c = precis_memory_array(square, sizeof *b->c);
  b->q = precis_memory_array(rows, sizeof *b->q);
  b->k = precis_memory_array(keys, sizeof *b->k);
  b->v = precis_memory_array(keys, sizeof *b->v);
  b->scratch = precis_memory_array(scratch_floats(b->fast_memory), sizeof *b->scratch);
  b->partial.m = precis_memory_array(QUERIES, sizeof *b->partial.m);
  b->partial.l = precis_memory_array(QUERIES, sizeof *b->partial.l);
  b->partial.o = precis_memory_array(rows, sizeof *b->partial.o);
  b->tile_seconds = precis_memory_array(b->repeats, sizeof *b->tile_seconds);
  b->sgemm_seconds = precis_memory_array((int64_t)b->repeats * DIM_COUNT, sizeof *b->sgemm_seconds);
  int complete = b->a && b->b && b->c && b->q && b->k && b->v && b->scratch && b->partial.m &&
                 b->partial.l && b->partial.o && b->tile_seconds && b->sgemm_seconds;
  return complete ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

static void release(bench *b)
{
  void *all[] = {b->a,
                 b->b,
                 b->c,
                 b->q,
                 b->k,
                 b->v,
                 b->scratch,
                 b->partial.m,
                 b->partial.l,
                 b->partial.o,
                 b->tile_seconds,
                 b->sgemm_seconds};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    free(all[i]);
}

static void fill(bench *b)
{
  int dim = DIMS[DIM_COUNT - 1];
  precis_recipe recipe = {.spread = 1,
                          .problem = {.heads = 1, .kv_heads = 1, .dim = dim, .value_dim = dim}};
  precis_generate_rows(&recipe, PRECIS_ROLE_Q, 0, QUERIES, b->q);
  precis_generate_rows(&recipe, PRECIS_ROLE_K, 0, KEYS, b->k);
  precis_generate_rows(&recipe, PRECIS_ROLE_V, 0, KEYS, b->v);
  for (int64_t i = 0; i < (int64_t)ORDER * ORDER; i++) {
    b->a[i] = b->q[i % ((int64_t)QUERIES * dim)];
    b->b[i] = b->k[i % ((int64_t)KEYS * dim)];
  }
}

static double time_sgemm(bench *b)
{
  double start = MPI_Wtime();
  precis_sgemm_square(ORDER, b->a, b->b, b->c);
  return MPI_Wtime() - start;
}

/* QUERIES x KEYS, nothing masked, as precis_attend() does it: block after block of queries. */
static double time_tile(bench *b, int dim)
{
  precis_tile_shape shape = precis_tile_plan(dim, dim, b->fast_memory);
  precis_tile tile = {.keys = KEYS, .k = b->k, .v = b->v};
  const double scale = 1.4426950408889634 / sqrt(dim);
  double start = MPI_Wtime();
  precis_partial_clear(&b->partial, QUERIES, dim);
  for (int row = 0; row < QUERIES; row += shape.query_block) {
    int rows = QUERIES - row < shape.query_block ? QUERIES - row : shape.query_block;
    precis_partial at = precis_partial_at(&b->partial, row, dim);
    precis_tile_attend(&shape, &tile, rows, b->q + (int64_t)row * dim, dim, scale, NULL, &at,
                       b->scratch);
  }
  return MPI_Wtime() - start;
}

static int ascending(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(int count, double *values)
{
  qsort(values, (size_t)count, sizeof *values, ascending);
  return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void measure(bench *b)
{
  int sgemm_count = 0;
  time_sgemm(b); /* the first run pays for pages and clocks */
  for (int i = 0; i < DIM_COUNT; i++) {
    time_tile(b, DIMS[i]);
    for (int repeat = 0; repeat < b->repeats; repeat++) {
      b->sgemm_seconds[sgemm_count++] = time_sgemm(b);
      b->tile_seconds[repeat] = time_tile(b, DIMS[i]);
    }
    b->tile_gflops[i] = 4e-9 * QUERIES * KEYS * DIMS[i] / median(b->repeats, b->tile_seconds);
  }
  b->sgemm_gflops = 2e-9 * ORDER * ORDER * ORDER / median(sgemm_count, b->sgemm_seconds);
}

static void print_text(const bench *b)
{
  printf("one thread, fast memory %.1f MiB, medians of %d\n\n", (double)b->fast_memory / 1048576,
         b->repeats);
  printf("%-10s %6s %10s %8s\n", "kernel", "dim", "GFLOP/s", "ratio");
  printf("%-10s %6d %10.1f %8.3f\n", "sgemm", ORDER, b->sgemm_gflops, 1.);
  for (int i = 0; i < DIM_COUNT; i++)
    printf("%-10s %6d %10.1f %8.3f\n", "tile", DIMS[i], b->tile_gflops[i],
           b->tile_gflops[i] / b->sgemm_gflops);
}

static json_t *object_of(const bench *b)
{
  json_t *kernels = json_array();
  for (int i = 0; i < DIM_COUNT; i++)
    json_array_append_new(kernels, json_pack("{s:s, s:i, s:f, s:f}", "kernel", "tile", "dim",
                                             DIMS[i], "gflops", b->tile_gflops[i], "ratio",
                                             b->tile_gflops[i] / b->sgemm_gflops));
  return json_pack("{s:f, s:o}", "sgemm_gflops", b->sgemm_gflops, "kernels", kernels);
}

static int run(precis_cli *cli)
{
  precis_cache cache;
  bench b = {.repeats = cli->settings.repeats ? (int)cli->settings.repeats : REPEATS,
             .fast_memory = cli->settings.fast_memory};
  if (b.fast_memory == 0) /* one thread's part, as in a run with all of them */
    b.fast_memory = precis_cache_find(1, &cache) == 0 ? cache.fast_bytes / cache.cores
                                                      : PRECIS_CACHE_FALLBACK;
  precis_draft json = {0};
  int status = precis_json_open(cli, &json);
  if (status == PRECIS_SUCCESS)
    status = allocate(&b);
  if (status == PRECIS_SUCCESS) {
    int threads = precis_blas_threads(1);
    fill(&b);
    measure(&b);
    precis_blas_threads(threads);
    if (cli->settings.json != NULL)
      status = precis_json_save(cli, object_of(&b), &json);
    if (status == PRECIS_SUCCESS && precis_json_leaves_stdout(cli))
      print_text(&b);
  }
  precis_draft_discard(&json);
  release(&b);
  return status;
}

int precis_command_bench(precis_cli *cli)
{
  const char *what = cli->settings.operand_count > 0 ? cli->settings.operands[0] : NULL;
  if (what == NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "bench needs the name of a benchmark: kernels");
  if (strcmp(what, "moves") == 0)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "bench moves is not in this version (%s)", precis_version());
  if (strcmp(what, "kernels") != 0)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "unknown benchmark '%s'; there is: kernels", what);
  if (cli->world.ranks > 1)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "bench kernels measures one rank, this job has %d", cli->world.ranks);
  precis_cli_phase(cli, "measuring kernels");
  return precis_cli_agree(cli, run(cli));
}
