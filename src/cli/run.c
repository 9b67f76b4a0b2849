/* run.c - precis run: files in, attention, files out */
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "src/cli/interrupt.h"
#include "src/cli/json.h"
#include "src/cli/run.h"
#include "src/base/memory.h"
#include "src/base/share.h"
#include "topology/cache.h"

static int check_options(precis_cli *cli)
{
  const precis_settings *s = &cli->settings;
  if (s->run.restart && s->files.out == NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "--restart needs --out");
  return precis_settings_check_move(s, &cli->why);
}

/* Callbacks of the library: one context for both. */
static void keep_message(void *context, const char *text)
{
  precis_run *r = context;
  precis_message_set(&r->cli->why, PRECIS_SUCCESS, "%s", text);
}

/* share: of the batch. */
static void show_progress(void *context, double share)
{
  precis_run *r = context;
  int64_t resumed = r->report.batches.resumed_rows;
  double before = (double)(r->batch.start - resumed), all = (double)(r->input.queries - resumed);
  precis_progress_show(&r->progress, (before + share * (double)r->batch.size) / all);
}

static char *waits(const void *attention, char *text, size_t size)
{
  return precis_attention_waits(attention, text, size);
}

static int create(precis_run *r)
{
  const precis_settings *s = &r->cli->settings;
  precis_options options = {.move = precis_settings_move(s),
                            .tol = fmax(s->want.tol, 0),
                            .tol_of = (precis_unit)s->want.tol_of,
                            .guarantee = (precis_guarantee)s->want.guarantee,
                            .degree = (int)s->want.degree,
                            .threads = (int)s->machine.threads,
                            .fast_memory_bytes = s->machine.fast_memory,
                            .machine = s->machine.rates,
                            .memory_limit_bytes = precis_run_limit_left(r),
                            .results_in_place = 1,
                            .message = keep_message,
                            .progress = show_progress,
                            .context = r};
  if (s->machine.threads > 0)
    omp_set_num_threads((int)s->machine.threads);
  int status = precis_create(r->cli->world.comm, &r->input.problem, &options, &r->attention);
  if (status == PRECIS_SUCCESS)
    precis_watchdog_look(&r->cli->watchdog, waits, r->attention);
  return status;
}

/* Collective, like precis_destroy(). */
static int destroy(precis_run *r)
{
  precis_cli_watch(r->cli);
  return precis_destroy(&r->attention);
}

static int64_t key_rows(const precis_run *r)
{
  return precis_share_rows(r->input.keys, r->cli->world.ranks, r->cli->world.rank);
}

static int read_keys(void *context, float *k, float *v, float *bias)
{
  precis_run *r = context;
  precis_cli *cli = r->cli;
  int64_t first = precis_share_first(r->input.keys, cli->world.ranks, cli->world.rank);
  int64_t rows = key_rows(r), row = 0;
  int status = precis_input_read_keys(cli, &r->input, first, rows, k, v, bias);
  while (status == PRECIS_SUCCESS && bias != NULL && row < rows && bias[row] <= PRECIS_BIAS_MASK)
    row++;
  r->first_key = row < rows ? first + row : INT64_MAX;
  return status;
}

/* Keys and values are read to where they stay, so that they are in memory once. */
static int append(precis_run *r)
{
  double start = precis_cli_phase(r->cli, "reading keys and values");
  int status = precis_append_in_place(r->attention, key_rows(r), r->input.has_bias, read_keys, r);
  r->report.seconds_read += precis_cli_phase(r->cli, "attending") - start;
  return status;
}

static int attend(precis_run *r)
{
  int status = precis_run_batches(r), destroyed = destroy(r);
  return status != PRECIS_SUCCESS ? status : destroyed;
}

static int64_t peak_bytes(void)
{
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}

/* What keeps ranks from having their machine to themselves is said once, with the results. */
static int look_at_machines(precis_run *r)
{
  const precis_settings *s = &r->cli->settings;
  return s->quiet && s->files.json == NULL ? PRECIS_SUCCESS
                                           : precis_topo_gather(r->cli, &r->machines);
}

