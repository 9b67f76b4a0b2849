/* run.c - precis run: files in, attention, files out */
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "mpi/attention.h"
#include "mpi/verify.h"
#include "src/cli/cli.h"
#include "src/cli/input.h"
#include "src/cli/json.h"
#include "src/cli/outputs.h"
#include "src/cli/progress.h"
#include "src/cli/report.h"
#include "src/share.h"
#include "topology/cache.h"

typedef struct run {
  precis_cli *cli;
  precis_input input;
  precis_outputs outputs;
  precis_attention *attention;
  precis_progress progress;
  int64_t first, rows;  /* this rank's queries */
  float *q, *out, *lse; /* of those; lse NULL: not wanted */
  precis_run_report report;
} run;

/* Callbacks of the library: one context for both. */
static void keep_message(void *context, const char *text)
{
  run *r = context;
  precis_message_set(&r->cli->why, PRECIS_SUCCESS, "%s", text);
}

static void show_progress(void *context, double share)
{
  run *r = context;
  precis_progress_show(&r->progress, share);
}

/* Bytes of the arrays that this program itself holds on the rank with most rows: while keys and
 * values are handed over, and while it attends. */
typedef struct own_bytes {
  double handing_over, attending;
} own_bytes;

static own_bytes own_bytes_of(const run *r)
{
  const precis_problem *p = &r->input.problem;
  double keys = (double)precis_share_rows(r->input.keys, r->cli->world.ranks, 0),
         queries = (double)precis_share_rows(r->input.queries, r->cli->world.ranks, 0);
  return (own_bytes){4 * keys * (p->kv_heads * (double)(p->dim + p->value_dim) + r->input.has_bias),
                     4 * queries * p->heads *
                         (p->dim + p->value_dim + (precis_outputs_want_lse(&r->outputs) != 0))};
}

static int64_t limit_for_library(const run *r)
{
  int64_t limit = r->cli->settings.memory_limit;
  return limit > 0 ? limit - (int64_t)own_bytes_of(r).attending : 0;
}

/* The limit must leave room for what no plan can do without. */
static int check_limit(run *r)
{
  double limit = (double)r->cli->settings.memory_limit, handing = 2 * own_bytes_of(r).handing_over,
         attending = own_bytes_of(r).attending + own_bytes_of(r).handing_over,
         least = handing > attending ? handing : attending;
  if (limit == 0 || least < limit)
    return PRECIS_SUCCESS;
  return precis_message_set(&r->cli->why, PRECIS_ERR_MEMORY,
                            "--memory-limit is %.0f bytes a rank, but its rows alone take %.0f: "
                            "%.0f bytes are missing",
                            limit, least, least - limit);
}

/* The library knows what is left of the limit only. */
static void explain_limit(run *r)
{
  precis_message why = r->cli->why;
  precis_message_set(&r->cli->why, PRECIS_ERR_MEMORY,
                     "%.300s (of --memory-limit %" PRId64 ", queries and results take %.0f)",
                     why.text, r->cli->settings.memory_limit, own_bytes_of(r).attending);
}

static int create(run *r)
{
  const precis_settings *s = &r->cli->settings;
  precis_options options = {.move = precis_settings_move(s),
                            .tol = fmax(s->tol, 0),
                            .guarantee = (precis_guarantee)s->guarantee,
                            .degree = (int)s->degree,
                            .threads = (int)s->threads,
                            .fast_memory_bytes = s->fast_memory,
                            .machine = s->machine,
                            .memory_limit_bytes = limit_for_library(r),
                            .message = keep_message,
                            .progress = show_progress,
                            .context = r};
  if (s->threads > 0)
    omp_set_num_threads((int)s->threads);
  int status = precis_create(r->cli->world.comm, &r->input.problem, &options, &r->attention);
  if (status == PRECIS_SUCCESS)
    precis_watchdog_look(&r->cli->watchdog, &r->attention->world.waiting);
  return status;
}

/* Collective, like precis_destroy(). */
static int destroy(run *r)
{
  precis_watchdog_look(&r->cli->watchdog, &r->cli->world.waiting);
  return precis_destroy(&r->attention);
}

