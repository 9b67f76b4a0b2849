/* leaving.h - keys that a change of layout takes to other ranks, by the kind of link */
#ifndef PRECIS_MPI_ROWS_LEAVING_H
#define PRECIS_MPI_ROWS_LEAVING_H

#include "mpi/world/world.h"
#include "src/tokens/keys.h"
#include "src/layout/layout.h"
#include "src/layout/wire.h"

/* Of this rank's keys. */
precis_wire precis_leaving_keys(const precis_keys *keys, const precis_layout *layout,
                                const precis_world *world);

#endif
