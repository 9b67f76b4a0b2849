/* calibrate.h - the rates of a machine, measured by a job of its own */
#ifndef PRECIS_MPI_MEASURE_CALIBRATE_H
#define PRECIS_MPI_MEASURE_CALIBRATE_H

#include "mpi/world/world.h"
#include "src/model/rates.h"

typedef struct precis_calibration {
  precis_rates rates;
  int has_node, has_network; /* links of either kind were there to be measured; else nominal */
  int ranks_per_node;        /* of the fullest node */
} precis_calibration;

/* Collective; takes some seconds. Kernels run on all ranks at once, since they share memory and
 * caches; of repetitions the fastest counts, of the ranks the slowest. Links are measured with
 * messages there and back, and with all ranks sending at once. Equal on all ranks. Errors: MEMORY,
 * MPI, INTERNAL. */
int precis_calibrate(precis_world *world, int threads, int64_t fast_memory,
                     precis_calibration *calibration);

#endif
