/* link.h - orders from rank 0 to ranks that wait without keeping a processor busy
 *
 * Blocking calls of Open MPI spin. A rank that waits for an order looks, sleeps, and looks again,
 * at first after microseconds and then after a millisecond at most, so that an idle rank takes
 * little of a core and the first order after a pause is heard within a millisecond or two. Orders
 * go straight from rank 0 to each rank: along a tree, the sleeps of a path would add up. */
#ifndef PRECIS_SERVICE_LINK_H
#define PRECIS_SERVICE_LINK_H

#include <stdatomic.h>

#include "mpi/service/order.h"
#include "mpi/world/world.h"

/* Which rank rank 0 waits for, and since when, for other threads to see. */
typedef struct precis_silence {
  atomic_int rank;          /* -1: none */
  _Atomic int64_t since_ms; /* CLOCK_MONOTONIC */
} precis_silence;

/* On rank 0. Errors: MPI. */
int precis_link_tell(precis_world *world, int rank, const precis_order *order);
/* To all others, and waits until all have heard it: then a rank that hangs is known by its name
 * before collective calls, in which nobody could tell who is missing. */
int precis_link_tell_all(precis_world *world, precis_silence *silence, const precis_order *order);
/* Values that go with an order to fill. */
int precis_link_send(precis_world *world, int rank, const float *values, int64_t count);

/* On another rank: waits for the next order, in the order in which they were given. Errors: MPI. */
int precis_link_hear(precis_world *world, precis_order *order);
int precis_link_receive(precis_world *world, float *values, int64_t count);

#endif
