/* run_verify.c - rows that are kept to be measured, and how good they are */
#include <stdlib.h>
#include <string.h>

#include "mpi/measure/verify.h"
#include "src/cli/run.h"
#include "src/base/ascending.h"
#include "src/base/memory.h"
#include "src/oracle/sample.h"
#include "src/base/share.h"

static int64_t q_width(const precis_run *r)
{
  return (int64_t)r->input.problem.heads * r->input.problem.dim;
}

static int64_t out_width(const precis_run *r)
{
  return (int64_t)r->input.problem.heads * r->input.problem.value_dim;
}

/* Room for `more` samples behind those that are held. On this rank alone. */
static int grow(precis_run *r, int64_t more)
{
  precis_samples *s = &r->samples;
  size_t count = (size_t)(s->held + more);
  if (more == 0)
    return PRECIS_SUCCESS;
  int64_t *rows = realloc(s->held_rows, count * sizeof *rows);
  s->held_rows = rows ? rows : s->held_rows;
  float *q = realloc(s->q, count * (size_t)q_width(r) * sizeof *q);
  s->q = q ? q : s->q;
  float *out = realloc(s->out, count * (size_t)out_width(r) * sizeof *out);
  s->out = out ? out : s->out;
  float *lse = realloc(s->lse, count * (size_t)r->input.problem.heads * sizeof *lse);
  s->lse = lse ? lse : s->lse;
  return rows && q && out && lse ? PRECIS_SUCCESS
                                 : precis_message_set(&r->cli->why, PRECIS_ERR_MEMORY,
                                                      "out of memory for the rows of --verify");
}

/* The first sample at or beyond a row. */
static int64_t find(const precis_samples *s, int64_t row)
{
  return precis_ascending_below(s->rows, s->count, row);
}

/* Rows of an earlier run come from the file aside, evenly over the ranks. */
static int read_done(precis_run *r)
{
  precis_cli *cli = r->cli;
  precis_samples *s = &r->samples;
  precis_file_array out = {.path = NULL};
  int64_t all = find(s, r->done);
  precis_turns turns = precis_turns_plan(all, cli->world.ranks, cli->world.rank, 1, 1);
  int status = precis_cli_agree(cli, grow(r, turns.rows));
  if (status == PRECIS_SUCCESS)
    status = precis_file_open(&cli->world, precis_writer_aside(r->outputs.out), "out", NULL, &out,
                              &cli->why);
  for (int64_t turn = 0; turn < turns.count && status == PRECIS_SUCCESS; turn++) {
    int64_t mine = precis_turns_rows(&turns, turn), at = s->held,
            row = mine > 0 ? s->rows[precis_turns_first(&turns, turn)] : 0;
    float none;
    status = precis_file_read(&cli->world, &r->input.q, row, mine, 0,
                              mine > 0 ? s->q + at * q_width(r) : &none, &cli->why);
    if (status == PRECIS_SUCCESS)
      status = precis_file_read(&cli->world, &out, row, mine, 0,
                                mine > 0 ? s->out + at * out_width(r) : &none, &cli->why);
    if (mine > 0)
      s->held_rows[s->held++] = row;
  }
  precis_file_close(&out);
  return status;
}

