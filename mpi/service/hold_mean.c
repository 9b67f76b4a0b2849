#include "mpi/service/hold_mean.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/handle/attention.h"
#include "src/base/memory.h"

/* Position of the first key that is not masked, of all ranks; INT64_MAX: there is none. */
static int first_key(precis_hold *hold, const precis_keys *keys, int64_t *first)
{
  int64_t row = 0;
  while (row < keys->rows && precis_keys_masked(keys, row))
    row++;
  *first = row < keys->rows ? keys->position[row] : INT64_MAX;
  return MPI_Allreduce(MPI_IN_PLACE, first, 1, MPI_INT64_T, MPI_MIN, hold->world->comm)
             ? PRECIS_ERR_MPI
             : PRECIS_SUCCESS;
}

/* Of queries from `row` on. */
static void average(const precis_problem *p, int64_t row, int64_t rows, const float *q,
                    double *mean)
{
  int64_t width = (int64_t)p->heads * p->dim;
  for (int64_t i = row; i < rows; i++)
    for (int64_t c = 0; c < width; c++)
      mean[c] += (double)q[i * width + c];
  for (int64_t c = 0; c < width; c++)
    mean[c] /= (double)(rows - row);
}

/* The first query that sees a key, or order->rows. */
static int64_t first_query(const precis_problem *p, const precis_order *order, int64_t key)
{
  if (key == INT64_MAX)
    return order->rows;
  int64_t first = p->causal ? key - order->position : 0;
  return first < 0 ? 0 : first < order->rows ? first : order->rows;
}

int precis_hold_mean(precis_hold *hold, const precis_order *order, const precis_hold_data *data)
{
  precis_attention *a = hold->handles[order->slot];
  const precis_problem *p = &a->problem;
  int64_t width = (int64_t)p->heads * p->dim, key;
  if (a->signal.has_mean)
    return PRECIS_SUCCESS;
  double *mean = precis_memory_array(width, sizeof *mean);
  int status =
      precis_world_agree(hold->world, mean ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, &hold->why);
  if (status == PRECIS_SUCCESS)
    status = first_key(hold, &a->keys, &key);
  if (status == PRECIS_SUCCESS && first_query(p, order, key) < order->rows) {
    memset(mean, 0, (size_t)width * sizeof *mean);
    if (data != NULL)
      average(p, first_query(p, order, key), order->rows, data->q, mean);
    if (MPI_Bcast(mean, (int)width, MPI_DOUBLE, 0, hold->world->comm)) /* few: see spec.c */
      status = PRECIS_ERR_MPI;
    else
      precis_signal_set_mean(p, mean, &a->signal);
  }
  free(mean);
  return status;
}
