#include "src/exact/jobs.h"

#include <stddef.h>

#include "src/exact/tile_kernel.h"

#ifdef _OPENMP
#include <omp.h>
#endif

/* Work between two polls, in (query, key) pairs times (dim + value_dim): some milliseconds of one
 * core. */
static const int64_t STRETCH_WORK = (int64_t)1 << 28;

/* Blocks are of whole groups of the kernel, of which less costs the same. */
enum { GROUP = PRECIS_TILE_GROUP };

static int thread_number(void)
{
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

/* Scratch of one thread: the kernel's, then `visible`. */
static int64_t scratch_per_thread(const precis_engine *engine)
{
  int64_t visible = (int64_t)engine->shape.query_block * (int64_t)(sizeof(int64_t) / sizeof(float));
  return (precis_tile_scratch(&engine->shape) + visible + 15) / 16 * 16;
}

int64_t precis_engine_scratch(const precis_engine *engine)
{
  return scratch_per_thread(engine) * engine->threads;
}

/* How many of the ascending positions are <= position. */
static int64_t count_visible(const int64_t *positions, int64_t n, int64_t position)
{
  int64_t low = 0, high = n;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (positions[middle] <= position)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static int64_t stretch_keys(const precis_engine *engine, int rows)
{
  const precis_tile_shape *s = &engine->shape;
  int64_t keys = STRETCH_WORK / ((int64_t)(rows + 1) * (s->dim + s->value_dim));
  return keys < s->key_block ? s->key_block : keys - keys % s->key_block;
}

/* Keys first .. first + keys - 1 of a tile. */
static precis_tile tile_part(const precis_tile_shape *shape, const precis_tile *tile, int64_t first,
                             int64_t keys)
{
  return (precis_tile){.keys = keys,
                       .k = tile->k + first * shape->dim,
                       .v = tile->v + first * shape->value_dim,
                       .bias = tile->bias ? tile->bias + first : NULL};
}

/* Sets how many keys each of the rows sees, and the most of them. Returns the pairs. */
static int64_t look(const precis_job *job, int64_t first, int rows, int64_t *visible, int64_t *most)
{
  int64_t pairs = 0;
  *most = 0;
  for (int i = 0; i < rows; i++) {
    visible[i] = count_visible(job->key_position, job->tile.keys, job->query_position[first + i]);
    pairs += visible[i];
    *most = visible[i] > *most ? visible[i] : *most;
  }
  return pairs;
}

/* A block of one job's queries against the whole tile, a stretch of keys at a time. */
static int64_t run_block(const precis_engine *engine, const precis_job *job, int64_t first,
                         int rows, float *scratch)
{
  const precis_tile_shape *shape = &engine->shape;
  int64_t *visible = job->query_position ? (int64_t *)(scratch + precis_tile_scratch(shape)) : NULL;
  precis_partial partial = precis_partial_at(&job->partial, first, shape->value_dim);
  int64_t stretch = stretch_keys(engine, rows), end = job->tile.keys;
  int64_t pairs = visible ? look(job, first, rows, visible, &end) : rows * end;
  precis_tile_begin(shape, rows, job->q + first * job->q_stride, job->q_stride, engine->scale,
                    scratch);
  for (int64_t key = 0; key < end; key += stretch) {
    int64_t keys = end - key < stretch ? end - key : stretch;
    precis_tile part = tile_part(shape, &job->tile, key, keys);
    precis_tile_add(shape, &part, rows, visible, scratch);
    for (int i = 0; i < rows && visible != NULL; i++)
      visible[i] = visible[i] > keys ? visible[i] - keys : 0;
    if (engine->poll != NULL && thread_number() == 0)
      engine->poll(engine->poll_context);
  }
  precis_tile_end(shape, rows, &partial, scratch);
  return pairs;
}

static int64_t blocks_of(const precis_job *job, int block)
{
  return (job->rows + block - 1) / block;
}

/* Queries that a thread takes at once: the kernel's block, or less where that would leave threads
 * idle. */
static int block_rows(const precis_engine *engine, const precis_job *jobs, int count)
{
  int64_t total = 0;
  for (int i = 0; i < count; i++)
    total += jobs[i].rows;
  int64_t fair = total / (4 * (int64_t)engine->threads);
  fair = fair < GROUP ? GROUP : (fair + GROUP - 1) / GROUP * GROUP;
  int most = engine->shape.query_block;
  return engine->threads == 1 || fair > most ? most : (int)fair;
}

int64_t precis_jobs_run(const precis_engine *engine, const precis_job *jobs, int count)
{
  int block = block_rows(engine, jobs, count);
  int64_t items = 0, pairs = 0, per_thread = scratch_per_thread(engine);
  for (int i = 0; i < count; i++)
    items += blocks_of(&jobs[i], block);
    /* From the last block to the first: under a causal mask those are the long ones, best begun
     * early. */
#pragma omp parallel for num_threads(engine->threads) schedule(dynamic, 1) reduction(+ : pairs)
  for (int64_t item = items - 1; item >= 0; item--) {
    const precis_job *job = jobs;
    int64_t number = item;
    while (number >= blocks_of(job, block))
      number -= blocks_of(job++, block);
    int64_t first = number * block, left = job->rows - first;
    pairs += run_block(engine, job, first, (int)(left < block ? left : block),
                       engine->scratch + thread_number() * per_thread);
  }
  return pairs;
}
