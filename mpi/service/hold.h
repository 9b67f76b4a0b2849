/* hold.h - what a rank holds for the service, and how it carries out orders
 *
 * A context is a precis_attention handle in a slot. The rows of an append gather in a shard, rank
 * by rank, and become the context's when all are there. Rank 0 numbers slots and shards. */
#ifndef PRECIS_SERVICE_HOLD_H
#define PRECIS_SERVICE_HOLD_H

#include <stdatomic.h>
#include <stdint.h>

#include "mpi/service/link.h"
#include "mpi/service/order.h"
#include "mpi/service/segments.h"
#include "mpi/service/service.h"
#include "mpi/world/world.h"
#include "src/base/message.h"
#include "src/precis.h"

typedef struct precis_shard {
  int64_t rows;
  float *arrays[PRECIS_SHARD_ARRAYS]; /* owned; no bias: NULL */
  int status;                         /* MEMORY: the arrays are not there */
} precis_shard;

typedef struct precis_host {
  char text[64];
} precis_host;

typedef struct precis_hold {
  precis_world *world;
  const precis_service_options *options;
  precis_attention **handles; /* options->contexts_most */
  precis_shard *shards;       /* options->connections_most */
  int *counts, *starts;       /* ranks: scratch for scattering */
  int64_t weighings;
  int64_t *bytes;         /* ranks: what each held when last asked; on rank 0 */
  _Atomic int64_t loaded; /* rows that LOAD has brought back, of all ranks */
  precis_silence silence; /* on rank 0 */
  precis_host *hosts;     /* ranks: on rank 0 */
  precis_sum *sums;       /* ranks: of the segments that were written last; on rank 0 */
  precis_message why;     /* of the order that failed last */
} precis_hold;

/* Collective. Errors: MEMORY. */
int precis_hold_create(precis_world *world, const precis_service_options *options,
                       precis_hold *hold);
/* Collective. */
void precis_hold_free(precis_hold *hold);

/* What only rank 0 has: the queries of an attend and where results go, or the values that fill a
 * shard of its own. */
typedef struct precis_hold_data {
  const float *q;   /* order.rows x heads x dim */
  float *out, *lse; /* order.rows x heads x value_dim, and x 1; undefined after an error */
  float *bounds;    /* order.with_bounds: order.rows x heads */
  const double *unit; /* UNIT: see precis_signal_pack(); NULL: nothing is known */
  precis_report *report;
  const float *values;
  const precis_segment *segments; /* LOAD: order.count */
  int64_t *rows;                  /* LOAD: ranks; of the context, on each of them */
  /* COMMIT: what all ranks have written has happened. */
  int (*record)(void *context, precis_message *why);
  void *context;
} precis_hold_data;

/* Collective, but for OPEN, FILL and DROP, of which errors wait in the shard. data: NULL but on
 * rank 0. Returns the same status on every rank, with words in hold->why. */
int precis_hold_obey(precis_hold *hold, const precis_order *order, const precis_hold_data *data);

#endif
