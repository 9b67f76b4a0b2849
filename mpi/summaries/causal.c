/* The summaries move under a causal mask. A rank's keys are cut into blocks; a query sees
 *
 *   all keys of lower ranks      through the sum of their summaries, which comes down a chain of
 * ranks, the whole blocks before it   through a running summary of this rank, a part of one block
 * exactly.
 *
 * Each of the three has its own log-scale, so that early prefixes do not vanish beside heavy late
 * keys, and they meet in double when a head is done. The rank's own sums do not wait for the chain:
 * what comes down it is applied on its own, to all queries. src/schedule/causal.c has the steps;
 * here is what they do on this rank. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/moves/execute.h"
#include "mpi/summaries/summary_work.h"
#include "src/base/memory.h"
#include "src/base/problem.h"
#include "src/rows/queries.h"

enum { BLOCK = PRECIS_KEY_BLOCK };

typedef struct chain {
  precis_summary_work work;
  precis_summaries_shape shape; /* its parcels have biases where outliers are masked by them */
  precis_schedule schedule;
  precis_execution execution;
  const int64_t *position; /* of the queries, ascending */
  int64_t blocks;
  precis_prefix_arrays at;
  double before; /* log-scale of all lower ranks' keys, ... */
  precis_weight_mass before_weights; /* ... and their weights */
  precis_queries exact; /* of outlier keys and diagonal blocks */
} chain;

static void poll(precis_summary_work *work)
{
  chain *c = work->poll_context;
  int status = precis_execution_poll(&c->execution);
  work->task->poll_status = work->task->poll_status ? work->task->poll_status : status;
}

static double ratio(double from, double to)
{
  return from == -INFINITY ? 0 : exp(from - to);
}

/* Sorts the rows, whose positions ascend, by the whole blocks that they see. */
static void group_rows(chain *c)
{
  const precis_keys *keys = c->work.keys;
  int64_t row = 0, rows = c->work.task->rows;
  for (int64_t b = 0; b <= c->blocks; b++) {
    c->at.first_row[b] = row;
    if (b == c->blocks)
      row = rows;
    int64_t last = (b + 1) * BLOCK - 1; /* a row that sees this key sees block b whole */
    while (row < rows && (last >= keys->rows || c->position[row] < keys->position[last]))
      row++;
  }
  c->at.first_row[c->blocks + 1] = rows;
}

static int64_t block_keys(const chain *c, int64_t b)
{
  int64_t left = c->work.keys->rows - b * BLOCK;
  return left < BLOCK ? left : BLOCK;
}

/* The parts of blocks in one parcel of whole blocks, for all heads. */
static void attend_diagonal(chain *c, const precis_step *step)
{
  precis_task *task = c->work.task;
  const precis_problem *p = task->problem;
  int64_t key = step->block.first, first = key / BLOCK,
          end = first + (step->block.rows + BLOCK - 1) / BLOCK;
  const char *parcel = precis_execution_at(&c->execution, step);
  int count = 0;
  for (int64_t b = first; b < end; b++) {
    int64_t rows = c->at.first_row[b + 1] - c->at.first_row[b], skip = b * BLOCK - key;
    if (rows == 0)
      continue;
    precis_queries_jobs(p, &c->exact, &c->shape.kind, step->block.rows, parcel, c->at.jobs + count);
    for (int h = 0; h < p->heads; h++) {
      precis_job *job = &c->at.jobs[count++];
      job->rows = rows;
      job->q += c->at.first_row[b] * job->q_stride;
      job->query_position += c->at.first_row[b];
      job->partial =
          precis_partial_at(&job->partial, c->at.first_row[b], precis_problem_columns(p));
      job->tile.keys = block_keys(c, b);
      job->tile.k += skip * p->dim;
      job->tile.v += skip * precis_parcel_columns(&c->shape.kind);
      job->tile.bias += job->tile.bias ? skip : 0;
      job->key_position += skip;
    }
  }
  precis_task_compute(task, c->at.jobs, count);
}

/* Log-scales of this head's prefixes, here and on lower ranks, and the weights of each block
 * against the scale after it. */
