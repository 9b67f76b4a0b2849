/* generate.h - queries, keys and values of known character, for tests and benchmarks
 *
 * Every row is a pure function of the recipe and its index. `spread` multiplies the queries; with
 * the default scale 1/sqrt(dim), the scores of one query then have about that standard deviation
 * over the keys. The kinds, with g ~ N(0, 1):
 *
 *   gauss    q, k, v are g.
 *   unit     The rows of k, head by head, have length 1, those of q length spread x dim; v is g.
 *   offset   gauss, with a large common mean: every coordinate of k is moved by +10 or -10, one
 *            fixed random sign for each kv head and coordinate; every coordinate of v by +100.
 *   sinks    gauss, but the first 4 tokens attract much of the weight. Each kv head has a fixed
 *            random unit vector u; queries are spread (g + 2 u), the first 4 keys are
 *            8 (g + sqrt(dim) u) / sqrt(2): 8 times as long as others, with scores of about 11 +- 8
 *            times spread.
 *
 * Values may follow the keys (src/oracle/following.h): v is then (signal f + g) / sqrt(1 + signal^2), with
 * f of the key's own g (of the kind unit: of its direction), of deviation 1.
 *
 * On top of a kind, some keys may be heavy, and variances may decay: that of axis i = 1, 2, ...
 * like i^-decay (of keys i^-(decay + key_decay)) in axes that are turned at random, the same way
 * for the keys and queries of a kv head; queries are then scaled to keep the deviation of scores.
 */
#ifndef PRECIS_SRC_ORACLE_GENERATE_H
#define PRECIS_SRC_ORACLE_GENERATE_H

#include <stdint.h>

#include "src/precis.h"

typedef enum precis_kind {
  PRECIS_KIND_GAUSS,
  PRECIS_KIND_UNIT,
  PRECIS_KIND_OFFSET,
  PRECIS_KIND_SINKS
} precis_kind;

typedef enum precis_role { PRECIS_ROLE_Q, PRECIS_ROLE_K, PRECIS_ROLE_V } precis_role;

enum { PRECIS_SINKS = 4, PRECIS_HEAVY = 100 };

/* What precis gen takes for `signal` unless told otherwise. */
#define PRECIS_SIGNAL 2.

typedef struct precis_recipe {
  precis_kind kind;
  precis_problem problem; /* settled; causal and scale play no part */
  double spread;
  uint64_t seed;
  double decay, key_decay; /* 0: none */
  double signal;           /* deviation of what follows the keys over that of the noise; 0: none
                              does */
  int64_t heavy;           /* every heavy-th key is PRECIS_HEAVY times as long; 0: none */
} precis_recipe;

/* Elements of a row: heads x dim, kv_heads x dim or kv_heads x value_dim. */
int64_t precis_generate_width(const precis_recipe *recipe, precis_role role);

/* Rows [first, first + rows) of one tensor, row-major, into out. Runs on all OpenMP threads. */
void precis_generate_rows(const precis_recipe *recipe, precis_role role, int64_t first,
                          int64_t rows, float *out);

#endif
