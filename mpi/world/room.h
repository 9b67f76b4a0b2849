/* room.h - memory that ranks of a node share: how much there is, and having some of it
 *
 * It is a file in a file system that lives in memory, which may be small (64 MB in a container) or
 * not there at all. MPI's own windows fail on one rank while others wait for it, and where they do
 * not, a page that finds no room kills the rank that touches it; so the file is made here, its
 * pages are reserved before anyone uses them, and every rank learns whether all could. */
#ifndef PRECIS_MPI_WORLD_ROOM_H
#define PRECIS_MPI_WORLD_ROOM_H

#include <stdint.h>

#include "mpi/world/world.h"

/* Where it is: PRECIS_SHARED_MEMORY, else what Open MPI is told of its own windows
 * (OMPI_MCA_osc_sm_backing_directory), else /dev/shm. */
const char *precis_room_place(void);

/* Bytes that are free there now; 0: there is none, or it cannot be written. INT64_MAX: no limit. */
int64_t precis_room_free(void);

/* Of them, what one of so many ranks of this node may count on; never 0, so that it can be told
 * from what was not asked. */
int64_t precis_room_share(int mates);

/* Collective over the ranks of a node. *base: `total` bytes that all of them see, of which this
 * rank has reserved, near itself, those from `first` on, whole pages; zeros. Errors: MEMORY, on all
 * ranks of the node alike. */
int precis_room_map(const precis_world *world, int64_t first, int64_t bytes, int64_t total,
                    void **base);
void precis_room_unmap(void *base, int64_t total);

#endif
