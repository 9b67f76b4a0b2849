#include "mpi/service/hold_load.h"

#include <stdlib.h>

#include "mpi/handle/attention.h"
#include "src/base/memory.h"
#include "src/base/share.h"

/* Bytes that a rank reads at once. */
enum { BLOCK_BYTES = 1 << 26 };

static int64_t block_rows(const precis_problem *p, int ranks)
{
  int64_t row = (p->kv_heads * ((int64_t)p->dim + p->value_dim) + 1) * (int64_t)sizeof(float);
  return (BLOCK_BYTES / row + 1) * ranks;
}

typedef struct loading {
  precis_hold *hold;
  precis_attention *a;
  precis_segment *segments;
  int64_t count;
  int with_bias;
  float *k, *v, *bias; /* of a block */
} loading;

/* Rows [first, first + rows) of the context. */
static int read_rows(loading *l, int64_t first, int64_t rows)
{
  const precis_problem *p = &l->a->problem;
  int64_t begin = 0, done = 0;
  int status = PRECIS_SUCCESS;
  for (int64_t i = 0; i < l->count && done < rows && status == PRECIS_SUCCESS; i++) {
    const precis_segment *s = &l->segments[i];
    int64_t from = first + done - begin, some = s->rows - from;
    some = some < rows - done ? some : rows - done;
    begin += s->rows;
    if (some <= 0)
      continue;
    status = precis_segment_read(l->hold->options->data, s, p, from, some,
                                 l->k + done * p->kv_heads * p->dim,
                                 l->v + done * p->kv_heads * p->value_dim,
                                 l->with_bias ? l->bias + done : NULL, &l->hold->why);
    done += some;
  }
  return status;
}

/* Each rank reads some of them whole. */
static int verify(loading *l)
{
  precis_world *world = l->hold->world;
  int status = PRECIS_SUCCESS;
  for (int64_t i = world->rank; i < l->count && status == PRECIS_SUCCESS; i += world->ranks)
    status = precis_segment_verify(l->hold->options->data, &l->segments[i], &l->hold->why);
  return precis_world_agree(world, status, &l->hold->why);
}

static int load_blocks(loading *l)
{
  precis_world *world = l->hold->world;
  int64_t total = 0, block = block_rows(&l->a->problem, world->ranks);
  int status = PRECIS_SUCCESS;
  for (int64_t i = 0; i < l->count; i++)
    total += l->segments[i].rows;
  for (int64_t first = 0; first < total && status == PRECIS_SUCCESS; first += block) {
    int64_t all = total - first < block ? total - first : block,
            rows = precis_share_rows(all, world->ranks, world->rank);
    status = read_rows(l, first + precis_share_first(all, world->ranks, world->rank), rows);
    status = precis_world_agree(world, status, &l->hold->why);
    if (status == PRECIS_SUCCESS)
      status = precis_append(l->a, rows, l->k, l->v, l->with_bias ? l->bias : NULL);
    atomic_fetch_add(&l->hold->loaded, all);
  }
  return status;
}

static int make_room(loading *l)
{
  const precis_problem *p = &l->a->problem;
  int64_t rows = block_rows(p, 1);
  l->segments = precis_memory_array(l->count, sizeof *l->segments);
  l->k = precis_memory_array(rows * p->kv_heads * p->dim, sizeof *l->k);
  l->v = precis_memory_array(rows * p->kv_heads * p->value_dim, sizeof *l->v);
  l->bias = precis_memory_array(rows, sizeof *l->bias);
  return l->segments && l->k && l->v && l->bias ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

int precis_hold_load(precis_hold *hold, const precis_order *order, const precis_hold_data *data)
{
  loading l = {.hold = hold,
               .a = hold->handles[order->slot],
               .count = order->count,
               .with_bias = order->with_bias};
  int status = precis_world_agree(hold->world, make_room(&l), &hold->why);
  if (status == PRECIS_SUCCESS) {
    for (int64_t i = 0; data != NULL && i < l.count; i++)
      l.segments[i] = data->segments[i];
    if (MPI_Bcast(l.segments, (int)(l.count * (int64_t)sizeof *l.segments), MPI_BYTE, 0,
                  hold->world->comm))
      status = PRECIS_ERR_MPI;
  }
  if (status == PRECIS_SUCCESS)
    status = verify(&l);
  if (status == PRECIS_SUCCESS)
    status = load_blocks(&l);
  if (status == PRECIS_SUCCESS &&
      MPI_Gather(&l.a->keys.rows, 1, MPI_INT64_T, data ? data->rows : NULL, 1, MPI_INT64_T, 0,
                 hold->world->comm))
    status = PRECIS_ERR_MPI;
  free(l.segments);
  free(l.k);
  free(l.v);
  free(l.bias);
  return status;
}
