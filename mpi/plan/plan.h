/* plan.h - which move, decided alike on all ranks from what one small exchange tells */
#ifndef PRECIS_MPI_PLAN_PLAN_H
#define PRECIS_MPI_PLAN_PLAN_H

#include "mpi/handle/attention.h"
#include "src/schedule/cost.h"
#include "src/model/model.h"
#include "src/layout/split.h"
#include "src/layout/visible.h"

typedef struct precis_attend_plan {
  precis_query_map map;
  int64_t *start, *first_position, *key_rows; /* what map and key_rows point to; owned */
  precis_cut *cuts;                           /* owned */
  precis_parcel_kind kind;
  int64_t tile_rows;
  int deal_queries, deal_keys, deal_keys_for_queries;
  int tiles_apart, summary_apart; /* no room for memory that ranks of a node would share */
  int64_t shared_room;            /* bytes of it that a rank may count on */
  int64_t held;                   /* bytes of the rank that holds most, a kept summary apart */
  precis_scene scene;
  int64_t bytes[PRECIS_MOVES];               /* predicted, by move; -1: not considered */
  precis_prediction predicted[PRECIS_MOVES]; /* by move; zeros: not considered */
  precis_move move;
  char why[200];
} precis_attend_plan;

/* Not collective. What all have to know of a rank, as PRECIS_PLAN_PARTS parts of a meeting: rows,
 * first_position: of this rank's queries. On failure, too, parts can be told; free the plan in any
 * case. Errors: MEMORY. */
enum { PRECIS_PLAN_PARTS = 3 };
int precis_attend_plan_tell(const precis_attention *attention, int64_t rows, int64_t first_position,
                            precis_attend_plan *plan, precis_told *told);

/* Collective, when all parts were told. first_position was one if explicit_positions. Errors: MPI.
 */
int precis_attend_plan_make(precis_attention *attention, int explicit_positions,
                            precis_attend_plan *plan);

void precis_attend_plan_free(precis_attend_plan *plan);

#endif
