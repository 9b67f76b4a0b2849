/* precise.h - exact attention in double, for rows that float32 cannot answer well enough
 *
 * A plain loop over keys as they were given, some twenty times slower than the tile: it is for few
 * rows. */
#ifndef PRECIS_SRC_EXACT_PRECISE_H
#define PRECIS_SRC_EXACT_PRECISE_H

#include "src/tokens/keys.h"
#include "src/exact/partial.h"
#include "src/tokens/terms.h"

/* Rows of one head against keys [first, first + keys) of its key/value head, merged into their
 * partials (of precis_problem_columns() columns). q: rows x dim. position: of the rows, or NULL
 * where every key is seen. Runs on `threads` OpenMP threads. Returns the number of pairs. */
int64_t precis_precise_attend(const precis_terms *terms, int kv_head, const precis_keys *all,
                              int64_t first, int64_t keys, int64_t rows, const float *q,
                              const int64_t *position, int threads, precis_partial *partial);

/* A partial as it travels, l and o as pairs of floats: 2^-47 is lost. Words of one row. */
int64_t precis_precise_words(int columns);
void precis_precise_pack(const precis_partial *row, int columns, float *wire);
void precis_precise_merge(const precis_partial *row, int columns, const float *wire);

#endif
