/* schedule_world.h - all ranks of a schedule run against each other, without MPI
 *
 * Buffers hold labels instead of numbers: which rows, of whom, with what added. A send is over when
 * its receive has been started and not before, the least that MPI promises. Where ranks of a node
 * see each other's slots, only marks and meetings say what comes before what. */
#ifndef PRECIS_TESTS_SCHEDULE_WORLD_H
#define PRECIS_TESTS_SCHEDULE_WORLD_H

#include <stdint.h>

#include "src/schedule/schedule.h"

enum { WORLD_RANKS = 64 };

/* What the steps must bring about. */
typedef struct world_facts {
  int ranks, heads, kv_heads;
  const int64_t *query_rows, *key_rows; /* ranks: as they are attended */
  int64_t features;                     /* of each key/value head's summary; 0: none */
  int spread;   /* at the end every rank has attended to every key, and there are no results */
  int prefixes; /* of summaries: a rank's queries see those of lower ranks through them */
} world_facts;

#define WORLD_VERDICTS(X)                                                                          \
  X(GOOD)                                                                                          \
  X(DEADLOCK)  /* nobody can go on */                                                              \
  X(BYTES)     /* two ends of a message differ */                                                  \
  X(UNWAITED)  /* messages left over, or a request used twice */                                   \
  X(OVERWRITE) /* memory touched while a message needs it */                                       \
  X(UNORDERED) /* memory of a node touched without meeting who is at it */                         \
  X(BOUNDS)    /* outside of a slot */                                                             \
  X(LABEL)     /* a step did not find what it names */                                             \
  X(COVERAGE)  /* pairs, sums or results missing or twice */                                       \
  X(MEMORY)

typedef enum world_verdict {
#define X(name) WORLD_##name,
  WORLD_VERDICTS(X)
#undef X
} world_verdict;

/* The lists of all ranks. */
typedef struct world_lists {
  int64_t count[WORLD_RANKS];
  precis_step *steps[WORLD_RANKS];
} world_lists;

/* Errors end the test. */
void world_lists_make(const precis_schedule *schedule, world_lists *lists);
void world_lists_free(world_lists *lists);

/* Says why on standard error if `aloud` is set. */
world_verdict world_run(const precis_schedule *schedule, const world_facts *facts,
                        const world_lists *lists, int aloud);

const char *world_verdict_name(world_verdict verdict);

#endif
