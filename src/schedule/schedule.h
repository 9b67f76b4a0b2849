/* schedule.h - what every rank does, step by step, as data
 *
 * A schedule is a pure function of the shapes: rank r's steps in round k. Builders (one a move, see
 * src/schedule/build.h) make it, printers show it, tests run all its ranks against each other,
 * src/schedule/trace.h writes it for a network simulator, and mpi/moves/execute.h carries it out.
 *
 * Steps are generated a round at a time, into a visitor, and never stored: at 4,096 ranks a list
 * may have millions of them, a reader needs one at a time, and a function of (rank, round) can be
 * entered anywhere, which is what printing one rank's page or going on from a checkpoint needs.
 * precis_schedule_list() makes an array where one is wanted.
 *
 * All ranks have the same number of rounds, and in each a rank's steps are done in order. SEND and
 * RECEIVE start a message, WAIT ends it; in between, its bytes must not be touched (sent ones may
 * be read). Between a pair of ranks, messages of one tag meet in order. All is arranged so that
 * ranks come to the end even if a send waits for its receive to be started.
 *
 * Ranks of a node may see each other's slots, or have one in common: then all parts of it that are
 * read were written by the rank itself, or before a MARK of another that this one has waited for by
 * a MEET; and nothing is written that another may still be reading. Marks count up from 1. A rank
 * that is alone on its node shares nothing and meets nobody.
 *
 * Where `quiet` is set, no message is in flight between rounds, and all ranks may stop there
 * together; where it is not, those in flight must be awaited first. */
#ifndef PRECIS_SRC_SCHEDULE_SCHEDULE_H
#define PRECIS_SRC_SCHEDULE_SCHEDULE_H

#include <stdint.h>

#include "src/layout/nodes.h"

#define PRECIS_STEP_KINDS(X)                                                                       \
  X(EXCHANGE, "exchange") /* rows change ranks, see precis_exchange_shape and mpi/rows/rows.h */        \
  X(PACK, "pack")         /* rows of this rank, or what is in `into`, to the slot */               \
  X(SEND, "send")         /* starts sending bytes of the slot */                                   \
  X(RECEIVE, "receive")   /* starts receiving into the slot */                                     \
  X(WAIT, "wait")         /* for messages request .. request + requests - 1, where under way */    \
  X(UNPACK, "unpack")     /* from the slot to `into`, or to this rank's rows where that is none */ \
  X(CLEAR, "clear")       /* `into` to nothing attended */                                         \
  X(COMPUTE, "compute")   /* this rank's queries to the keys in the slot, exactly, into `into` */  \
  X(SUMMARISE, "summarise") /* this rank's keys, a tile of features, to the slot */                \
  X(APPLY, "apply")         /* the tile in the slot to this rank's queries, into `into` */         \
  X(MERGE, "merge")         /* the slot is added to `into` */                                      \
  X(SUM, "sum")       /* these bytes of the slot of every rank of the node, added up, to `into` */ \
  X(MARK, "mark")     /* tells the ranks of the node that this one has come to mark `mark` */      \
  X(MEET, "meet")     /* waits until all ranks of the node have come to mark `mark` */             \
  X(FINISH, "finish") /* what is in `into` becomes results */

typedef enum precis_step_kind {
#define X(name, text) PRECIS_STEP_##name,
  PRECIS_STEP_KINDS(X)
#undef X
} precis_step_kind;

#define PRECIS_STEP_MATTERS(X)                                                                     \
  X(NOTHING, "-")                                                                                  \
  X(QUERIES, "queries")                                                                            \
  X(KEYS, "keys")         /* and values */                                                         \
  X(PARTIALS, "partials") /* of queries, see src/exact/partial.h */                                      \
  X(RESULTS, "results")                                                                            \
  X(SUMMARY, "summary") /* a tile of features of one key/value head */

typedef enum precis_step_matter {
#define X(name, text) PRECIS_MATTER_##name,
  PRECIS_STEP_MATTERS(X)
#undef X
} precis_step_matter;

typedef enum precis_link { PRECIS_LINK_NONE, PRECIS_LINK_NODE, PRECIS_LINK_NETWORK } precis_link;