/* Keys and values are read, handed over and let go: the library has its own copy. */
static int append(run *r)
{
  precis_cli *cli = r->cli;
  const precis_problem *p = &r->input.problem;
  int64_t first = precis_share_first(r->input.keys, cli->world.ranks, cli->world.rank);
  int64_t rows = precis_share_rows(r->input.keys, cli->world.ranks, cli->world.rank);
  float *k = NULL, *v = NULL, *bias = NULL;
  double start = precis_cli_phase(cli, "reading keys and values");
  int status = precis_cli_floats(cli, "keys", rows, (int64_t)p->kv_heads * p->dim, &k);
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(cli, "values", rows, (int64_t)p->kv_heads * p->value_dim, &v);
  if (status == PRECIS_SUCCESS && r->input.has_bias)
    status = precis_cli_floats(cli, "biases", rows, 1, &bias);
  if (status == PRECIS_SUCCESS)
    status = precis_input_read_keys(cli, &r->input, first, rows, k, v, bias);
  r->report.seconds_read += precis_cli_phase(cli, "handing over keys and values") - start;
  if (status == PRECIS_SUCCESS)
    status = precis_append(r->attention, rows, k, v, bias);
  free(bias);
  free(v);
  free(k);
  return status;
}

static int read_queries(run *r)
{
  precis_cli *cli = r->cli;
  const precis_problem *p = &r->input.problem;
  r->first = precis_share_first(r->input.queries, cli->world.ranks, cli->world.rank);
  r->rows = precis_share_rows(r->input.queries, cli->world.ranks, cli->world.rank);
  double start = precis_cli_phase(cli, "reading queries");
  int status = precis_cli_floats(cli, "queries", r->rows, (int64_t)p->heads * p->dim, &r->q);
  if (status == PRECIS_SUCCESS)
    status = precis_file_read(&cli->world, &r->input.q, r->first, r->rows, 0, r->q, &cli->why);
  r->report.seconds_read += precis_cli_phase(cli, "making room for outputs") - start;
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(cli, "outputs", r->rows, (int64_t)p->heads * p->value_dim, &r->out);
  if (status == PRECIS_SUCCESS && precis_outputs_want_lse(&r->outputs))
    status = precis_cli_floats(cli, "lse", r->rows, p->heads, &r->lse);
  return status;
}

static int attend(run *r)
{
  precis_cli *cli = r->cli;
  precis_cli_phase(cli, "attending");
  precis_progress_start(&r->progress, precis_cli_prints(cli));
  int status;
  if (cli->settings.first_position >= 0)
    status = precis_attend_at(r->attention, r->input.first_position + r->first, r->rows, r->q,
                              r->out, r->lse, &r->report.attend);
  else
    status = precis_attend(r->attention, r->rows, r->q, r->out, r->lse, &r->report.attend);
  precis_progress_end(&r->progress);
  if (status == PRECIS_ERR_MEMORY && cli->settings.memory_limit > 0)
    explain_limit(r);
  int destroyed = destroy(r);
  return status != PRECIS_SUCCESS ? status : destroyed;
}

/* Sampled rows from the memory of the rank that has them. */
static int share_queries(void *context, int64_t count, const int64_t *rows, float *q, float *out,
                         precis_message *why)
{
  run *r = context;
  precis_world *world = &r->cli->world;
  const precis_problem *p = &r->input.problem;
  int q_width = p->heads * p->dim, out_width = p->heads * p->value_dim, failed = 0;
  for (int64_t i = 0; i < count; i++) {
    int owner = precis_share_part(r->input.queries, world->ranks, rows[i]);
    if (owner == world->rank) {
      int64_t local = rows[i] - r->first;
      memcpy(q + i * q_width, r->q + local * q_width, (size_t)q_width * sizeof *q);
      memcpy(out + i * out_width, r->out + local * out_width, (size_t)out_width * sizeof *out);
    }
    failed |= MPI_Bcast(q + i * q_width, q_width, MPI_FLOAT, owner, world->comm);
    failed |= MPI_Bcast(out + i * out_width, out_width, MPI_FLOAT, owner, world->comm);
  }
  return precis_world_agree(world, failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS, why);
}

static int reread_keys(void *context, int64_t first, int64_t rows, float *k, float *v, float *bias,
                       precis_message *why)
{
  run *r = context;
  (void)why; /* it is cli->why */
  return precis_input_read_keys(r->cli, &r->input, first, rows, k, v, bias);
}

static int verify(run *r)
{
  precis_cli *cli = r->cli;
  if (cli->settings.verify == 0)
    return PRECIS_SUCCESS;
  precis_verify_job job = {.problem = r->input.problem,
                           .queries = r->input.queries,
                           .keys = r->input.keys,
                           .first_position = r->input.first_position,
                           .has_bias = r->input.has_bias,
                           .rows = cli->settings.verify};
  precis_verify_source source = {share_queries, reread_keys, r};
  double start = precis_cli_phase(cli, "checking against double precision");
  int status = precis_verify(&cli->world, &job, &source, &r->report.measured, &cli->why);
  r->report.seconds_verify = precis_cli_phase(cli, "done checking") - start;
  return status;
}