static int scale_head(chain *c, int g)
{
  precis_summary_work *x = &c->work;
  precis_world *world = x->task->world;
  precis_summary_load_keys(x, g);
  c->at.scale[0] = -INFINITY;
  for (int64_t b = 0; b < c->blocks; b++) {
    double most = c->at.scale[b];
    for (int64_t j = b * BLOCK; j < b * BLOCK + block_keys(c, b); j++)
      most = x->at.log_weight[j] > most ? x->at.log_weight[j] : most;
    c->at.scale[b + 1] = most;
    precis_summary_weigh(x, b * BLOCK, block_keys(c, b), most);
  }
  c->before = -INFINITY;
  c->before_weights = (precis_weight_mass){0, 0};
  if (MPI_Exscan(&c->at.scale[c->blocks], &c->before, 1, MPI_DOUBLE, MPI_MAX, world->comm))
    return PRECIS_ERR_MPI;
  return PRECIS_SUCCESS;
}

static void rescale(chain *c, const precis_summary_part *part, double factor)
{
  if (factor == 1)
    return;
  precis_summary_merge(part->values, factor, c->work.at.values, 0, c->work.at.values);
  precis_summary_merge(part->counts, factor, c->work.at.counts, 0, c->work.at.counts);
}

/* A tile of the running summary: applied to the rows that see b blocks, then block b is added. */
static void run_blocks(chain *c, const precis_summary_part *part)
{
  precis_summary_work *x = &c->work;
  int first = part->first == 0;
  double start = MPI_Wtime(), applying = 0;
  precis_summary_clear(x, part);
  for (int64_t b = 0; b <= c->blocks; b++) {
    int64_t rows = c->at.first_row[b + 1] - c->at.first_row[b];
    if (first)
      c->at.weights[b] = b > 0 ? precis_summary_weights(part, x->at.counts) : (precis_weight_mass){0, 0};
    if (rows > 0 && b > 0) {
      double before = MPI_Wtime();
      precis_summary_get(x, part, c->at.rounded);
      precis_summary_apply(x, part, c->at.rounded, c->at.first_row[b], rows, &x->at.sums);
      applying += MPI_Wtime() - before;
    }
    if (b < c->blocks) {
      rescale(c, part, ratio(c->at.scale[b], c->at.scale[b + 1]));
      precis_summary_add(x, part, b * BLOCK, block_keys(c, b));
    }
  }
  x->task->seconds_apply += applying;
  x->task->seconds_summarise += MPI_Wtime() - start - applying;
}

/* Adds the tile of lower ranks to this rank's. */
static void merge(chain *c, const precis_summary_part *part, const float *in)
{
  precis_summary_work *x = &c->work;
  double own = c->at.scale[c->blocks], after = own > c->before ? own : c->before;
  precis_summary_merge_wire(part->values, ratio(own, after), x->at.values, ratio(c->before, after),
                            in);
  precis_summary_merge_wire(part->counts, ratio(own, after), x->at.counts, ratio(c->before, after),
                            in + part->values);
}

/* The tile of lower ranks, to all rows. */
static void apply(chain *c, const precis_summary_part *part, const float *in)
{
  precis_task *task = c->work.task;
  double start = MPI_Wtime();
  if (part->first == 0)
    c->before_weights = precis_summary_weights_wire(part, in);
  precis_summary_apply(&c->work, part, in, 0, task->rows, &c->at.incoming);
  task->seconds_apply += MPI_Wtime() - start;
}

/* Rows that see the same number of whole blocks. */
typedef struct alike {
  const chain *c;
  int64_t blocks;
} alike;

static void collect(const void *context, const precis_summary_work *x, int g, int64_t i,
                    precis_row *row)
{
  const alike *a = context;
  const chain *c = a->c;
  if (x->task->world->rank > 0)
    precis_summary_gather(x, g, i, &c->at.incoming, c->before, &c->before_weights, row);
  precis_summary_gather(x, g, i, &x->at.sums, c->at.scale[a->blocks], &c->at.weights[a->blocks], row);
  precis_summary_gather_queries(x, g, i, &c->exact, row);
}

static void finish_head(chain *c, int g)
{
  for (int64_t b = 0; b <= c->blocks; b++) {
    alike rows = {c, b};
    precis_summary_finish(&c->work, g, c->at.first_row[b] * c->work.group,
                          c->at.first_row[b + 1] * c->work.group, collect, &rows);
  }
}

