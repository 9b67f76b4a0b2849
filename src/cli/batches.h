/* batches.h - how many queries to attend with at a time
 *
 * A batch is what is lost when a run dies, and what it must finish before it can stop. Every batch
 * brings queries and keys together anew, so that few large ones cost least. */
#ifndef PRECIS_CLI_BATCHES_H
#define PRECIS_CLI_BATCHES_H

#include <stdint.h>

/* Of `left` rows, as many as take about `wanted` seconds where the last `rows` took `seconds`; the
 * rest is shared evenly over as many batches as that makes. least: rows of a batch at least. All of
 * them if `wanted` or `seconds` is no positive number. At least 1 if any are left. */
int64_t precis_batches_next(int64_t left, int64_t least, int64_t rows, double seconds,
                            double wanted);

#endif
