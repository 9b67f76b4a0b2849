/* moments.h - deviations of columns whose rows are spread over ranks */
#ifndef PRECIS_MPI_MEASURE_MOMENTS_H
#define PRECIS_MPI_MEASURE_MOMENTS_H

#include "mpi/world/world.h"
#include "src/oracle/contract.h"

/* Arrays for so many columns, cleared. 0 if there is no memory; release them in any case. */
int precis_moments_allocate(int64_t columns, precis_moments *moments);
void precis_moments_release(precis_moments *moments);

/* Collective. Merges what each rank has in *own into *all, in rank order, so that all ranks find
 * the same bits; *part is room for one of them. Returns PRECIS_SUCCESS or MPI, on this rank alone.
 */
int precis_moments_gather(precis_world *world, const precis_moments *own, precis_moments *part,
                          precis_moments *all);

#endif
