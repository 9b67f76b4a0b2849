/* summary_kernels.h - the kernels that make and apply a summary, and the tiles they agree on */
#ifndef PRECIS_SRC_SUMMARY_SUMMARY_KERNELS_H
#define PRECIS_SRC_SUMMARY_SUMMARY_KERNELS_H

#include <stdint.h>

#include "src/summary/apply.h"
#include "src/summary/summarise.h"

/* For features with values, which have counts with deviations as well, and for those of which only
 * counts are kept. One tile size for both ends of the wire: what is summarised at once is applied
 * at once. */
typedef struct precis_summary_kernels {
  precis_summarise_shape summarise, summarise_counts;
  precis_apply_shape apply, apply_counts; /* tile_features of these are those of a tile */
  int64_t scratch;                        /* bytes of a thread, a multiple of 64 */
} precis_summary_kernels;

/* fast_memory: bytes of a thread. ARGUMENT as precis_summarise_plan(). */
int precis_summary_kernels_plan(const precis_feature_set *set, int value_dim, int64_t fast_memory,
                                precis_summary_kernels *kernels);

#endif