int precis_run_sample_begin(precis_run *r)
{
  precis_samples *s = &r->samples;
  if (r->cli->settings.run.verify == 0)
    return PRECIS_SUCCESS;
  s->count = precis_sample_count(r->input.queries, r->cli->settings.run.verify);
  s->rows = precis_memory_array(s->count, sizeof *s->rows);
  int status = precis_cli_agree(r->cli, s->rows ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_sample_rows(r->input.queries, s->count, 0, s->rows); /* as precis_verify() does */
  return r->done > 0 ? read_done(r) : status;
}

int precis_run_sample_batch(precis_run *r)
{
  precis_samples *s = &r->samples;
  const precis_batch *b = &r->batch;
  if (s->count == 0)
    return PRECIS_SUCCESS;
  int64_t from = find(s, b->first), to = find(s, b->first + b->rows), q = q_width(r),
          out = out_width(r);
  int heads = r->input.problem.heads, status = precis_cli_agree(r->cli, grow(r, to - from));
  for (int64_t i = from; i < to && status == PRECIS_SUCCESS; i++) {
    int64_t local = s->rows[i] - b->first, at = s->held++;
    s->held_rows[at] = s->rows[i];
    memcpy(s->q + at * q, b->q + local * q, (size_t)q * sizeof(float));
    memcpy(s->out + at * out, b->out + local * out, (size_t)out * sizeof(float));
    for (int head = 0; head < heads; head++)
      s->lse[at * heads + head] = b->lse ? b->lse[local * heads + head] : 0;
  }
  return status;
}

void precis_run_sample_free(precis_run *r)
{
  free(r->samples.rows);
  free(r->samples.held_rows);
  free(r->samples.q);
  free(r->samples.out);
  free(r->samples.lse);
}

static int add_up(precis_run *r, int64_t count, float *x)
{
  /* Counts are small: precis_verify() asks for some MiB at a time. */
  return precis_world_reduce(&r->cli->world, x, (int)count, MPI_FLOAT, MPI_SUM);
}

/* Each of the rows is held by one rank: the others add zeros. All lists ascend. */
static int give_samples(void *context, int64_t count, const int64_t *rows, float *q, float *out,
                        float *lse, precis_message *why)
{
  precis_run *r = context;
  const precis_samples *s = &r->samples;
  int64_t q_row = q_width(r), out_row = out_width(r), lse_row = r->input.problem.heads, at = 0;
  memset(q, 0, (size_t)(count * q_row) * sizeof *q);
  memset(out, 0, (size_t)(count * out_row) * sizeof *out);
  if (lse != NULL)
    memset(lse, 0, (size_t)(count * lse_row) * sizeof *lse);
  for (int64_t i = 0; i < count; i++) {
    while (at < s->held && s->held_rows[at] < rows[i])
      at++;
    if (at == s->held || s->held_rows[at] != rows[i])
      continue;
    memcpy(q + i * q_row, s->q + at * q_row, (size_t)q_row * sizeof *q);
    memcpy(out + i * out_row, s->out + at * out_row, (size_t)out_row * sizeof *out);
    if (lse != NULL)
      memcpy(lse + i * lse_row, s->lse + at * lse_row, (size_t)lse_row * sizeof *lse);
  }
  int failed = add_up(r, count * q_row, q) | add_up(r, count * out_row, out);
  if (lse != NULL)
    failed |= add_up(r, count * lse_row, lse);
  return precis_world_agree(&r->cli->world, failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS, why);
}

static int reread_queries(void *context, int64_t first, int64_t rows, float *q, precis_message *why)
{
  precis_run *r = context;
  return precis_file_read(&r->cli->world, &r->input.q, first, rows, PRECIS_FILE_FINITE, q, why);
}

static int reread_keys(void *context, int64_t first, int64_t rows, float *k, float *v, float *bias,
                       precis_message *why)
{
  precis_run *r = context;
  (void)why; /* it is cli->why */
  return precis_input_read_keys(r->cli, &r->input, first, rows, k, v, bias);
}

int precis_run_verify(precis_run *r)
{
  precis_cli *cli = r->cli;
  int heads = r->input.problem.heads;
  if (cli->settings.run.verify == 0)
    return PRECIS_SUCCESS;
  double *signal = precis_memory_array(heads, sizeof *signal);
  int status = precis_cli_agree(cli, signal ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY);
  if (status != PRECIS_SUCCESS)
    return status;
  for (int h = 0; h < heads; h++)
    signal[h] = r->heads[h].mean_signal;
  precis_verify_job job = {.problem = r->input.problem,
                           .queries = r->input.queries,
                           .keys = r->input.keys,
                           .first_position = r->input.first_position,
                           .has_bias = r->input.has_bias,
                           /* Rows of an earlier run come without. */
                           .has_lse = precis_outputs_want_lse(&r->outputs) &&
                                      r->report.batches.resumed_rows == 0,
                           .tol_of = (precis_unit)cli->settings.want.tol_of,
                           .signal = signal,
                           .rows = cli->settings.run.verify};
  precis_verify_source source = {give_samples, reread_queries, reread_keys, r};
  double start = precis_cli_phase(cli, "checking against double precision");
  status = precis_verify(&cli->world, &job, &source, &r->report.measured, &cli->why);
  free(signal);
  r->report.seconds_verify = precis_cli_phase(cli, "done checking") - start;
  return status;
}

/* What the reference in double precision may err by itself, in generous measure: far below what an
 * output in float32 can show. Columns of one value have a promise of 0. */
static const double REFERENCE_ERROR = 1e-9;

/* Heads that are constant have no error in units of outputs: where all are it is NAN. */
static int check_proof(precis_run *r, const char *unit, double error, double promise)
{
  if (!(error > promise + REFERENCE_ERROR))
    return PRECIS_SUCCESS;
  return precis_message_set(&r->cli->why, PRECIS_ERR_INTERNAL,
                            "measured error %.3g of %s exceeds the promise %.3g, please report it",
                            error, unit, promise);
}

int precis_run_judge(precis_run *r)
{
  double tol = r->cli->settings.want.tol;
  const precis_verify_result *m = &r->report.measured;
  const precis_report *report = &r->report.attend;
  if (m->rows == 0)
    return PRECIS_SUCCESS;
  if (report->estimate && tol > 0 && m->max_error > tol)
    return precis_message_set(&r->cli->why, PRECIS_ERR_TOLERANCE,
                              "measured error %.3g exceeds --tol %g, estimated was %.3g",
                              m->max_error, tol, report->promise);
  if (report->estimate)
    return PRECIS_SUCCESS;
  int status = check_proof(r, "outputs", m->max_error_outputs, report->promise_outputs);
  if (status == PRECIS_SUCCESS)
    status = check_proof(r, "the range", m->max_error_range, report->promise_range);
  if (status == PRECIS_SUCCESS)
    status = check_proof(r, "lse", m->max_error_lse, report->lse_promise);
  return status;
}