static void complete_report(precis_run *r)
{
  precis_cli *cli = r->cli;
  precis_cache cache;
  r->report.machines = r->machines;
  r->report.settings = &cli->settings;
  strcpy(r->report.cpu, "unknown");
  if (cli->world.rank == 0 && precis_cache_find(1, &cache) == 0)
    memcpy(r->report.cpu, cache.cpu, sizeof r->report.cpu);
  r->report.seconds_read = precis_cli_largest(cli, r->report.seconds_read);
  r->report.seconds_verify = precis_cli_largest(cli, r->report.seconds_verify);
  r->report.seconds_write = precis_cli_largest(cli, r->report.seconds_write);
  r->report.peak_bytes = (int64_t)precis_cli_largest(cli, (double)peak_bytes());
  r->report.seconds_total = precis_cli_largest(cli, precis_cli_now() - cli->started);
}

static int print_report(precis_run *r)
{
  precis_cli *cli = r->cli;
  int status = PRECIS_SUCCESS;
  if (cli->world.rank != 0)
    return status;
  if (cli->settings.files.json != NULL)
    status = precis_json_save(cli, precis_report_json(&r->report), &r->outputs.json);
  if (status == PRECIS_SUCCESS && precis_cli_prints(cli) && precis_json_leaves_stdout(cli))
    precis_report_print(&r->report, stdout);
  return status;
}

/* One line, and no report: that is for the run that completes. */
static void say_interrupted(precis_run *r)
{
  r->cli->interrupted = 1;
  if (r->cli->world.rank == 0)
    fprintf(stderr,
            "precis: interrupted by %s after %" PRId64 " of %" PRId64
            " queries; the same command resumes\n",
            precis_interrupt_name(r->told), r->done, r->input.queries);
}

static int finish(precis_run *r)
{
  precis_run_unit_report(r);
  int status = precis_run_verify(r);
  if (status == PRECIS_SUCCESS)
    status = look_at_machines(r);
  if (status != PRECIS_SUCCESS)
    return status;
  int good = precis_run_judge(r);
  if (good == PRECIS_SUCCESS)
    status = precis_run_commit(r);
  if (status != PRECIS_SUCCESS)
    return status;
  complete_report(r);
  status = precis_cli_agree(r->cli, print_report(r));
  return status != PRECIS_SUCCESS ? status : good;
}

static int compute(precis_run *r)
{
  int status = precis_run_limit_check(r);
  if (status == PRECIS_SUCCESS)
    status = precis_run_sample_begin(r);
  if (status == PRECIS_SUCCESS)
    status = create(r);
  if (status == PRECIS_SUCCESS)
    status = append(r);
  if (status == PRECIS_SUCCESS)
    status = attend(r);
  if (status != PRECIS_SUCCESS)
    return status;
  if (r->settled)
    return finish(r);
  say_interrupted(r);
  return PRECIS_SUCCESS;
}

static int make_worth(precis_run *r)
{
  int heads = r->input.problem.heads;
  r->heads = precis_memory_array(heads, sizeof *r->heads);
  int status = precis_worth_create(heads, &r->worth);
  if (status == PRECIS_SUCCESS)
    status = precis_worth_batch_create(heads, &r->last);
  if (status == PRECIS_SUCCESS)
    status = precis_groups_create(heads, &r->report.groups);
  return precis_cli_agree(r->cli, r->heads ? status : PRECIS_ERR_MEMORY);
}

static int open_files(precis_run *r)
{
  precis_cli *cli = r->cli;
  precis_cli_phase(cli, "opening files");
  int status = precis_input_open(cli, &r->input);
  r->report.problem = r->input.problem;
  r->report.queries = r->input.queries;
  if (status == PRECIS_SUCCESS)
    status = make_worth(r);
  if (status == PRECIS_SUCCESS)
    status = precis_run_look(r);
  if (status == PRECIS_SUCCESS)
    status = precis_outputs_open(cli, &r->input, &r->checkpoint, &r->outputs);
  if (status == PRECIS_ERR_FORMAT && r->checkpoint.rows > 0)
    precis_run_offer_restart(r, status);
  return status == PRECIS_SUCCESS ? precis_run_forget(r) : status;
}

int precis_command_run(precis_cli *cli)
{
  precis_run r = {.cli = cli};
  int status = check_options(cli);
  if (status == PRECIS_SUCCESS)
    status = open_files(&r);
  if (status == PRECIS_SUCCESS)
    status = compute(&r);
  precis_run_leave(&r, status);
  destroy(&r);
  precis_input_close(&r.input);
  precis_run_sample_free(&r);
  precis_groups_free(&r.report.groups);
  precis_worth_batch_free(&r.last);
  precis_worth_free(&r.worth);
  free(r.machines);
  free(r.heads);
  free(r.progress_path);
  return status;
}