/* Which part of the whole. */
typedef struct precis_block {
  int owner;             /* the rank whose rows they are; of a summary: -1 */
  int64_t first, rows;   /* of the owner's rows */
  int first_head, heads; /* key/value heads of keys and summaries, else query heads */
  int64_t first_feature, features;
} precis_block;

struct precis_exchange_shape;

typedef struct precis_step {
  precis_step_kind kind;
  precis_step_matter matter;
  precis_block block;
  int peer; /* to or from whom; of COMPUTE: whose slot it is, of this node's ranks; -1: none */
  precis_link link;
  int tag;
  int request, requests; /* the message's number, or those awaited */
  int slot;              /* -1: none */
  int64_t offset, bytes; /* in the slot; bytes of an exchange: those that leave, -1: not known
                            without the rows' positions */
  int into;              /* the other slot; -1: none */
  int64_t into_offset;
  int64_t mark;                                 /* of MARK and MEET */
  const struct precis_exchange_shape *exchange; /* of an exchange, else NULL; borrowed */
} precis_step;

/* Who sees a slot. */
typedef enum precis_slot_view {
  PRECIS_VIEW_RANK,  /* the rank alone, */
  PRECIS_VIEW_NODE,  /* or all ranks of its node, to read it, */
  PRECIS_VIEW_COMMON /* or the node has one for all its ranks, which write parts of it */
} precis_slot_view;

/* A buffer of a rank. */
typedef struct precis_slot {
  const char *name;
  int64_t bytes;
  int kept;    /* by the move, in a form of its own; others are bare memory that the executor has */
  int travels; /* messages begin or end in it */
  precis_slot_view view; /* other than that of the rank only where the node has more ranks */
} precis_slot;

/* Called for one step after the other until it returns something other than 0. */
typedef int precis_step_visit(void *context, const precis_step *step);

typedef struct precis_schedule precis_schedule;
struct precis_schedule {
  const char *move;
  int ranks;
  const precis_nodes *nodes; /* borrowed */
  int64_t rounds;
  int slots, requests; /* of every rank */
  int quiet;
  int shares;        /* slots of some ranks are not theirs alone */
  const void *shape; /* what the builder was given; borrowed */
  int (*visit)(const precis_schedule *schedule, int rank, int64_t round, precis_step_visit *visit,
               void *context);
  precis_slot (*slot)(const precis_schedule *schedule, int rank, int slot);
  double (*flops)(const precis_schedule *schedule, int rank, const precis_step *step);
};

/* Goes through a round's steps. Returns what the visitor returned last. */
int precis_schedule_visit(const precis_schedule *schedule, int rank, int64_t round,
                          precis_step_visit *visit, void *context);

precis_slot precis_schedule_slot(const precis_schedule *schedule, int rank, int slot);

/* Bytes of all slots of a rank, with its part of those that are common. */
int64_t precis_schedule_memory(const precis_schedule *schedule, int rank);

/* Work of a local step, in flops: of attention and of summaries as in src/schedule/cost.h; where numbers are
 * only moved or added, one for each. Under a causal mask, a block of keys counts with the share of
 * the pairs that is seen in the whole, which balanced rows come close to. */
double precis_schedule_flops(const precis_schedule *schedule, int rank, const precis_step *step);

/* What a rank sends. Messages as they are scheduled, before long ones are cut up for MPI. */
typedef struct precis_schedule_totals {
  int64_t steps, messages;
  int64_t node_bytes, network_bytes;
  int64_t exchanged_bytes; /* of exchanges, over either link; -1: not known */
} precis_schedule_totals;

precis_schedule_totals precis_schedule_count(const precis_schedule *schedule, int rank);

/* Adds those of rounds first .. end - 1, or of fewer: it stops after the round with which more than
 * `most` steps are counted. Returns the round it did not come to. */
int64_t precis_schedule_count_some(const precis_schedule *schedule, int rank, int64_t first,
                                   int64_t end, int64_t most, precis_schedule_totals *totals);

/* All steps of a rank: *steps is new, *count long. Errors: MEMORY. */
int precis_schedule_list(const precis_schedule *schedule, int rank, precis_step **steps,
                         int64_t *count);

const char *precis_step_kind_name(precis_step_kind kind);
const char *precis_step_matter_name(precis_step_matter matter);
const char *precis_link_name(precis_link link);

#endif
