/* worth.h - what the rows of a job are worth, head by head, while batches are done
 *
 * Batches are judged by R as it is then (precis_unit in precis.h): of the rows so far. What a batch
 * relied on is kept, so that those for which R of all rows is too small can be attended to again.
 */
#ifndef PRECIS_MPI_WORTH_H
#define PRECIS_MPI_WORTH_H

#include <stdint.h>

#include "src/precis_more.h"

/* Of a head, over all rows so far. */
typedef enum precis_worth_column {
  PRECIS_WORTH_SUM, /* see precis_head_worth, as the rest */
  PRECIS_WORTH_MOST,
  PRECIS_WORTH_ROWS,
  PRECIS_WORTH_LARGEST,
  PRECIS_WORTH_BOUND,
  PRECIS_WORTH_RANGE,
  PRECIS_WORTH_LSE,
  PRECIS_WORTH_RECOMPUTED,
  PRECIS_WORTH_CONSTANT,
  PRECIS_WORTH_COLUMNS
} precis_worth_column;

extern const char *const precis_worth_names[PRECIS_WORTH_COLUMNS];

/* Of a head, over the rows of a stretch of batches. */
typedef enum precis_worth_part {
  PRECIS_WORTH_RELIED,  /* on R, as precis_head_worth has it; negative: by rows that were answered
                           exactly, as  the head was constant by then */
  PRECIS_WORTH_RATIO,   /* largest bound in PRECIS_UNIT_OUTPUTS ... */
  PRECIS_WORTH_SQUARES, /* ... and the sum of their squares, ... */
  PRECIS_WORTH_MEAN,    /* ... by this R at most */
  PRECIS_WORTH_PARTS
} precis_worth_part;

extern const char *const precis_worth_part_names[PRECIS_WORTH_PARTS];

enum { PRECIS_WORTH_STRETCHES = 64 };

/* What the library tells of a batch; heads each. */
typedef struct precis_worth_batch {
  precis_head_report *heads;
  precis_head_worth *worth;
} precis_worth_batch;

/* Errors: MEMORY. */
int precis_worth_batch_create(int heads, precis_worth_batch *batch);
void precis_worth_batch_free(precis_worth_batch *batch);
/* Of the last attend. Errors: those of precis_attention_worth(). */
int precis_worth_batch_take(const precis_attention *attention, precis_worth_batch *batch);

typedef struct precis_worth {
  int heads;
  double *array;                       /* of all that follows; NULL: none */
  double *columns;                     /* PRECIS_WORTH_COLUMNS x heads */
  int count, most;                     /* stretches: there are, there is room for */
  double *parts;                       /* most x PRECIS_WORTH_PARTS x heads */
  int64_t end[PRECIS_WORTH_STRETCHES]; /* of each, queries; the first begins at 0 */
} precis_worth;

/* Errors: MEMORY. */
int precis_worth_create(int heads, precis_worth *worth);
void precis_worth_free(precis_worth *worth);
int64_t precis_worth_numbers(const precis_worth *worth); /* in array */

/* heads each. */
static inline double *precis_worth_column_of(const precis_worth *worth, precis_worth_column column)
{
  return worth->columns + (int64_t)column * worth->heads;
}
static inline double *precis_worth_part_of(const precis_worth *worth, int stretch,
                                           precis_worth_part part)
{
  return worth->parts + ((int64_t)stretch * PRECIS_WORTH_PARTS + part) * worth->heads;
}

/* Of a batch that ends at query `end`. Where there is no room for another stretch, neighbours
 * become one. */
void precis_worth_add(precis_worth *worth, int64_t end, const precis_worth_batch *batch);

/* R of all rows so far, as the library has it. */
double precis_worth_mean(const precis_worth *worth, int head);

/* Whether some rows of a stretch need a larger R. */
int precis_worth_is_short(const precis_worth *worth, int stretch);

/* Its rows are to be attended to again, to whatever they relied on; adds come with
 * precis_worth_add_again(). */
void precis_worth_clear(precis_worth *worth, int stretch);
void precis_worth_add_again(precis_worth *worth, int stretch, const precis_worth_batch *batch);

/* Of the handle's rows so far: others than those of this job may have been answered meanwhile. */
void precis_worth_take_rows(precis_worth *worth, const precis_worth_batch *batch);

/* For the library, before its first attend: what all rows so far add up to, into the batch. */
void precis_worth_answered(const precis_worth *worth, precis_worth_batch *batch);

/* What all rows are worth by R of all rows. tol: kept by all rows that are not in constant heads,
 * in units of outputs; INFINITY: it is not known to be. heads: `worth->heads` elements. */
void precis_worth_report(const precis_worth *worth, double tol, precis_head_report *heads,
                         precis_report *report);

#endif
