/* The summaries move under a causal mask. A rank's keys are cut into blocks; a query sees
 *
 *   all keys of lower ranks      through the sum of their summaries, which comes down a chain of
 * ranks, the whole blocks before it   through a running summary of this rank, a part of one block
 * exactly.
 *
 * Each of the three has its own log-scale, so that early prefixes do not vanish beside heavy late
 * keys, and they meet in double when a head is done. The rank's own sums do not wait for the chain:
 * what comes down it is applied on its own, to all queries. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/summary_work.h"
#include "src/memory.h"
#include "src/queries.h"

enum { CHAIN_TAG = 24, BLOCK = PRECIS_KEY_BLOCK, PARCEL_BLOCKS = 32 };

typedef struct chain {
  precis_summary_work work;
  const int64_t *position; /* of the queries, ascending */
  int64_t blocks;
  int64_t *first_row; /* blocks + 2: rows first_row[b] .. first_row[b + 1] - 1 see b whole blocks */
  double *scale, *weights; /* blocks + 1: log-scale and sum of weights of the first b blocks */
  double before, before_weights; /* the same of all lower ranks */
  precis_summary_sums incoming;
  float *in, *out, *rounded; /* tiles */
  precis_queries exact;      /* of outlier keys and diagonal blocks */
  precis_parcel_kind kind;   /* of those blocks: outliers are masked in them */
  precis_job *jobs;
  char *parcel;
} chain;

static void poll(precis_summary_work *work)
{
  for (int i = 0; i < PRECIS_TASK_FLIGHTS; i++) {
    int done, status = precis_transfer_test(&work->task->flight[i], &done);
    work->task->poll_status = work->task->poll_status ? work->task->poll_status : status;
  }
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
    c->first_row[b] = row;
    if (b == c->blocks)
      row = rows;
    int64_t last = (b + 1) * BLOCK - 1; /* a row that sees this key sees block b whole */
    while (row < rows && (last >= keys->rows || c->position[row] < keys->position[last]))
      row++;
  }
  c->first_row[c->blocks + 1] = rows;
}

static int64_t block_keys(const chain *c, int64_t b)
{
  int64_t left = c->work.keys->rows - b * BLOCK;
  return left < BLOCK ? left : BLOCK;
}

/* The parts of blocks, for all heads, a parcel of blocks at a time. */
static void attend_diagonal(chain *c)
{
  precis_task *task = c->work.task;
  const precis_problem *p = task->problem;
  for (int64_t first = 0; first < c->blocks; first += PARCEL_BLOCKS) {
    int64_t end = first + PARCEL_BLOCKS < c->blocks ? first + PARCEL_BLOCKS : c->blocks;
    int64_t key = first * BLOCK, keys = (end - 1 - first) * BLOCK + block_keys(c, end - 1);
    int count = 0;
    precis_parcel_pack(&c->kind, c->work.keys, key, keys, task->k_center, task->v_center,
                       task->engine.threads, c->parcel);
    for (int64_t b = first; b < end; b++) {
      int64_t rows = c->first_row[b + 1] - c->first_row[b], skip = b * BLOCK - key;
      if (rows == 0)
        continue;
      precis_queries_jobs(p, &c->exact, &c->kind, keys, c->parcel, c->jobs + count);
      for (int h = 0; h < p->heads; h++) {
        precis_job *job = &c->jobs[count++];
        job->rows = rows;
        job->q += c->first_row[b] * job->q_stride;
        job->query_position += c->first_row[b];
        job->partial = precis_partial_at(&job->partial, c->first_row[b], p->value_dim);
        job->tile.keys = block_keys(c, b);
        job->tile.k += skip * p->dim;
        job->tile.v += skip * p->value_dim;
        job->tile.bias += job->tile.bias ? skip : 0;
        job->key_position += skip;
      }
    }
    precis_task_compute(task, c->jobs, count);
  }
}

/* Log-scales of this head's prefixes, here and on lower ranks, and the weights of each block
 * against the scale after it. */
