#include "src/cli/bench_attend.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/blas.h"
#include "src/base/memory.h"
#include "src/base/problem.h"
#include "src/base/share.h"
#include "src/cli/json.h"
#include "src/measure/sgemm.h"
#include "src/oracle/generate.h"

enum { REPEATS = 5, ORDER = 2048 };

/* One handle, and what its calls took: of all ranks the slowest. */
typedef struct bench {
  precis_cli *cli;
  precis_problem problem;
  int64_t queries, keys; /* of all ranks */
  int64_t rows, key_rows;
  float *q, *k, *v, *out;
  float *matrices; /* three for sgemm */
  int repeats;
  double first, *calls, *sgemm; /* seconds; calls and sgemm: repeats, in turn */
  precis_report report;         /* of the last call */
} bench;

static void release(bench *b)
{
  float *all[] = {b->q, b->k, b->v, b->out, b->matrices};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    free(all[i]);
  free(b->calls);
  free(b->sgemm);
}

static int take_shape(precis_cli *cli, bench *b)
{
  const precis_settings *s = &cli->settings;
  const char *missing = s->shape.tokens == 0  ? "--tokens"
                        : s->shape.heads == 0 ? "--heads"
                        : s->shape.dim == 0   ? "--dim"
                                              : NULL;
  if (missing != NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "%s is missing", missing);
  *b = (bench){.cli = cli,
               .keys = s->shape.tokens,
               .queries = s->shape.queries > 0 ? s->shape.queries : s->shape.tokens,
               .repeats = s->bench.repeats > 0 ? (int)s->bench.repeats : REPEATS,
               .problem = {.heads = (int)s->shape.heads,
                           .kv_heads = (int)s->shape.kv_heads,
                           .dim = (int)s->shape.dim,
                           .value_dim = (int)s->shape.value_dim,
                           .causal = s->shape.causal}};
  b->rows = precis_share_rows(b->queries, cli->world.ranks, cli->world.rank);
  b->key_rows = precis_share_rows(b->keys, cli->world.ranks, cli->world.rank);
  return precis_problem_settle(&b->problem, &cli->why);
}

/* Collective. This rank's rows. */
static int fill(bench *b)
{
  precis_cli *cli = b->cli;
  const precis_problem *p = &b->problem;
  const precis_recipe recipe = {.kind = PRECIS_KIND_GAUSS,
                                .problem = *p,
                                .spread = cli->settings.made.spread,
                                .signal = cli->settings.made.signal,
                                .seed = 1};
  int status = precis_cli_floats(cli, "queries", b->rows, (int64_t)p->heads * p->dim, &b->q);
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(cli, "keys", b->key_rows, (int64_t)p->kv_heads * p->dim, &b->k);
  if (status == PRECIS_SUCCESS)
    status =
        precis_cli_floats(cli, "values", b->key_rows, (int64_t)p->kv_heads * p->value_dim, &b->v);
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(cli, "outputs", b->rows, (int64_t)p->heads * p->value_dim, &b->out);
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(cli, "matrices", 3, (int64_t)ORDER * ORDER, &b->matrices);
  if (status != PRECIS_SUCCESS)
    return status;
  b->calls = precis_memory_array(b->repeats, sizeof *b->calls);
  b->sgemm = precis_memory_array(b->repeats, sizeof *b->sgemm);
  status = precis_cli_agree(cli, b->calls && b->sgemm ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY);
  if (status != PRECIS_SUCCESS)
    return status;
  int64_t first = precis_share_first(b->queries, cli->world.ranks, cli->world.rank),
          first_key = precis_share_first(b->keys, cli->world.ranks, cli->world.rank);
  precis_generate_rows(&recipe, PRECIS_ROLE_Q, first, b->rows, b->q);
  precis_generate_rows(&recipe, PRECIS_ROLE_K, first_key, b->key_rows, b->k);
  precis_generate_rows(&recipe, PRECIS_ROLE_V, first_key, b->key_rows, b->v);
  for (int64_t i = 0; i < 3 * (int64_t)ORDER * ORDER; i++)
    b->matrices[i] = (float)(i % 7) - 3;
  return PRECIS_SUCCESS;
}

