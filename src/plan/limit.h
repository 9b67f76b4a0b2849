/* limit.h - moves and tiles that keep a limit of memory */
#ifndef PRECIS_SRC_PLAN_LIMIT_H
#define PRECIS_SRC_PLAN_LIMIT_H

#include "src/base/message.h"
#include "src/model/model.h"

/* Keys in a parcel when memory is no matter: wish > 0, or sized from the shape. */
int64_t precis_limit_tile_rows(const precis_problem *problem, int64_t wish);

/* Predicts the exact moves, which put wire[move] on the wire, each with tiles no larger than
 * scene->memory_limit allows, and returns the wish or (AUTO) the one with the fewest seconds of
 * those that keep the limit; where none does, the one that comes closest. scene->tile_rows becomes
 * that of the one returned. */
precis_move precis_limit_choose(precis_scene *scene, precis_move wish,
                                const precis_wire wire[PRECIS_MOVES],
                                precis_prediction predicted[PRECIS_MOVES]);

/* MEMORY, with what is missing in words, if a move exceeds the limit. */
int precis_limit_check(const precis_scene *scene, precis_move move,
                       const precis_prediction *predicted, precis_message *why);

#endif
