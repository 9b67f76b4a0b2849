/* measure_sizes.h - how much work the jobs of measure.h do; for measure.c and measure_rates.c */
#ifndef PRECIS_SRC_MEASURE_MEASURE_SIZES_H
#define PRECIS_SRC_MEASURE_MEASURE_SIZES_H

enum {
  NARROW = 16,
  WIDE = 128,
  MIDDLE = 64,           /* dim of the passes over rows */
  TILE_TOKENS = 2048,    /* of a thread: whole blocks of the kernel, as there usually are */
  STREAM_KEYS = 1 << 16, /* larger than caches */
  FEATURE_TOKENS = 1024,
  SUMS = FEATURE_TOKENS * (MIDDLE + 3), /* of the queries of a summary, of all kinds below */
  ROWS = 1 << 16,                       /* of the passes: larger than caches, as rows usually are */
  PROOFS = 1 << 13,
  RESULTS = (1 << 23) + ROWS,
  STEPS = 400,
  PAGES = 1 << 24, /* bytes */
  HEADS_MOST = 64,
  NUMBERS = STREAM_KEYS * MIDDLE /* in each of the two arrays that all jobs read */
};

/* A kernel of summaries with the features that it makes. */
typedef struct summary_kind {
  int dim, degree, value_dim;
} summary_kind;

static const summary_kind narrow_summary = {16, 3, 16}, wide_summary = {64, 2, 64},
                          count_summary = {32, 3, 0};

/* Heads that threads attend with: one each, as far as there are. */
static inline int measured_heads(int threads)
{
  return threads < HEADS_MOST ? threads : HEADS_MOST;
}

#endif