static void keep_message(void *context, const char *text)
{
  precis_message_set(context, PRECIS_SUCCESS, "%s", text);
}

/* Collective. Of one of so many calls, from the moment at which all ranks are there to that at
 * which all are done. */
static int time_calls(bench *b, precis_attention *a, int count, double *seconds)
{
  precis_world *world = &b->cli->world;
  int status = PRECIS_SUCCESS;
  b->report = (precis_report)PRECIS_REPORT_INIT;
  precis_world_barrier(world);
  double start = MPI_Wtime();
  for (int i = 0; i < count && status == PRECIS_SUCCESS; i++)
    status = precis_attend(a, b->rows, b->q, b->out, NULL, &b->report);
  *seconds = (MPI_Wtime() - start) / count;
  if (MPI_Allreduce(MPI_IN_PLACE, seconds, 1, MPI_DOUBLE, MPI_MAX, world->comm))
    return PRECIS_ERR_MPI;
  return status;
}

/* Collective. Later calls, as callers make them: one after the other. sgemm has put what they use
 * out of the caches, so the first one is not counted; short ones are, over 20 ms. */
static int time_later(bench *b, precis_attention *a, double *seconds)
{
  const double enough = .02;
  int status = time_calls(b, a, 1, seconds), count = 1;
  if (*seconds < enough)
    count = (int)fmin(1000, ceil(enough / fmax(*seconds, 1e-6)));
  return status == PRECIS_SUCCESS ? time_calls(b, a, count, seconds) : status;
}

/* Collective. On all ranks at once, a thread each. */
static int time_sgemm(bench *b, double *seconds)
{
  precis_world *world = &b->cli->world;
  const int64_t square = (int64_t)ORDER * ORDER;
  precis_world_barrier(world);
  double start = MPI_Wtime();
  precis_sgemm_square(ORDER, b->matrices, b->matrices + square, b->matrices + 2 * square);
  *seconds = MPI_Wtime() - start;
  return MPI_Allreduce(MPI_IN_PLACE, seconds, 1, MPI_DOUBLE, MPI_MAX, world->comm) ? PRECIS_ERR_MPI
                                                                                   : PRECIS_SUCCESS;
}

static int measure(bench *b)
{
  precis_cli *cli = b->cli;
  const precis_settings *s = &cli->settings;
  const precis_options options = {.move = precis_settings_move(s),
                                  .tol = fmax(s->want.tol, 0),
                                  .tol_of = (precis_unit)s->want.tol_of,
                                  .degree = (int)s->want.degree,
                                  .threads = (int)s->machine.threads,
                                  .fast_memory_bytes = s->machine.fast_memory,
                                  .machine = s->machine.rates,
                                  .message = keep_message,
                                  .context = &cli->why};
  precis_attention *a = NULL;
  int status = precis_create(cli->world.comm, &b->problem, &options, &a);
  if (status == PRECIS_SUCCESS)
    status = precis_append(a, b->key_rows, b->k, b->v, NULL);
  if (status == PRECIS_SUCCESS)
    status = time_calls(b, a, 1, &b->first);
  int threads = precis_blas_threads(1);
  for (int i = 0; i < b->repeats && status == PRECIS_SUCCESS; i++) {
    status = time_sgemm(b, &b->sgemm[i]);
    if (status == PRECIS_SUCCESS)
      status = time_later(b, a, &b->calls[i]);
  }
  precis_blas_threads(threads);
  precis_destroy(&a);
  return status;
}

