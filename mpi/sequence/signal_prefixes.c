#include "mpi/sequence/signal_prefixes.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/tokens/mean_query.h"
#include "src/base/ascending.h"
#include "src/base/memory.h"
#include "src/base/problem.h"

/* Numbers that are added up over the ranks at once. */
enum { NUMBERS_MOST = 1 << 20 };

/* Keys of this rank before a position. */
static int64_t before(const precis_keys *keys, int64_t position)
{
  return precis_ascending_below(keys->position, keys->rows, position);
}

static int64_t rows_of(const precis_query_map *map, int rank)
{
  return map->start[rank + 1] - map->start[rank];
}

/* Ranks in the order of their first positions, by insertion: they mostly are. */
static void sort_ranks(const precis_query_map *map, int *order)
{
  for (int r = 0; r < map->ranks; r++) {
    int at = r;
    for (; at > 0 && map->first_position[order[at - 1]] > map->first_position[r]; at--)
      order[at] = order[at - 1];
    order[at] = r;
  }
}

/* What this rank's keys before each rank's first position add up to, for one head: (m, l, o) of
 * each rank. */
static void add_own(const precis_signal *s, const precis_signal_rows *of, const int *order, int h,
                    double *sums)
{
  const precis_problem *p = of->problem;
  int64_t g = precis_problem_kv_head(p, h), key = 0, dv = p->value_dim;
  double o[PRECIS_DIM_MAX] = {0};
  precis_mean_query mean = {.kv_head = (int)g,
                            .scale = p->scale,
                            .q = s->mean_query + (int64_t)h * p->dim,
                            .k_base = s->k_base + g * p->dim,
                            .v_base = s->v_base + g * dv,
                            .m = -INFINITY,
                            .o = o};
  for (int i = 0; i < of->map->ranks; i++) {
    int64_t end = before(of->keys, of->map->first_position[order[i]]);
    double *to = sums + order[i] * (dv + 2);
    precis_mean_query_add(&mean, of->keys, key, end);
    key = end > key ? end : key;
    to[0] = mean.m;
    to[1] = mean.l;
    memcpy(to + 2, o, (size_t)dv * sizeof *o);
  }
}

/* Brings the sums of `count` heads to the largest exponents of all ranks, adds them up, and keeps
 * those of this rank's position. most: ranks x count. */
static int add_up(const precis_signal_rows *of, int count, double *sums, double *most, double *base)
{
  int ranks = of->map->ranks, width = of->problem->value_dim + 2;
  for (int i = 0; i < count * ranks; i++)
    most[i] = sums[(int64_t)i * width];
  if (MPI_Allreduce(MPI_IN_PLACE, most, count * ranks, MPI_DOUBLE, MPI_MAX, of->world->comm))
    return PRECIS_ERR_MPI;
  for (int i = 0; i < count * ranks; i++) {
    double *row = sums + (int64_t)i * width, factor = row[0] > -INFINITY ? exp(row[0] - most[i]) : 0;
    for (int c = 1; c < width; c++)
      row[c] *= factor;
  }
  for (int h = 0; h < count; h++) {
    double *row = base + (int64_t)h * width;
    if (MPI_Reduce_scatter_block(sums + (int64_t)h * ranks * width, row, width, MPI_DOUBLE, MPI_SUM,
                                 of->world->comm))
      return PRECIS_ERR_MPI;
    row[0] = most[h * ranks + of->world->rank];
  }
  return PRECIS_SUCCESS;
}

static int find_base(const precis_signal *s, const precis_signal_rows *of, double *base)
{
  const precis_problem *p = of->problem;
  int ranks = of->map->ranks;
  int64_t width = p->value_dim + 2, each = ranks * width;
  int batch = (int)(each < NUMBERS_MOST ? NUMBERS_MOST / each : 1);
  batch = batch < p->heads ? batch : p->heads;
  double *sums = precis_memory_array(batch * each, sizeof *sums),
         *most = precis_memory_array((int64_t)batch * ranks, sizeof *most);
  int *order = precis_memory_array(ranks, sizeof *order);
  int status = precis_world_agree(of->world,
                                  sums && most && order ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS)
    sort_ranks(of->map, order);
  for (int h = 0; h < p->heads && status == PRECIS_SUCCESS; h += batch) {
    int some = p->heads - h < batch ? p->heads - h : batch;
    for (int i = 0; i < some; i++)
      add_own(s, of, order, h + i, sums + i * each);
    status = add_up(of, some, sums, most, base + h * width);
  }
  free(sums);
  free(most);
  free(order);
  return status;
}

/* Which of this rank's keys go to which rank, as parts of what it has, and what comes. */
typedef struct trade {
  int *out, *out_at, *in, *in_at; /* ranks: rows */
  int64_t coming;
  int moves; /* some rank needs keys of another */
} trade;

static int plan_trade(const precis_signal_rows *of, int *numbers, trade *t)
{
  const precis_query_map *map = of->map;
  int ranks = map->ranks, moves = 0;
  *t = (trade){numbers, numbers + ranks, numbers + 2 * ranks, numbers + 3 * ranks, 0, 0};
  for (int r = 0; r < ranks; r++) {
    int64_t first = before(of->keys, map->first_position[r]),
            end = before(of->keys, map->first_position[r] + rows_of(map, r));
    t->out_at[r] = (int)first;
    t->out[r] = (int)(end - first);
    moves |= r != of->world->rank && end > first;
  }
  if (MPI_Allreduce(&moves, &t->moves, 1, MPI_INT, MPI_MAX, of->world->comm) ||
      MPI_Alltoall(t->out, 1, MPI_INT, t->in, 1, MPI_INT, of->world->comm))
    return PRECIS_ERR_MPI;
  for (int r = 0; r < ranks; r++) {
    t->in_at[r] = (int)t->coming;
    t->coming += t->in[r];
  }
  return PRECIS_SUCCESS;
}

