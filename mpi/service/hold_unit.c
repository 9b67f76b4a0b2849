#include "mpi/service/hold_unit.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/handle/attention.h"
#include "src/base/memory.h"

int precis_hold_unit(precis_hold *hold, const precis_order *order, const precis_hold_data *data)
{
  precis_attention *a = hold->handles[order->slot];
  int64_t count = precis_signal_numbers(&a->problem);
  double *numbers = precis_memory_array(count, sizeof *numbers);
  int status =
      precis_world_agree(hold->world, numbers ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, &hold->why);
  if (status == PRECIS_SUCCESS) {
    memset(numbers, 0, (size_t)count * sizeof *numbers);
    if (data != NULL && order->count > 0)
      memcpy(numbers, data->unit, (size_t)count * sizeof *numbers);
    if (order->count > 0 &&
        MPI_Bcast(numbers, (int)count, MPI_DOUBLE, 0, hold->world->comm)) /* few: see spec.c */
      status = PRECIS_ERR_MPI;
    else
      precis_signal_unpack(&a->problem, numbers, &a->signal);
  }
  free(numbers);
  return status;
}
