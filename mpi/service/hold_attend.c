#include "mpi/service/hold_attend.h"

#include <stdlib.h>

#include "mpi/handle/attention.h"
#include "src/base/memory.h"
#include "src/base/share.h"

/* One rank's part. On rank 0 the arrays are the beginnings of the whole ones. */
typedef struct part {
  int64_t rows, first;
  float *q, *out, *lse, *bounds; /* bounds NULL: not wanted */
} part;

static void plan_rows(precis_hold *hold, int64_t rows, int64_t row)
{
  for (int r = 0; r < hold->world->ranks; r++) {
    hold->counts[r] = (int)(precis_share_rows(rows, hold->world->ranks, r) * row);
    hold->starts[r] = (int)(precis_share_first(rows, hold->world->ranks, r) * row);
  }
}

static int make_part(precis_hold *hold, const precis_problem *p, const precis_order *order,
                     part *mine)
{
  int64_t rows = order->rows;
  mine->rows = precis_share_rows(rows, hold->world->ranks, hold->world->rank);
  mine->first = precis_share_first(rows, hold->world->ranks, hold->world->rank);
  if (hold->world->rank != 0) {
    mine->q = precis_memory_array(mine->rows * p->heads, (size_t)p->dim * sizeof(float));
    mine->out = precis_memory_array(mine->rows * p->heads, (size_t)p->value_dim * sizeof(float));
    mine->lse = precis_memory_array(mine->rows * p->heads, sizeof(float));
    if (order->with_bounds)
      mine->bounds = precis_memory_array(mine->rows * p->heads, sizeof(float));
  }
  int made = mine->q && mine->out && mine->lse && (mine->bounds || !order->with_bounds);
  return precis_world_agree(hold->world, made ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, &hold->why);
}

static int scatter(precis_hold *hold, const precis_hold_data *data, int64_t rows, int64_t row,
                   part *mine)
{
  plan_rows(hold, rows, row);
  int count = hold->counts[hold->world->rank];
  return data != NULL ? MPI_Scatterv(data->q, hold->counts, hold->starts, MPI_FLOAT, MPI_IN_PLACE,
                                     0, MPI_FLOAT, 0, hold->world->comm)
                      : MPI_Scatterv(NULL, NULL, NULL, MPI_FLOAT, mine->q, count, MPI_FLOAT, 0,
                                     hold->world->comm);
}

static int gather(precis_hold *hold, int64_t rows, int64_t row, float *all, const float *mine)
{
  plan_rows(hold, rows, row);
  int count = hold->counts[hold->world->rank];
  return all != NULL ? MPI_Gatherv(MPI_IN_PLACE, 0, MPI_FLOAT, all, hold->counts, hold->starts,
                                   MPI_FLOAT, 0, hold->world->comm)
                     : MPI_Gatherv(mine, count, MPI_FLOAT, NULL, NULL, NULL, MPI_FLOAT, 0,
                                   hold->world->comm);
}

static int attend(precis_hold *hold, const precis_order *order, const precis_hold_data *data,
                  part *mine)
{
  precis_attention *a = hold->handles[order->slot];
  precis_report report = PRECIS_REPORT_INIT;
  const precis_results results = {mine->out, mine->lse, mine->bounds};
  int64_t position = order->position + mine->first;
  a->signal.settled = order->again;
  int status = precis_attend_results(a, order->placed ? &position : NULL, mine->rows, mine->q,
                                     &results, &report);
  a->signal.settled = 0;
  if (status == PRECIS_SUCCESS && data != NULL)
    *data->report = report;
  return status;
}

int precis_hold_attend(precis_hold *hold, const precis_order *order, const precis_hold_data *data)
{
  const precis_problem *p = &hold->handles[order->slot]->problem;
  part mine = {0};
  if (data != NULL)
    mine = (part){.q = (float *)(uintptr_t)data->q,
                  .out = data->out,
                  .lse = data->lse,
                  .bounds = data->bounds};
  int status = make_part(hold, p, order, &mine);
  if (status == PRECIS_SUCCESS &&
      scatter(hold, data, order->rows, (int64_t)p->heads * p->dim, &mine))
    status = PRECIS_ERR_MPI;
  if (status == PRECIS_SUCCESS)
    status = attend(hold, order, data, &mine);
  if (status == PRECIS_SUCCESS &&
      (gather(hold, order->rows, (int64_t)p->heads * p->value_dim, data ? data->out : NULL,
              mine.out) ||
       gather(hold, order->rows, p->heads, data ? data->lse : NULL, mine.lse) ||
       (order->with_bounds &&
        gather(hold, order->rows, p->heads, data ? data->bounds : NULL, mine.bounds))))
    status = PRECIS_ERR_MPI;
  if (data == NULL) {
    free(mine.q);
    free(mine.out);
    free(mine.lse);
    free(mine.bounds);
  }
  return status;
}
