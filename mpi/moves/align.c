#include "mpi/moves/align.h"

#include <stdlib.h>

#include "mpi/rows/leaving.h"
#include "src/layout/balance.h"
#include "src/layout/line.h"
#include "src/base/memory.h"

static int allocate(precis_align *align, int ranks)
{
  align->key_start = precis_memory_array(ranks + 1, sizeof *align->key_start);
  align->query_start = precis_memory_array(ranks + 1, sizeof *align->query_start);
  align->first_position = precis_memory_array(ranks, sizeof *align->first_position);
  align->key_rows = precis_memory_array(ranks, sizeof *align->key_rows);
  int made = align->key_start && align->query_start && align->first_position && align->key_rows;
  return made ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

/* Keys that are consecutive on every rank, and from rank to rank, stay; others are shared out
 * evenly. */
static int place_keys(precis_world *world, const precis_keys *keys, const precis_query_map *map,
                      precis_align *align)
{
  int64_t rows = keys->rows, before = 0;
  if (MPI_Exscan(&rows, &before, 1, MPI_INT64_T, MPI_SUM, world->comm))
    return PRECIS_ERR_MPI;
  before = world->rank > 0 ? before : 0;
  int scattered =
      rows > 0 && (keys->position[0] != before || keys->position[rows - 1] != before + rows - 1);
  if (MPI_Allreduce(&scattered, &align->moves_keys, 1, MPI_INT, MPI_MAX, world->comm) ||
      MPI_Allgather(&rows, 1, MPI_INT64_T, align->key_rows, 1, MPI_INT64_T, world->comm))
    return PRECIS_ERR_MPI;
  align->key_start[0] = 0;
  for (int r = 0; r < map->ranks; r++) {
    int64_t share =
        map->keys / map->ranks * (r + 1) + map->keys % map->ranks * (r + 1) / map->ranks;
    align->key_start[r + 1] = align->moves_keys ? share : align->key_start[r] + align->key_rows[r];
  }
  for (int r = 0; r < map->ranks; r++)
    align->key_rows[r] = align->key_start[r + 1] - align->key_start[r];
  return PRECIS_SUCCESS;
}

int precis_align_plan(precis_world *world, const precis_keys *keys, const precis_query_map *map,
                      precis_align *align)
{
  *align = (precis_align){.possible = precis_line_possible(map)};
  int status = precis_world_agree(world, allocate(align, world->ranks), NULL);
  if (status == PRECIS_SUCCESS)
    status = place_keys(world, keys, map, align);
  if (status != PRECIS_SUCCESS) {
    precis_align_free(align);
    return status;
  }
  align->moves_queries =
      precis_line_queries(map, align->key_start, align->query_start, align->first_position);
  precis_layout line = precis_layout_consecutive(map->ranks, align->query_start);
  align->queries_leaving = precis_balance_leaving(map->start, &line, world->node);
  precis_layout keys_line = precis_layout_consecutive(map->ranks, align->key_start);
  if (align->moves_keys)
    align->keys_leaving = precis_leaving_keys(keys, &keys_line, world);
  int64_t sum[2] = {align->keys_leaving.network, align->keys_leaving.node};
  if (MPI_Allreduce(MPI_IN_PLACE, sum, 2, MPI_INT64_T, MPI_SUM, world->comm))
    return PRECIS_ERR_MPI;
  align->keys_leaving = (precis_wire){sum[0], sum[1]};
  return PRECIS_SUCCESS;
}

static int move_queries(const precis_task *home, precis_align *align)
{
  const precis_problem *p = home->problem;
  precis_layout layout = precis_layout_consecutive(home->world->ranks, align->query_start);
  int status = precis_deal_queries(home->world, p, home->map, home->q, &layout, &align->queries);
  if (status != PRECIS_SUCCESS)
    return status;
  int64_t rows = align->queries.rows * p->heads;
  return precis_world_agree(home->world, precis_finished_create(rows, p->value_dim, &align->to),
                            NULL);
}

int precis_align_make(const precis_task *home, precis_align *align)
{
  int status = PRECIS_SUCCESS;
  align->task = *home;
  align->map = *home->map;
  align->map.start = align->query_start;
  align->map.first_position = align->first_position;
  align->task.map = &align->map;
  align->task.key_rows = align->key_rows;
  if (align->moves_keys) {
    precis_layout layout = precis_layout_consecutive(home->world->ranks, align->key_start);
    status = precis_deal_keys(home->world, home->keys, &layout, &align->keys);
    align->task.keys = &align->keys;
  }
  if (status == PRECIS_SUCCESS && align->moves_queries) {
    status = move_queries(home, align);
    align->task.rows = align->queries.rows;
    align->task.q = align->queries.q;
    align->task.to = align->to;
  }
  return status;
}

int precis_align_back(precis_task *home, precis_align *align)
{
  const precis_task *away = &align->task;
  home->pairs = away->pairs;
  home->seconds_summarise = away->seconds_summarise;
  home->seconds_apply = away->seconds_apply;
  home->seconds_exact = away->seconds_exact;
  home->seconds_wait = away->seconds_wait;
  if (!align->moves_queries)
    return PRECIS_SUCCESS;
  return precis_deal_back(home->world, home->problem, home->map, &align->queries, &align->to,
                          &home->to);
}

void precis_align_free(precis_align *align)
{
  free(align->key_start);
  free(align->query_start);
  free(align->first_position);
  free(align->key_rows);
  precis_finished_free(&align->to);
  precis_keys_free(&align->keys);
  precis_dealt_queries_free(&align->queries);
  *align = (precis_align){0};
}
