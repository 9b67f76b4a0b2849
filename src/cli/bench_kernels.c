/* bench_kernels.c - precis bench kernels: the kernels of one rank on one thread, beside BLAS
 *
 * A kernel and sgemm take turns, so that both meet the same clock and the same neighbours;
 * medians are compared. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/blas.h"
#include "src/cli/bench.h"
#include "src/cli/bench_attend.h"
#include "src/cli/bench_moves.h"
#include "src/cli/cli.h"
#include "src/cli/json.h"
#include "src/base/memory.h"
#include "src/measure/sgemm.h"
#include "topology/cache.h"

enum { REPEATS = 5, KERNELS_MOST = PRECIS_BENCH_KERNELS_MOST };

typedef struct measurement {
  int repeats;
  double *seconds;       /* repeats */
  double *sgemm_seconds; /* repeats for each kernel */
  double sgemm_gflops, gflops[KERNELS_MOST];
} measurement;

static int kernel_count(void)
{
  int count = 0;
  while (count < KERNELS_MOST && precis_bench_kernels[count].name != NULL)
    count++;
  return count;
}

static double time_sgemm(precis_bench *b)
{
  double start = MPI_Wtime();
  precis_sgemm_square(PRECIS_BENCH_ORDER, b->a, b->b, b->c);
  return MPI_Wtime() - start;
}

static double time_kernel(precis_bench *b, const precis_bench_kernel *kernel)
{
  double start = MPI_Wtime();
  kernel->run(b, kernel);
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

static void measure(precis_bench *b, measurement *m)
{
  int sgemm_count = 0;
  time_sgemm(b); /* the first run pays for pages and clocks */
  for (int i = 0; i < kernel_count(); i++) {
    const precis_bench_kernel *kernel = &precis_bench_kernels[i];
    time_kernel(b, kernel);
    for (int repeat = 0; repeat < m->repeats; repeat++) {
      m->sgemm_seconds[sgemm_count++] = time_sgemm(b);
      m->seconds[repeat] = time_kernel(b, kernel);
    }
    m->gflops[i] = 1e-9 * precis_bench_flops(kernel) / median(m->repeats, m->seconds);
  }
  m->sgemm_gflops = 2e-9 * PRECIS_BENCH_ORDER * PRECIS_BENCH_ORDER * PRECIS_BENCH_ORDER /
                    median(sgemm_count, m->sgemm_seconds);
}

static void print_text(const precis_bench *b, const measurement *m)
{
  printf("one thread, fast memory %.1f MiB, medians of %d, OpenBLAS takes this for %s\n\n",
         (double)b->fast_memory / 1048576, m->repeats, precis_sgemm_core());
  printf("%-16s %6s %7s %10s %8s\n", "kernel", "dim", "degree", "GFLOP/s", "ratio");
  printf("%-16s %6d %7s %10.1f %8.3f\n", "sgemm", PRECIS_BENCH_ORDER, "", m->sgemm_gflops, 1.);
  for (int i = 0; i < kernel_count(); i++) {
    const precis_bench_kernel *kernel = &precis_bench_kernels[i];
    char name[32], degree[16] = "";
    snprintf(name, sizeof name, "%s%s%s", kernel->name, kernel->form ? ", " : "",
             kernel->form ? kernel->form : "");
    if (kernel->degree > 0)
      snprintf(degree, sizeof degree, "%d", kernel->degree);
    printf("%-16s %6d %7s %10.1f %8.3f\n", name, kernel->dim, degree, m->gflops[i],
           m->gflops[i] / m->sgemm_gflops);
  }
}

static json_t *object_of(const measurement *m)
{
  json_t *kernels = json_array();
  for (int i = 0; i < kernel_count(); i++) {
    const precis_bench_kernel *kernel = &precis_bench_kernels[i];
    json_t *row = json_pack("{s:s, s:i, s:f, s:f}", "kernel", kernel->name, "dim", kernel->dim,
                            "gflops", m->gflops[i], "ratio", m->gflops[i] / m->sgemm_gflops);
    if (kernel->degree > 0)
      json_object_set_new(row, "degree", json_integer(kernel->degree));
    if (kernel->form != NULL)
      json_object_set_new(row, "form", json_string(kernel->form));
    json_array_append_new(kernels, row);
  }
  return json_pack("{s:f, s:s, s:o}", "sgemm_gflops", m->sgemm_gflops, "sgemm_core",
                   precis_sgemm_core(), "kernels", kernels);
}

/* One thread's part of the cache, as in a run with all of them. */
static int64_t fast_memory(const precis_settings *s)
{
  precis_cache cache;
  if (s->machine.fast_memory > 0)
    return s->machine.fast_memory;
  return precis_cache_find(1, &cache) == 0 ? cache.fast_bytes / cache.cores : PRECIS_CACHE_FALLBACK;
}

static int report(precis_cli *cli, const precis_bench *b, const measurement *m, precis_draft *json)
{
  int status = PRECIS_SUCCESS;
  if (cli->settings.files.json != NULL)
    status = precis_json_save(cli, object_of(m), json);
  if (status == PRECIS_SUCCESS && precis_json_leaves_stdout(cli))
    print_text(b, m);
  return status;
}

static int run(precis_cli *cli)
{
  precis_bench b = {.fast_memory = fast_memory(&cli->settings)};
  measurement m = {.repeats =
                       cli->settings.bench.repeats ? (int)cli->settings.bench.repeats : REPEATS};
  precis_draft json = {0};
  int status = precis_json_open(cli, &json);
  if (status == PRECIS_SUCCESS) {
    m.seconds = precis_memory_array(m.repeats, sizeof *m.seconds);
    m.sgemm_seconds =
        precis_memory_array((int64_t)m.repeats * kernel_count(), sizeof *m.sgemm_seconds);
    status = m.seconds && m.sgemm_seconds ? precis_bench_create(&b) : PRECIS_ERR_MEMORY;
  }
  if (status == PRECIS_SUCCESS) {
    int threads = precis_blas_threads(1);
    measure(&b, &m);
    precis_blas_threads(threads);
    status = report(cli, &b, &m, &json);
  }
  precis_draft_discard(&json);
  precis_bench_release(&b);
  free(m.sgemm_seconds);
  free(m.seconds);
  return status;
}

int precis_command_bench(precis_cli *cli)
{
  const char *what = cli->settings.operand_count > 0 ? cli->settings.operands[0] : NULL;
  if (what == NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "bench needs the name of a benchmark: kernels, moves or attend");
  if (strcmp(what, "attend") == 0)
    return precis_bench_attend(cli);
  if (cli->settings.shape.tokens > 0 || cli->settings.shape.heads > 0 || cli->settings.shape.dim > 0)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "shapes are for bench attend");
  if (strcmp(what, "moves") == 0)
    return precis_bench_moves(cli);
  if (strcmp(what, "kernels") != 0)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "unknown benchmark '%s'; there are: kernels, moves, attend", what);
  if (cli->settings.machine.rates != NULL || cli->settings.machine.threads > 0)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "%s goes with bench moves and bench attend",
                              cli->settings.machine.rates ? "--machine" : "--threads");
  if (cli->world.ranks > 1)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "bench kernels measures one rank, this job has %d", cli->world.ranks);
  precis_cli_phase(cli, "measuring kernels");
  return precis_cli_agree(cli, run(cli));
}