static int ascending(const void *a, const void *b)
{
  const double *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static double median(double *x, int count)
{
  qsort(x, (size_t)count, sizeof *x, ascending);
  return count % 2 ? x[count / 2] : (x[count / 2 - 1] + x[count / 2]) / 2;
}

/* What exact attention would have to compute: two products for each visible pair of each head. */
static double flops(const bench *b)
{
  const precis_problem *p = &b->problem;
  double n = (double)b->queries, m = (double)b->keys, pairs = n * m;
  if (p->causal)
    pairs = n <= m ? n * (m - n) + n * (n + 1) / 2 : m * (m + 1) / 2;
  return 2 * pairs * p->heads * (p->dim + p->value_dim);
}

typedef struct figures {
  double later, gflops, sgemm_gflops, ratio; /* ratio: of a rank's rate to sgemm's */
} figures;

static figures figures_of(bench *b)
{
  int ranks = b->cli->world.ranks;
  figures f = {.later = median(b->calls, b->repeats)};
  f.gflops = 1e-9 * flops(b) / f.later;
  f.sgemm_gflops = 2e-9 * ORDER * ORDER * ORDER / median(b->sgemm, b->repeats);
  f.ratio = f.gflops / ranks / f.sgemm_gflops;
  return f;
}

static void print_text(const bench *b, const figures *f)
{
  const precis_problem *p = &b->problem;
  printf("shape      %" PRId64 " queries, %" PRId64 " keys, %d heads, d %d%s, %d ranks\n",
         b->queries, b->keys, p->heads, p->dim, p->causal ? ", causal" : "", b->cli->world.ranks);
  printf("move       %s\n", b->report.why);
  printf("first      %.6f s, the first call of a handle\n", b->first);
  printf("later      %.6f s, median of %d times on the same keys%s\n", f->later, b->repeats,
         b->report.kept ? ", by the summary that the first one left" : "");
  printf("rate       %.1f GFLOP/s of exact attention (2 (d + d_v) flops for each visible pair)\n",
         f->gflops);
  printf("sgemm      %.1f GFLOP/s a rank, all ranks at once, in the same run; attention is %.2f of "
         "it\n",
         f->sgemm_gflops, f->ratio);
}

static json_t *object_of(const bench *b, const figures *f)
{
  json_t *object = json_pack(
      "{s:s, s:o, s:o, s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:b, s:s}", "precis",
      precis_version(), "queries", precis_json_integer(b->queries), "keys",
      precis_json_integer(b->keys), "first_seconds", precis_json_number(b->first), "later_seconds",
      precis_json_number(f->later), "ranks", b->cli->world.ranks, "repeats", b->repeats, "gflops",
      precis_json_number(f->gflops), "sgemm_gflops", precis_json_number(f->sgemm_gflops),
      "sgemm_ratio", precis_json_number(f->ratio), "promise", precis_json_number(b->report.promise),
      "promise_range", precis_json_number(b->report.promise_range), "kept", b->report.kept, "why",
      b->report.why);
  if (object != NULL)
    json_object_set_new(object, "move", json_string(precis_move_name(b->report.move)));
  return object;
}

int precis_bench_attend(precis_cli *cli)
{
  bench b;
  precis_draft json = {0};
  int status = precis_cli_agree(cli, take_shape(cli, &b));
  if (status != PRECIS_SUCCESS)
    return status;
  precis_cli_phase(cli, "measuring calls");
  status = cli->world.rank == 0 ? precis_json_open(cli, &json) : PRECIS_SUCCESS;
  status = precis_cli_agree(cli, status);
  if (status == PRECIS_SUCCESS)
    status = fill(&b);
  if (status == PRECIS_SUCCESS)
    status = precis_cli_agree(cli, measure(&b));
  if (status == PRECIS_SUCCESS && cli->world.rank == 0) {
    const figures f = figures_of(&b);
    if (cli->settings.files.json != NULL)
      status = precis_json_save(cli, object_of(&b, &f), &json);
    if (status == PRECIS_SUCCESS && precis_json_leaves_stdout(cli))
      print_text(&b, &f);
  }
  precis_draft_discard(&json);
  release(&b);
  return precis_cli_agree(cli, status);
}