/* What the reference in double precision may err by itself, in generous measure: far below what an
 * output in float32 can show. Columns of one value have a promise of 0. */
static const double REFERENCE_ERROR = 1e-9;

/* Outputs appear only if they are as good as promised: a broken proof is a bug, a broken estimate
 * a tolerance that was missed. */
static int check_measured(run *r)
{
  precis_message *why = &r->cli->why;
  double tol = r->cli->settings.tol, error = r->report.measured.max_error,
         promise = r->report.attend.promise;
  if (!r->report.attend.estimate && error > promise + REFERENCE_ERROR)
    return precis_message_set(why, PRECIS_ERR_INTERNAL,
                              "measured error %.3g exceeds the promise %.3g, please report it",
                              error, promise);
  if (r->report.attend.estimate && tol > 0 && error > tol)
    return precis_message_set(why, PRECIS_ERR_TOLERANCE,
                              "measured error %.3g exceeds --tol %g, estimated was %.3g", error,
                              tol, promise);
  return PRECIS_SUCCESS;
}

static int write_outputs(run *r)
{
  double start = precis_cli_phase(r->cli, "writing outputs");
  int status = precis_outputs_write(r->cli, &r->outputs, r->first, r->rows, r->out, r->lse);
  if (status == PRECIS_SUCCESS)
    status = precis_outputs_commit(r->cli, &r->outputs);
  r->report.seconds_write = precis_cli_phase(r->cli, "reporting") - start;
  return status;
}

static int64_t peak_bytes(void)
{
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}

static void complete_report(run *r)
{
  precis_cli *cli = r->cli;
  precis_cache cache;
  r->report.settings = &cli->settings;
  r->report.problem = r->input.problem;
  strcpy(r->report.cpu, "unknown");
  if (cli->world.rank == 0 && precis_cache_find(1, &cache) == 0)
    memcpy(r->report.cpu, cache.cpu, sizeof r->report.cpu);
  r->report.seconds_read = precis_cli_largest(cli, r->report.seconds_read);
  r->report.seconds_verify = precis_cli_largest(cli, r->report.seconds_verify);
  r->report.seconds_write = precis_cli_largest(cli, r->report.seconds_write);
  r->report.peak_bytes = (int64_t)precis_cli_largest(cli, (double)peak_bytes());
  r->report.seconds_total = precis_cli_largest(cli, MPI_Wtime() - cli->started);
}

static int print_report(run *r)
{
  precis_cli *cli = r->cli;
  int status = PRECIS_SUCCESS;
  if (cli->world.rank != 0)
    return status;
  if (cli->settings.json != NULL)
    status = precis_json_save(cli, precis_report_json(&r->report), &r->outputs.json);
  if (status == PRECIS_SUCCESS && precis_cli_prints(cli) && precis_json_leaves_stdout(cli))
    precis_report_print(&r->report, stdout);
  return status;
}

static int compute(run *r)
{
  int status = check_limit(r);
  if (status == PRECIS_SUCCESS)
    status = create(r);
  if (status == PRECIS_SUCCESS)
    status = append(r);
  if (status == PRECIS_SUCCESS)
    status = read_queries(r);
  if (status == PRECIS_SUCCESS)
    status = attend(r);
  if (status == PRECIS_SUCCESS)
    status = verify(r);
  if (status != PRECIS_SUCCESS)
    return status;
  int good = check_measured(r);
  if (good == PRECIS_SUCCESS)
    status = write_outputs(r);
  if (status != PRECIS_SUCCESS)
    return status;
  complete_report(r);
  status = precis_cli_agree(r->cli, print_report(r));
  return status != PRECIS_SUCCESS ? status : good;
}

int precis_command_run(precis_cli *cli)
{
  run r = {.cli = cli};
  precis_cli_phase(cli, "opening files");
  int status = precis_settings_check_move(&cli->settings, &cli->why);
  if (status == PRECIS_SUCCESS)
    status = precis_input_open(cli, &r.input);
  if (status == PRECIS_SUCCESS)
    status = precis_outputs_open(cli, &r.input, &r.outputs);
  if (status == PRECIS_SUCCESS)
    status = compute(&r);
  precis_outputs_discard(&r.outputs);
  destroy(&r);
  precis_input_close(&r.input);
  free(r.lse);
  free(r.out);
  free(r.q);
  return status;
}
