/* tile_visit.h - one group of queries against a stretch of keys: references, masks, sums
 *
 * The reference of a query is any integer near its largest score. It moves only where it must:
 * where a score exceeds it by more than a few bits. Where the largest |q| |k| shows that it cannot
 * get far from any score, scores are not even compared. */
#ifndef PRECIS_SRC_EXACT_TILE_VISIT_H
#define PRECIS_SRC_EXACT_TILE_VISIT_H

#include <stdint.h>

#include "src/exact/tile.h"
#include "src/exact/tile_kernel.h"

/* Keys that are in fast memory, at most PRECIS_TILE_CHAIN * PRECIS_TILE_CHAINS. */
typedef struct precis_tile_stretch {
  int64_t first; /* its place in the tile */
  int keys;
  const float *k, *v, *bias; /* as in a tile */
  float k_most;              /* the largest |k| of a key; not needed with biases */
  int moderate;              /* values are far from the limits of float32 */
  const float *tail;         /* the last keys % panel keys, with zeros up to a panel */
} precis_tile_stretch;

/* What stays of a group; rows of lanes, PRECIS_TILE_GROUP apart. */
typedef struct precis_tile_group {
  int rows;
  float *q;         /* dim x lanes: scaled */
  float *length;    /* lanes: |q|, or a little more */
  float *reference; /* lanes: m */
  double *o;        /* value_dim x lanes */
  double *sum;      /* lanes: of weights; 0 while no key was seen. Follows o */
} precis_tile_group;

/* Working space. */
typedef struct precis_tile_space {
  float *weights; /* keys of a block x lanes */
  float *part;    /* value_dim + 1 x lanes: zero between visits */
  float *top, *limit;
  int32_t *visible;
} precis_tile_space;

/* visible: rows, how many of the tile's keys each sees; NULL: all. */
void precis_tile_visit(const precis_tile_shape *shape, const precis_tile_stretch *stretch,
                       const int64_t *visible, const precis_tile_group *group,
                       const precis_tile_space *space);

#endif
