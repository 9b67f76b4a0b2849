#include "mpi/rows/deal.h"

#include <stdlib.h>

#include "mpi/rows/rows.h"
#include "src/base/memory.h"

static const int64_t WORD = sizeof(float);

/* index[i]: the number in the sequence of a rank's row i. */
static void number_rows(const precis_layout *layout, int rank, int64_t rows, int64_t *index)
{
  for (int64_t i = 0; i < rows;) {
    int64_t first, count = precis_layout_row(layout, rank, i, &first);
    for (int64_t j = 0; j < count && i < rows; j++)
      index[i++] = first + j;
  }
}

int precis_deal_keys(precis_world *world, const precis_keys *keys, const precis_layout *layout,
                     precis_keys *dealt)
{
  int64_t rows = precis_layout_share(layout, world->rank);
  *dealt =
      (precis_keys){.kv_heads = keys->kv_heads, .dim = keys->dim, .value_dim = keys->value_dim};
  int status = precis_keys_reserve(dealt, rows, keys->bias != NULL);
  status = precis_world_agree(world, status, NULL);
  if (status == PRECIS_SUCCESS) {
    const precis_rows_array arrays[] = {
        {WORD * keys->kv_heads * keys->dim, keys->k, dealt->k},
        {WORD * keys->kv_heads * keys->value_dim, keys->v, dealt->v},
        {WORD, keys->bias, dealt->bias},
    };
    status =
        precis_rows_exchange(world, keys->rows, keys->position, layout, arrays, keys->bias ? 3 : 2);
  }
  if (status != PRECIS_SUCCESS) {
    precis_keys_free(dealt);
    return status;
  }
  dealt->rows = rows;
  number_rows(layout, world->rank, rows, dealt->position);
  return PRECIS_SUCCESS;
}

int precis_deal_queries(precis_world *world, const precis_problem *problem,
                        const precis_query_map *map, const float *q, const precis_layout *layout,
                        precis_dealt_queries *dealt)
{
  int64_t home = map->start[world->rank + 1] - map->start[world->rank];
  int64_t row = (int64_t)problem->heads * problem->dim;
  *dealt =
      (precis_dealt_queries){.layout = *layout, .rows = precis_layout_share(layout, world->rank)};
  int64_t *numbers = precis_memory_array(home, sizeof *numbers);
  dealt->q = precis_memory_array(dealt->rows, (size_t)(row * WORD));
  dealt->index = precis_memory_array(dealt->rows, sizeof *dealt->index);
  dealt->position = precis_memory_array(dealt->rows, sizeof *dealt->position);
  int made = numbers && dealt->q && dealt->index && dealt->position;
  int status = precis_world_agree(world, made ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS) {
    const precis_layout from = precis_layout_consecutive(map->ranks, map->start);
    const precis_rows_array array = {row * WORD, q, dealt->q};
    number_rows(&from, world->rank, home, numbers);
    status = precis_rows_exchange(world, home, numbers, layout, &array, 1);
  }
  free(numbers);
  if (status != PRECIS_SUCCESS) {
    precis_dealt_queries_free(dealt);
    return status;
  }
  number_rows(layout, world->rank, dealt->rows, dealt->index);
  for (int64_t i = 0; i < dealt->rows; i++)
    dealt->position[i] = precis_visible_position(map, dealt->index[i]);
  return PRECIS_SUCCESS;
}

int precis_deal_back(precis_world *world, const precis_problem *problem,
                     const precis_query_map *map, const precis_dealt_queries *dealt,
                     const precis_finished *away, const precis_finished *at_home)
{
  const precis_layout home = precis_layout_consecutive(map->ranks, map->start);
  const precis_rows_array arrays[] = {
      {WORD * problem->heads * problem->value_dim, away->out, at_home->out},
      {WORD * problem->heads, away->lse, at_home->lse},
      {WORD * problem->heads * PRECIS_PROOF_NUMBERS, away->proof, at_home->proof},
  };
  return precis_rows_exchange(world, dealt->rows, dealt->index, &home, arrays, 3);
}

void precis_dealt_queries_free(precis_dealt_queries *dealt)
{
  free(dealt->q);
  free(dealt->index);
  free(dealt->position);
  *dealt = (precis_dealt_queries){0};
}
