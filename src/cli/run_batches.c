/* run_batches.c - queries in, outputs out, a batch at a time
 *
 * Batches are stretches of all queries, shared evenly over the ranks, so that what is done is one
 * number whatever the number of ranks. After each, ranks agree whether to go on. */
#include <math.h>
#include <stdlib.h>

#include "src/cli/batches.h"
#include "src/cli/interrupt.h"
#include "src/cli/run.h"
#include "src/base/share.h"

int64_t precis_run_batch_most(const precis_run *r)
{
  int64_t most = r->cli->settings.run.batch_rows;
  return most > 0 && most < r->input.queries ? most : r->input.queries;
}

/* Of exact attention for the queries that are left, by the rates of the machine at hand. */
static double foretell(const precis_run *r)
{
  const precis_problem *p = &r->input.problem;
  double left = (double)(r->input.queries - r->done), seen = (double)r->input.keys;
  if (p->causal)
    seen = fmin(
        seen, fmax((double)r->input.first_position + (double)(r->done + r->input.queries) / 2, 1));
  return precis_attention_foretell(r->attention, left * seen * p->heads / r->cli->world.ranks);
}

/* The next batch, after `rows` that took `seconds`. In one go where nothing can be resumed. */
static int64_t next_size(const precis_run *r, int64_t rows, double seconds)
{
  const precis_settings *s = &r->cli->settings;
  int64_t left = r->input.queries - r->done, most = precis_run_batch_most(r);
  if (s->run.batch_rows > 0 || r->progress_path == NULL)
    return most < left ? most : left;
  return precis_batches_next(left, r->cli->world.ranks, rows, seconds, s->run.checkpoint_every);
}

static int begin(precis_run *r, int64_t start_row, int64_t size)
{
  precis_cli *cli = r->cli;
  precis_batch *b = &r->batch;
  const precis_problem *p = &r->input.problem;
  int ranks = cli->world.ranks, rank = cli->world.rank;
  *b = (precis_batch){.start = start_row,
                      .size = size,
                      .first = start_row + precis_share_first(size, ranks, rank),
                      .rows = precis_share_rows(size, ranks, rank)};
  double start = precis_cli_phase(cli, "reading queries");
  int status = precis_cli_floats(cli, "queries", b->rows, (int64_t)p->heads * p->dim, &b->q);
  if (status == PRECIS_SUCCESS)
    status = precis_file_read(&cli->world, &r->input.q, b->first, b->rows, 0, b->q, &cli->why);
  r->report.seconds_read += precis_cli_phase(cli, "making room for outputs") - start;
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(cli, "outputs", b->rows, (int64_t)p->heads * p->value_dim, &b->out);
  if (status == PRECIS_SUCCESS && precis_outputs_want_lse(&r->outputs))
    status = precis_cli_floats(cli, "lse", b->rows, p->heads, &b->lse);
  if (status == PRECIS_SUCCESS && precis_outputs_want_bounds(&r->outputs))
    status = precis_cli_floats(cli, "bounds", b->rows, p->heads, &b->bounds);
  return status;
}

static int attend(precis_run *r, int again)
{
  precis_cli *cli = r->cli;
  const precis_batch *b = &r->batch;
  precis_report report = PRECIS_REPORT_INIT;
  precis_cli_phase(cli, "attending");
  const precis_results results = {b->out, b->lse, b->bounds};
  int64_t position = r->input.first_position + b->first;
  int status = precis_attend_results(r->attention, &position, b->rows, b->q, &results, &report);
  if (status == PRECIS_ERR_MEMORY && cli->settings.machine.memory_limit > 0)
    precis_run_limit_explain(r);
  if (status == PRECIS_SUCCESS)
    status = precis_worth_batch_take(r->attention, &r->last);
  if (status == PRECIS_SUCCESS)
    precis_groups_add(&r->report.groups, r->attention,
                      precis_report_add(&r->report, &report, again));
  return status;
}

static int write_batch(precis_run *r, int again)
{
  const precis_batch *b = &r->batch;
  const precis_results results = {b->out, b->lse, b->bounds};
  double start = precis_cli_phase(r->cli, "writing outputs");
  int status = precis_outputs_write(r->cli, &r->outputs, b->first, b->rows, again, &results);
  r->report.seconds_write += precis_cli_phase(r->cli, "going on") - start;
  return status;
}

static int run_batch(precis_run *r, int64_t start, int64_t size, int again)
{
  precis_batch *b = &r->batch;
  int status = begin(r, start, size);
  if (status == PRECIS_SUCCESS)
    status = attend(r, again);
  if (status == PRECIS_SUCCESS)
    status = precis_run_sample_batch(r);
  if (status == PRECIS_SUCCESS)
    status = write_batch(r, again);
  free(b->bounds);
  free(b->lse);
  free(b->out);
  free(b->q);
  b->q = b->out = b->lse = b->bounds = NULL;
  return status;
}

int precis_run_batch_again(precis_run *r, int64_t first, int64_t size)
{
  return run_batch(r, first, size, 1);
}

static int run_next(precis_run *r, int64_t size)
{
  int status = run_batch(r, r->done, size, 0);
  if (status == PRECIS_SUCCESS) {
    r->done += size;
    precis_worth_add(&r->worth, r->done, &r->last);
  }
  return status;
}

/* Whether any rank was told to stop, and how long it all takes: what ranks decide by is the same on
 * all of them. */
static int meet(precis_run *r, double started, double saved, double *took, double *unsaved)
{
  double now = precis_cli_now();
  double most[] = {precis_interrupt_signal(), now - started, now - saved};
  if (MPI_Allreduce(MPI_IN_PLACE, most, 3, MPI_DOUBLE, MPI_MAX, r->cli->world.comm))
    return PRECIS_ERR_MPI;
  r->told = (int)most[0];
  *took = most[1];
  *unsaved = most[2];
  return PRECIS_SUCCESS;
}

int precis_run_ask(precis_run *r)
{
  double took, unsaved;
  return meet(r, 0, 0, &took, &unsaved);
}

/* A batch may end a little before its time. */
static const double NEARLY = .5;

int precis_run_batches(precis_run *r)
{
  double started = precis_cli_now(), saved = started, took, unsaved;
  int64_t left = r->input.queries - r->done, size = next_size(r, left, foretell(r));
  precis_progress_start(&r->progress, precis_cli_prints(r->cli));
  int status = precis_run_unit_begin(r, size);
  if (status == PRECIS_SUCCESS)
    status = meet(r, started, saved, &took, &unsaved);
  while (status == PRECIS_SUCCESS && r->told == 0 && r->done < r->input.queries) {
    started = precis_cli_now();
    status = run_next(r, size);
    if (status == PRECIS_SUCCESS)
      status = meet(r, started, saved, &took, &unsaved);
    if (status != PRECIS_SUCCESS || r->done == r->input.queries)
      break;
    int due = r->told != 0 || unsaved >= NEARLY * r->cli->settings.run.checkpoint_every;
    if (due && r->progress_path != NULL) {
      status = precis_run_save(r);
      saved = precis_cli_now();
    }
    size = next_size(r, size, took);
  }
  if (status == PRECIS_SUCCESS && r->done == r->input.queries)
    status = precis_run_unit_settle(r);
  precis_progress_end(&r->progress);
  return status;
}