/* Rows of `width` numbers. */
static int trade_rows(const precis_signal_rows *of, const trade *t, const void *from, void *to,
                      int width, MPI_Datatype number)
{
  MPI_Datatype row;
  if (MPI_Type_contiguous(width, number, &row))
    return PRECIS_ERR_MPI;
  int failed = MPI_Type_commit(&row) || MPI_Alltoallv(from, t->out, t->out_at, row, to, t->in,
                                                      t->in_at, row, of->world->comm);
  MPI_Type_free(&row);
  return failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS;
}

static int by_position(const void *a, const void *b)
{
  int64_t x = **(const int64_t *const *)a, y = **(const int64_t *const *)b;
  return (x > y) - (x < y);
}

static void copy_row(const precis_keys *from, int64_t i, precis_keys *to, int64_t j)
{
  int64_t k = (int64_t)from->kv_heads * from->dim, v = (int64_t)from->kv_heads * from->value_dim;
  memcpy(to->k + j * k, from->k + i * k, (size_t)k * sizeof *to->k);
  memcpy(to->v + j * v, from->v + i * v, (size_t)v * sizeof *to->v);
  if (from->bias != NULL)
    to->bias[j] = from->bias[i];
  to->position[j] = from->position[i];
}

/* Rows of several ranks, in the order of their positions. */
static void put_in_order(const precis_keys *from, const int64_t **order, precis_keys *to)
{
  for (int64_t i = 0; i < from->rows; i++)
    order[i] = from->position + i;
  qsort(order, (size_t)from->rows, sizeof *order, by_position);
  for (int64_t j = 0; j < from->rows; j++)
    copy_row(from, order[j] - from->position, to, j);
  to->rows = from->rows;
}

static precis_keys empty(const precis_keys *like)
{
  return (precis_keys){
      .kv_heads = like->kv_heads, .dim = like->dim, .value_dim = like->value_dim};
}

/* Keys at the positions of this rank's queries, from the ranks that have them. */
static int fetch(const precis_signal_rows *of, const trade *t, precis_signal_prefixes *prefixes)
{
  const precis_keys *keys = of->keys;
  precis_keys came = empty(keys);
  int biased = keys->bias != NULL,
      status = precis_keys_reserve(&came, t->coming, biased);
  const int64_t **order = precis_memory_array(t->coming, sizeof *order);
  prefixes->own = empty(keys);
  prefixes->owned = 1;
  if (status == PRECIS_SUCCESS)
    status = precis_keys_reserve(&prefixes->own, t->coming, biased);
  status = precis_world_agree(of->world, order ? status : PRECIS_ERR_MEMORY, NULL);
  came.rows = t->coming;
  if (status == PRECIS_SUCCESS)
    status = trade_rows(of, t, keys->k, came.k, keys->kv_heads * keys->dim, MPI_FLOAT);
  if (status == PRECIS_SUCCESS)
    status = trade_rows(of, t, keys->v, came.v, keys->kv_heads * keys->value_dim, MPI_FLOAT);
  if (status == PRECIS_SUCCESS && biased)
    status = trade_rows(of, t, keys->bias, came.bias, 1, MPI_FLOAT);
  if (status == PRECIS_SUCCESS)
    status = trade_rows(of, t, keys->position, came.position, 1, MPI_INT64_T);
  if (status == PRECIS_SUCCESS)
    put_in_order(&came, order, &prefixes->own);
  free((void *)order);
  precis_keys_free(&came);
  return status;
}

/* This rank's own keys serve. */
static void borrow(const precis_signal_rows *of, const trade *t, precis_signal_prefixes *prefixes)
{
  const precis_keys *keys = of->keys;
  int64_t first = t->out_at[of->world->rank];
  precis_keys own = *keys;
  own.rows = t->out[of->world->rank];
  own.k += first * keys->kv_heads * keys->dim;
  own.v += first * keys->kv_heads * keys->value_dim;
  own.bias = keys->bias ? keys->bias + first : NULL;
  own.position += first;
  prefixes->own = own;
}

int precis_signal_prefixes_find(const precis_signal *s, const precis_signal_rows *of,
                                precis_signal_prefixes *prefixes)
{
  const precis_problem *p = of->problem;
  int *numbers = precis_memory_array(4 * (int64_t)of->map->ranks, sizeof *numbers);
  *prefixes = (precis_signal_prefixes){
      .base = precis_memory_array((int64_t)p->heads * (p->value_dim + 2), sizeof(double))};
  int status = numbers && prefixes->base ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
  if (of->keys->rows > INT_MAX)
    status = PRECIS_ERR_RANGE;
  status = precis_world_agree(of->world, status, NULL);
  trade t = {0};
  if (status == PRECIS_SUCCESS)
    status = find_base(s, of, prefixes->base);
  if (status == PRECIS_SUCCESS)
    status = plan_trade(of, numbers, &t);
  if (status == PRECIS_SUCCESS && t.moves)
    status = fetch(of, &t, prefixes);
  else if (status == PRECIS_SUCCESS)
    borrow(of, &t, prefixes);
  free(numbers);
  return status;
}

void precis_signal_prefixes_free(precis_signal_prefixes *prefixes)
{
  free(prefixes->base);
  if (prefixes->owned)
    precis_keys_free(&prefixes->own);
  *prefixes = (precis_signal_prefixes){0};
}
