/* meet.h - one collective call where there would be many
 *
 * What ranks have to tell each other at one moment, whether all have succeeded so far and numbers
 * of which all need the sum, the largest or the smallest, goes into one message. So a rank that
 * fails before a meeting says so at the meeting, and all leave it with the same status. */
#ifndef PRECIS_MPI_WORLD_MEET_H
#define PRECIS_MPI_WORLD_MEET_H

#include "mpi/world/world.h"

typedef enum precis_fold { PRECIS_FOLD_SUM, PRECIS_FOLD_MAX, PRECIS_FOLD_MIN } precis_fold;

/* Numbers of a meeting, of one of the two types; replaced by what all ranks make of them. Their
 * count is the same on all ranks. A rank that has failed may have NULL for both. */
typedef struct precis_told {
  precis_fold fold;
  int64_t count;
  double *real;
  int64_t *whole;
} precis_told;

/* Collective. status, message: as for precis_world_agree(). Where it returns an error, the numbers
 * may be anything. One call of MPI for up to PRECIS_MEET_NUMBERS - 1 numbers, one more for each
 * part of more than that, and one more where some rank has failed and there is a message. Does not
 * allocate. Errors: the status of a rank that failed; MPI. */
enum { PRECIS_MEET_NUMBERS = 4096 };
int precis_world_meet(precis_world *world, int status, precis_message *message,
                      const precis_told *told, int parts);

/* For precis_world_create(): the type and the operation of meetings. Errors: MPI, with nothing left
 * to free. */
int precis_meet_create(precis_world *world);
void precis_meet_free(precis_world *world);

#endif
