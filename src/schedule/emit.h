/* schedule_emit.h - how builders hand out steps */
#ifndef PRECIS_SRC_SCHEDULE_EMIT_H
#define PRECIS_SRC_SCHEDULE_EMIT_H

#include "src/exact/partial.h"
#include "src/schedule/build.h"
#include "src/base/share.h"
#include "src/layout/tree.h"

/* One round of one rank under way. */
typedef struct precis_emitter {
  const precis_schedule *schedule;
  int rank, status; /* status: of the visitor; once not 0, nothing more is emitted */
  precis_step_visit *visit;
  void *context;
} precis_emitter;

/* A step with no peer, no slots and no messages, to be filled in. */
precis_step precis_step_new(precis_step_kind kind, precis_step_matter matter, precis_block block);

void precis_emit(precis_emitter *emitter, precis_step step);

/* A local step from or to so many bytes of a slot, and another slot. */
void precis_emit_local(precis_emitter *emitter, precis_step_kind kind, precis_step_matter matter,
                       precis_block block, int slot, int64_t bytes, int into);

/* Where a message lies, and what it is called. */
typedef struct precis_message_place {
  int slot;
  int64_t offset, bytes;
  int tag, request;
} precis_message_place;

/* Messages of no bytes are none at all: both sides leave them out. */
void precis_emit_send(precis_emitter *emitter, precis_step_matter matter, precis_block block,
                      int to, precis_message_place place);
void precis_emit_receive(precis_emitter *emitter, precis_step_matter matter, precis_block block,
                         int from, precis_message_place place);
void precis_emit_wait(precis_emitter *emitter, int request, int requests);

/* Nothing, where the rank is alone on its node. */
void precis_emit_mark(precis_emitter *emitter, int64_t mark);
void precis_emit_meet(precis_emitter *emitter, int64_t mark);

/* Nothing, where the exchange is not wanted. */
void precis_emit_exchange(precis_emitter *emitter, precis_step_matter matter,
                          const precis_exchange_shape *exchange);

/* A share of rows is cut into parcels of tile_rows: how many, and the rows of one. */
static inline int64_t precis_parcels(int64_t rows, int64_t tile_rows)
{
  return rows / tile_rows + (rows % tile_rows != 0);
}

static inline int64_t precis_parcel_rows(int64_t rows, int64_t tile_rows, int64_t number)
{
  int64_t left = rows - number * tile_rows;
  return left < 0 ? 0 : left < tile_rows ? left : tile_rows;
}

/* In the largest tile. */
int64_t precis_summaries_numbers_most(const precis_summaries_shape *shape);

/* Of so many queries and a block of keys, with `visible` of the pairs seen (0: all). */
static inline double precis_compute_flops(const precis_parcel_kind *kind, double queries,
                                          int64_t keys, double visible)
{
  return 2.0 * (kind->dim + kind->value_dim) * queries * (double)keys * (visible > 0 ? visible : 1);
}

/* Of summarising or applying a tile of features for so many keys or queries. */
double precis_summaries_flops(const precis_schedule *schedule, int rank, const precis_step *step);

static inline int64_t precis_summaries_rows(const precis_summaries_shape *shape, int rank)
{
  return shape->query_start[rank + 1] - shape->query_start[rank];
}

/* What the two forms of summaries keep besides tiles on their way. */
int64_t precis_summaries_work_bytes(const precis_summaries_shape *shape, int rank);

#endif