static int scale_head(chain *c, int g)
{
  precis_summary_work *x = &c->work;
  precis_world *world = x->task->world;
  precis_summary_load_keys(x, g);
  c->scale[0] = -INFINITY;
  for (int64_t b = 0; b < c->blocks; b++) {
    double most = c->scale[b];
    for (int64_t j = b * BLOCK; j < b * BLOCK + block_keys(c, b); j++)
      most = x->log_weight[j] > most ? x->log_weight[j] : most;
    c->scale[b + 1] = most;
    precis_bulk_scale_weights(block_keys(c, b), x->log_weight + b * BLOCK, most, x->w + b * BLOCK);
  }
  c->before = -INFINITY;
  c->before_weights = 0;
  if (MPI_Exscan(&c->scale[c->blocks], &c->before, 1, MPI_DOUBLE, MPI_MAX, world->comm))
    return PRECIS_ERR_MPI;
  return PRECIS_SUCCESS;
}

static void rescale(chain *c, const precis_summary_part *part, double factor)
{
  if (factor == 1)
    return;
  precis_summary_merge(part->numbers - part->features, factor, c->work.values, 0, c->work.values);
  precis_summary_merge(part->features, factor, c->work.counts, 0, c->work.counts);
}

/* A tile of the running summary: applied to the rows that see b blocks, then block b is added. */
static void run_blocks(chain *c, const precis_summary_part *part)
{
  precis_summary_work *x = &c->work;
  int first = part->first == 0;
  double start = MPI_Wtime(), applying = 0;
  precis_summary_clear(x, part);
  for (int64_t b = 0; b <= c->blocks; b++) {
    int64_t rows = c->first_row[b + 1] - c->first_row[b];
    if (first)
      c->weights[b] = b > 0 ? x->counts[0] : 0;
    if (rows > 0 && b > 0) {
      double before = MPI_Wtime();
      precis_summary_get(x, part, c->rounded);
      precis_summary_apply(x, part, c->rounded, c->first_row[b], rows, &x->sums);
      applying += MPI_Wtime() - before;
    }
    if (b < c->blocks) {
      rescale(c, part, ratio(c->scale[b], c->scale[b + 1]));
      precis_summary_add(x, part, b * BLOCK, block_keys(c, b));
    }
  }
  x->task->seconds_apply += applying;
  x->task->seconds_summarise += MPI_Wtime() - start - applying;
}

/* Takes the tile of lower ranks from the left, gives it with this rank's own to the right, applies
 * it to all rows. */
static int pass_on(chain *c, const precis_summary_part *part)
{
  precis_summary_work *x = &c->work;
  precis_task *task = x->task;
  precis_world *world = task->world;
  int64_t bytes = part->numbers * (int64_t)sizeof(float), values = part->numbers - part->features;
  double own = c->scale[c->blocks], after = own > c->before ? own : c->before;
  int status =
      precis_task_wait(task); /* the tile from the left, and our previous one to the right */
  if (status != PRECIS_SUCCESS)
    return status;
  if (world->rank < world->ranks - 1) {
    if (world->rank > 0) {
      precis_summary_merge_wire(values, ratio(own, after), x->values, ratio(c->before, after),
                                c->in);
      precis_summary_merge_wire(part->features, ratio(own, after), x->counts,
                                ratio(c->before, after), c->in + values);
    }
    precis_summary_get(x, part, c->out);
    status = precis_world_send(world, c->out, bytes, world->rank + 1, CHAIN_TAG, &task->flight[1]);
  }
  if (world->rank > 0) {
    double start = MPI_Wtime();
    if (part->first == 0)
      c->before_weights = c->in[values];
    precis_summary_apply(x, part, c->in, 0, task->rows, &c->incoming);
    task->seconds_apply += MPI_Wtime() - start;
  }
  return status;
}

/* Rows that see the same number of whole blocks. */
typedef struct alike {
  const chain *c;
  int64_t blocks;
} alike;

static void collect(const void *context, const precis_summary_work *x, int g, int64_t i,
                    precis_summary_row *row)
{
  const alike *a = context;
  const chain *c = a->c;
  if (x->task->world->rank > 0)
    precis_summary_gather(x, g, i, &c->incoming, c->before, c->before_weights, row);
  precis_summary_gather(x, g, i, &x->sums, c->scale[a->blocks], c->weights[a->blocks], row);
  precis_summary_gather_queries(x, g, i, &c->exact, row);
}

static void finish_head(chain *c, int g)
{
  for (int64_t b = 0; b <= c->blocks; b++) {
    alike rows = {c, b};
    precis_summary_finish(&c->work, g, c->first_row[b] * c->work.group,
                          c->first_row[b + 1] * c->work.group, collect, &rows);
  }
}

