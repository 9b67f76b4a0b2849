/* run_unit.c - batches are judged as if they were one: by the mean of all queries, and R of all
 * rows
 *
 * See precis_unit in precis.h. What the mean query is must be known before the first batch, and is
 * found in one pass over the queries; R is known after the last. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/run.h"
#include "src/base/memory.h"
#include "src/base/share.h"

static const int64_t TURN_BYTES = 8 << 20;

/* The first key that may be seen, of all ranks. */
static int first_key(const precis_run *r, int64_t *position)
{
  *position = r->first_key;
  return MPI_Allreduce(MPI_IN_PLACE, position, 1, MPI_INT64_T, MPI_MIN, r->cli->world.comm)
             ? PRECIS_ERR_MPI
             : PRECIS_SUCCESS;
}

/* Queries that see a key: all from this one on. The rest has results of zeros. */
static int64_t first_query(const precis_run *r, int64_t key)
{
  int64_t queries = r->input.queries;
  if (!r->input.problem.causal || key == INT64_MAX)
    return key == INT64_MAX ? queries : 0;
  int64_t first = key - r->input.first_position;
  return first < 0 ? 0 : first < queries ? first : queries;
}

/* This rank's share of queries [first, ...), added up. sums: heads x dim, zeros. */
static int add_queries(precis_run *r, int64_t first, double *sums)
{
  precis_cli *cli = r->cli;
  int64_t width = (int64_t)r->input.problem.heads * r->input.problem.dim;
  float *q = NULL;
  const precis_turns turns =
      precis_turns_plan(r->input.queries - first, cli->world.ranks, cli->world.rank,
                        width * (int64_t)sizeof *q, TURN_BYTES);
  int status = precis_cli_floats(cli, "queries", turns.turn_rows, width, &q);
  for (int64_t turn = 0; turn < turns.count && status == PRECIS_SUCCESS; turn++) {
    int64_t rows = precis_turns_rows(&turns, turn);
    status = precis_file_read(&cli->world, &r->input.q, first + precis_turns_first(&turns, turn),
                              rows, 0, q, &cli->why);
    for (int64_t i = 0; i < rows && status == PRECIS_SUCCESS; i++)
      for (int64_t c = 0; c < width; c++)
        sums[c] += (double)q[i * width + c];
  }
  free(q);
  return status;
}

/* Collective. */
static int find_mean(precis_run *r)
{
  precis_cli *cli = r->cli;
  int64_t width = (int64_t)r->input.problem.heads * r->input.problem.dim, key;
  double *sums = precis_memory_array(width, sizeof *sums),
         start = precis_cli_phase(cli, "reading queries for their mean");
  int status = precis_cli_agree(cli, sums ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY);
  if (status == PRECIS_SUCCESS)
    status = first_key(r, &key);
  int64_t first = status == PRECIS_SUCCESS ? first_query(r, key) : 0,
          rows = r->input.queries - first;
  if (status == PRECIS_SUCCESS && rows > 0) {
    memset(sums, 0, (size_t)width * sizeof *sums);
    status = add_queries(r, first, sums);
    if (status == PRECIS_SUCCESS &&
        MPI_Allreduce(MPI_IN_PLACE, sums, (int)width, MPI_DOUBLE, MPI_SUM, cli->world.comm))
      status = PRECIS_ERR_MPI;
    for (int64_t c = 0; c < width; c++)
      sums[c] /= (double)rows;
    if (status == PRECIS_SUCCESS)
      status = precis_attention_set_mean_query(r->attention, sums);
  }
  free(sums);
  r->report.seconds_read += precis_cli_phase(cli, "attending") - start;
  return status;
}

int precis_run_unit_begin(precis_run *r, int64_t size)
{
  if (r->done > 0) {
    precis_worth_answered(&r->worth, &r->last);
    precis_attention_set_answered(r->attention, r->last.worth);
  }
  return r->done > 0 || size < r->input.queries ? find_mean(r) : PRECIS_SUCCESS;
}

/* In parts as large as batches were. */
static int again(precis_run *r, int stretch)
{
  int64_t first = stretch > 0 ? r->worth.end[stretch - 1] : 0, end = r->worth.end[stretch],
          most =
              r->report.batches.largest > 0 ? r->report.batches.largest : precis_run_batch_most(r);
  int status = PRECIS_SUCCESS;
  precis_worth_clear(&r->worth, stretch);
  for (int64_t size; first < end && status == PRECIS_SUCCESS; first += size) {
    size = end - first < most ? end - first : most;
    status = precis_run_batch_again(r, first, size);
    if (status == PRECIS_SUCCESS)
      precis_worth_add_again(&r->worth, stretch, &r->last);
  }
  return status;
}

/* The first that is short, or -1. */
static int find_short(const precis_worth *w)
{
  int i = 0;
  while (i < w->count && !precis_worth_is_short(w, i))
    i++;
  return i < w->count ? i : -1;
}

int precis_run_unit_settle(precis_run *r)
{
  int status = PRECIS_SUCCESS, i;
  precis_attention_settle(r->attention);
  while (status == PRECIS_SUCCESS && (i = find_short(&r->worth)) >= 0) {
    if (r->told != 0 && r->progress_path != NULL)
      return precis_run_save(r);
    status = again(r, i);
    if (status == PRECIS_SUCCESS)
      status = precis_run_ask(r);
  }
  r->settled = status == PRECIS_SUCCESS;
  return status;
}

void precis_run_unit_report(precis_run *r)
{
  const precis_settings *s = &r->cli->settings;
  precis_report *report = &r->report.attend;
  int kept = s->want.tol > 0 && s->want.tol_of == PRECIS_UNIT_OUTPUTS &&
             s->want.guarantee == PRECIS_GUARANTEE_BOUND;
  precis_worth_report(&r->worth, kept ? s->want.tol : INFINITY, r->heads, report);
  if (!report->estimate)
    report->promise = s->want.tol_of == PRECIS_UNIT_RANGE ? report->promise_range
                      : s->want.tol_of == PRECIS_UNIT_LSE ? report->lse_promise
                                                          : report->promise_outputs;
  precis_groups_promise(&r->report.groups, r->heads, (precis_unit)s->want.tol_of,
                        report->estimate ? report->promise : -1);
  r->report.heads = s->run.per_head ? r->heads : NULL;
}
