/* model.h - what a move takes, foretold from shapes and rates
 *
 * Seconds are those of a whole precis_attend() on the rank that takes longest, rows lying in even
 * shares: survey, plan, passes over memory, computation and messages. What travels over the network
 * travels while a rank computes; inside a node the rank itself copies, so that this adds up. Bytes
 * on the wire come from cost.h, words through fast memory from the formulas of the kernels. */
#ifndef PRECIS_SRC_MODEL_MODEL_H
#define PRECIS_SRC_MODEL_MODEL_H

#include <stdint.h>

#include "src/summary/feature_set.h"
#include "src/precis.h"
#include "src/model/rates.h"
#include "src/layout/wire.h"

/* Collective calls of an attend of one token, the least that there are:
 * tests/mpi_test_collectives.c counts them. */
enum { PRECIS_MODEL_COLLECTIVES = 10 };

/* What is to be attended to, where. */
typedef struct precis_scene {
  const precis_problem *problem; /* settled */
  precis_rates rates;            /* of the threads that ranks have */
  int ranks, nodes;
  int smallest_node, largest_node; /* ranks of them; 0: all alike */
  int64_t queries, keys;           /* of all ranks */
  int64_t new_keys;                /* of the keys, those that no call has surveyed */
  double pairs;                    /* (query, visible key), over heads */
  int64_t most_keys, most_queries; /* of the rank that has most; 0: even shares */
  int with_bias;
  int prefixes;                /* some query does not see every key */
  int deal_queries, deal_keys; /* rows move to balance the tiles move first, ... */
  int deal_keys_for_queries;   /* ... or the queries move */
  int pieces;                  /* heads move: pieces of heads of the rank that has most, */
  int64_t piece_rows;          /* its rows over all pieces, */
  int needed_heads[2];   /* and key/value heads that they need, and that another rank's need */
  int64_t tile_rows;     /* keys in a parcel */
  int fixed_tiles;       /* so many even if fewer were faster */
  int64_t thread_memory; /* bytes of fast memory that a thread owns */
  int64_t memory_limit;  /* bytes of a rank; 0: none */
  int results_in_place;  /* not in arrays of the call's own, to be copied */
  int64_t shared_room;   /* bytes that a rank may take of memory shared by its node; 0: enough */
  int64_t held;          /* bytes of the rank that holds most; 0: as of keys that came at once */
  int64_t held_kept;     /* besides, of a summary that is kept */
} precis_scene;

typedef struct precis_prediction {
  double seconds;           /* of all this: */
  double survey, plan;      /* looking at keys and queries; sampling and fitting */
  double compute, passes;   /* kernels; packing, merging, finishing */
  double wire;              /* waiting for messages */
  precis_wire bytes;        /* of all ranks, repair apart */
  double fast_memory_words; /* of all ranks */
  int64_t peak_bytes;       /* of a rank, see footprint.h */
} precis_prediction;

/* Features of a head's summary. */
typedef struct precis_summary_size {
  int degree, envelope_degree;
  int64_t features, count_features; /* with values; beyond them, with counts alone */
  const precis_feature_set *set;    /* NULL: the full one of these degrees */
  int64_t outlier_keys;             /* of all ranks, that are left out of it, */
  int64_t outlier_queries;          /* and (query, head) pairs that are answered exactly */
} precis_summary_size;

/* An exact move that puts `bytes` on the wire. */
precis_prediction precis_model_exact(const precis_scene *scene, precis_move move,
                                     const precis_wire *bytes);

/* The exact move with the fewest seconds, among equals with the fewest bytes. */
precis_move precis_model_choose(const precis_prediction predicted[PRECIS_MOVES]);

/* Summaries. Repair and outliers are apart. */
precis_prediction precis_model_summaries(const precis_scene *scene, const precis_summary_size *size,
                                         const precis_wire *bytes);

/* What any summary takes, before there is one: cheap to know. */
double precis_model_summaries_least(const precis_scene *scene);

/* Its seconds, with bytes as they are on nodes of equal size. */
double precis_model_summary_seconds(const precis_scene *scene, const precis_summary_size *size);

/* Predicted seconds for computing so many (row, head) pairs exactly, spread over ranks and heads,
 * with queries on their way and keys where they are: see mpi/moves/repair.h. */
double precis_model_repair_seconds(const precis_scene *scene, double pairs);

/* Outliers: so many pairs computed exactly, (row, head) pairs of a rank that outlier keys are
 * attended to with, and bytes of all ranks. */
double precis_model_outlier_seconds(const precis_scene *scene, double pairs, double rows,
                                    double bytes);

/* Through a summary kept from an earlier call, to which `added` keys come. */
precis_prediction precis_model_kept(const precis_scene *scene, const precis_summary_size *size,
                                    const precis_wire *bytes, int64_t added);

/* Keys and queries of the rank that has most. */
int64_t precis_scene_keys(const precis_scene *scene);
int64_t precis_scene_queries(const precis_scene *scene);

/* Ranks on the smallest and on the largest node. */
int precis_scene_smallest_node(const precis_scene *scene);
int precis_scene_largest_node(const precis_scene *scene);

#endif
