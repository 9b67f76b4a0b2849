/* order.h - what rank 0 has the ranks do, in one message of fixed size */
#ifndef PRECIS_SERVICE_ORDER_H
#define PRECIS_SERVICE_ORDER_H

#include <stdint.h>

#include "mpi/service/segments.h"
#include "src/precis.h"

typedef enum precis_order_kind {
  PRECIS_ORDER_CREATE = 1, /* a context in `slot` */
  PRECIS_ORDER_FORK, /* a context in `slot`, of the first `count` tokens of that in `parent` */
  PRECIS_ORDER_DESTROY,
  PRECIS_ORDER_OPEN,   /* `shard`: room for this rank's rows of an append */
  PRECIS_ORDER_FILL,   /* to one rank: `count` floats from `first` on of an array of the shard */
  PRECIS_ORDER_COMMIT, /* the shard's rows become the context's */
  PRECIS_ORDER_DROP,   /* the shard is forgotten */
  PRECIS_ORDER_LOAD,   /* the rows of `count` segments become the context's */
  PRECIS_ORDER_UNIT,   /* what a context's promises are measured in, where it was known before */
  PRECIS_ORDER_MEAN,   /* the mean of all queries of an attend that comes in pieces */
  PRECIS_ORDER_ATTEND,
  PRECIS_ORDER_REFRESH, /* keys that have come since are added to the summary */
  PRECIS_ORDER_PING,    /* nothing but to be there */
  PRECIS_ORDER_STOP
} precis_order_kind;

/* Arrays of a shard. */
enum { PRECIS_SHARD_K, PRECIS_SHARD_V, PRECIS_SHARD_BIAS, PRECIS_SHARD_ARRAYS };

typedef struct precis_order {
  precis_order_kind kind;
  int slot, shard, parent;
  int array, with_bias;
  int with_bounds; /* ATTEND */
  int placed;      /* ATTEND, MEAN: `position` counts, else the last query stands at the last key */
  int again;       /* ATTEND: rows that were answered before; R stays as it is */
  int64_t rows;    /* OPEN: of the rank that is told; ATTEND: of all */
  int64_t first, count;           /* FILL */
  int64_t position;               /* ATTEND, MEAN: of the first query */
  char name[PRECIS_SEGMENT_NAME]; /* COMMIT: of the segments, but for the rank */
  precis_problem problem;         /* CREATE, OPEN */
  double tol;                     /* CREATE, and the rest */
  precis_unit tol_of;
  precis_guarantee guarantee;
  precis_move move;
} precis_order;

#endif
