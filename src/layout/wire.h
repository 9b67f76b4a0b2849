/* wire.h - bytes on the wire by the kind of link */
#ifndef PRECIS_SRC_LAYOUT_WIRE_H
#define PRECIS_SRC_LAYOUT_WIRE_H

#include <stdint.h>

/* Sums over all ranks. */
typedef struct precis_wire {
  int64_t network; /* between nodes */
  int64_t node;    /* inside a node */
} precis_wire;

static inline int64_t precis_wire_sum(const precis_wire *wire)
{
  return wire->network + wire->node;
}

static inline precis_wire precis_wire_plus(precis_wire a, precis_wire b)
{
  return (precis_wire){a.network + b.network, a.node + b.node};
}

static inline precis_wire precis_wire_times(precis_wire a, int64_t times)
{
  return (precis_wire){a.network * times, a.node * times};
}

#endif
