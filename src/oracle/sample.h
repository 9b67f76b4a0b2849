/* sample.h - rows to look at more closely */
#ifndef PRECIS_SRC_ORACLE_SAMPLE_H
#define PRECIS_SRC_ORACLE_SAMPLE_H

#include <stdint.h>

/* How many rows precis_sample_rows() picks when `wanted` (>= 1) of `total` are asked for: never
 * more than there are, and room for the first and the last. */
int64_t precis_sample_count(int64_t total, int64_t wanted);

/* Picks count = precis_sample_count() rows: one at random from each of count equal stretches,
 * but the first and the last row always. Increasing, a pure function of the arguments. */
void precis_sample_rows(int64_t total, int64_t count, uint64_t seed, int64_t *rows);

#endif