static int run_head(chain *c, int g)
{
  precis_summary_work *x = &c->work;
  precis_world *world = x->task->world;
  int64_t each = x->value_tiles + x->count_tiles;
  int status = scale_head(c, g);
  precis_summary_load_queries(x, g);
  precis_summary_clear_sums(x, &c->incoming);
  for (int64_t t = 0; t < each && status == PRECIS_SUCCESS; t++) {
    precis_summary_part part = precis_summary_part_at(x, g * each + t);
    if (world->rank > 0)
      status = precis_world_receive(world, c->in, part.numbers * (int64_t)sizeof(float),
                                    world->rank - 1, CHAIN_TAG, &x->task->flight[0]);
    if (status == PRECIS_SUCCESS) {
      run_blocks(c, &part);
      status = pass_on(c, &part);
    }
    precis_task_progress(x->task, g * each + t + 1, precis_summary_tiles(x));
  }
  if (status == PRECIS_SUCCESS)
    finish_head(c, g);
  return status;
}

static int create(chain *c, precis_task *task, const precis_summaries *plan, double tol,
                  precis_summary_result *result)
{
  const precis_problem *p = task->problem;
  int status = precis_summary_work_create(task, plan, tol, result, &c->work);
  if (status != PRECIS_SUCCESS)
    return status;
  int64_t rows = task->rows * c->work.group, keys = task->keys->rows,
          numbers = c->work.numbers_most;
  c->blocks = (keys + BLOCK - 1) / BLOCK;
  c->work.poll = poll;
  c->kind = task->kind;
  c->kind.with_bias |= c->work.keys != task->keys;
  c->first_row = precis_memory_array(c->blocks + 2, sizeof *c->first_row);
  c->scale = precis_memory_array(c->blocks + 1, sizeof *c->scale);
  c->weights = precis_memory_array(c->blocks + 1, sizeof *c->weights);
  c->incoming.num = precis_memory_array(rows * p->value_dim, sizeof(float));
  c->incoming.den = precis_memory_array(rows, sizeof(float));
  c->incoming.env = precis_memory_array(rows, sizeof(float));
  c->in = precis_memory_array(numbers, sizeof *c->in);
  c->out = precis_memory_array(numbers, sizeof *c->out);
  c->rounded = precis_memory_array(numbers, sizeof *c->rounded);
  c->jobs = precis_memory_array((int64_t)p->heads * PARCEL_BLOCKS, sizeof *c->jobs);
  int64_t parcel = keys < BLOCK * PARCEL_BLOCKS ? keys : BLOCK * PARCEL_BLOCKS;
  c->parcel = precis_memory_array(precis_parcel_bytes(&c->kind, parcel), 1);
  int made = c->first_row && c->scale && c->weights && c->incoming.num && c->incoming.den &&
             c->incoming.env && c->in && c->out && c->rounded && c->jobs && c->parcel;
  return made ? precis_queries_create(p, task->rows, task->q, c->position, &c->exact)
              : PRECIS_ERR_MEMORY;
}

static void release(chain *c)
{
  precis_queries_free(&c->exact);
  void *arrays[] = {c->first_row,    c->scale,        c->weights, c->incoming.num,
                    c->incoming.den, c->incoming.env, c->in,      c->out,
                    c->rounded,      c->jobs,         c->parcel};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    free(arrays[i]);
  precis_summary_work_free(&c->work);
}

int precis_causal_run(precis_task *task, const precis_summaries *plan, double tol,
                      precis_summary_result *result)
{
  int64_t *position = precis_memory_array(task->rows, sizeof *position);
  chain c = {.position = position};
  int status = create(&c, task, plan, tol, result);
  status = precis_world_agree(task->world, position ? status : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS) {
    for (int64_t i = 0; i < task->rows; i++)
      position[i] = task->map->first_position[task->world->rank] + i;
    group_rows(&c);
    status = precis_summary_attend_outliers(&c.work, &c.exact, NULL);
    if (status == PRECIS_SUCCESS)
      attend_diagonal(&c);
    for (int g = 0; g < task->problem->kv_heads && status == PRECIS_SUCCESS; g++)
      status = run_head(&c, g);
    int waited = precis_task_wait(task);
    status = status == PRECIS_SUCCESS ? waited : status;
  }
  release(&c);
  free(position);
  if (status != PRECIS_SUCCESS)
    precis_summary_result_free(result);
  return status;
}