static int begin_head(chain *c, int g)
{
  int status = scale_head(c, g);
  precis_summary_load_queries(&c->work, g);
  precis_summary_clear_sums(&c->work, &c->at.incoming);
  return status;
}

static void pack(chain *c, const precis_step *step)
{
  const precis_task *task = c->work.task;
  void *to = precis_execution_at(&c->execution, step);
  if (step->matter == PRECIS_MATTER_KEYS) {
    precis_parcel_pack(&c->shape.kind, c->work.keys, step->block.first, step->block.rows,
                       &task->terms, task->engine.threads, to);
  } else {
    precis_summary_part part = precis_summary_part_of(&c->work, &step->block);
    precis_summary_get(&c->work, &part, to);
  }
}

static int work(precis_execution *execution, const precis_step *step)
{
  chain *c = execution->move;
  precis_summary_part part = precis_summary_part_of(&c->work, &step->block);
  switch (step->kind) {
  case PRECIS_STEP_PACK:
    pack(c, step);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_COMPUTE:
    attend_diagonal(c, step);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_CLEAR:
    return begin_head(c, step->block.first_head / c->work.group);
  case PRECIS_STEP_SUMMARISE:
    run_blocks(c, &part);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_MERGE:
    merge(c, &part, precis_execution_at(execution, step));
    return PRECIS_SUCCESS;
  case PRECIS_STEP_APPLY:
    apply(c, &part, precis_execution_at(execution, step));
    return PRECIS_SUCCESS;
  case PRECIS_STEP_FINISH:
    finish_head(c, step->block.first_head / c->work.group);
    return PRECIS_SUCCESS;
  default:
    return PRECIS_ERR_INTERNAL;
  }
}

static void plan_schedule(chain *c)
{
  const precis_task *task = c->work.task;
  const precis_summaries *plan = c->work.plan;
  precis_placement at = precis_task_placement(task);
  c->shape = precis_shape_prefixes(&at, plan->features, plan->count_features, &c->work.kernels,
                                   c->work.keys != task->keys);
  c->schedule = precis_schedule_causal(&c->shape, &task->world->layout);
}

static int create(chain *c, precis_task *task, const precis_summaries *plan,
                  precis_summary_result *result)
{
  const precis_problem *p = task->problem;
  int status = precis_summary_work_create(task, plan, result, &c->work);
  if (status != PRECIS_SUCCESS)
    return status;
  int64_t keys = task->keys->rows;
  c->blocks = (keys + BLOCK - 1) / BLOCK;
  c->work.poll = poll;
  c->work.poll_context = c;
  plan_schedule(c);
  precis_allotment allotment = {.failed = 0};
  precis_prefix_arrays_lay(&c->work.extent, c->blocks,
                           (int64_t)p->heads * PRECIS_PREFIX_PARCEL_BLOCKS, &allotment, &c->at);
  status = precis_execution_create(task, &c->schedule, work, c, &c->execution);
  return !allotment.failed && status == PRECIS_SUCCESS
             ? precis_queries_create(p, task->rows, task->q, c->position, &c->exact)
             : PRECIS_ERR_MEMORY;
}

static void release(chain *c)
{
  precis_queries_free(&c->exact);
  precis_execution_free(&c->execution);
  precis_prefix_arrays_free(&c->at);
  precis_summary_work_free(&c->work);
}

int precis_causal_run(precis_task *task, const precis_summaries *plan,
                      precis_summary_result *result)
{
  int64_t *position = precis_memory_array(task->rows, sizeof *position);
  chain c = {.position = position};
  int status = create(&c, task, plan, result);
  status = precis_world_agree(task->world, position ? status : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS) {
    for (int64_t i = 0; i < task->rows; i++)
      position[i] = task->map->first_position[task->world->rank] + i;
    group_rows(&c);
    status = precis_summary_attend_outliers(&c.work, &c.exact, NULL);
    if (status == PRECIS_SUCCESS)
      status = precis_execution_run(&c.execution, c.schedule.rounds);
  }
  release(&c);
  free(position);
  if (status != PRECIS_SUCCESS)
    precis_summary_result_free(result);
  return status;
}
