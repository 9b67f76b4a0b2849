/* share.h - cutting rows evenly over parts, and a part into turns
 *
 * Part p of `parts` holds rows [first(p), first(p + 1)); sizes differ by at most one, larger
 * ones first. */
#ifndef PRECIS_SRC_BASE_SHARE_H
#define PRECIS_SRC_BASE_SHARE_H

#include <stdint.h>

/* 0 <= part <= parts. */
static inline int64_t precis_share_first(int64_t rows, int parts, int part)
{
  int64_t extra = rows % parts;
  return rows / parts * part + (part < extra ? part : extra);
}

static inline int64_t precis_share_rows(int64_t rows, int parts, int part)
{
  return rows / parts + (part < rows % parts);
}

/* Of any shares; 0 if there are none. */
static inline int64_t precis_largest(const int64_t *rows, int count)
{
  int64_t most = 0;
  for (int i = 0; i < count; i++)
    most = rows[i] > most ? rows[i] : most;
  return most;
}

/* The rows of one part, a few at a time. All parts take the same number of turns, the last ones
 * perhaps empty, so that collective calls made once a turn match. */
typedef struct precis_turns {
  int64_t first, rows; /* of the part */
  int64_t turn_rows;   /* at most, >= 1 */
  int64_t count;
} precis_turns;

/* Turns of at most `bytes` bytes, but at least one row. */
static inline precis_turns precis_turns_plan(int64_t rows, int parts, int part, int64_t row_bytes,
                                             int64_t bytes)
{
  int64_t most = precis_share_rows(rows, parts, 0), fit = row_bytes > 0 ? bytes / row_bytes : most;
  fit = fit < most ? fit : most;
  fit = fit > 1 ? fit : 1;
  precis_turns turns = {.first = precis_share_first(rows, parts, part),
                        .rows = precis_share_rows(rows, parts, part),
                        .turn_rows = fit,
                        .count = (most + fit - 1) / fit};
  return turns;
}

static inline int64_t precis_turns_first(const precis_turns *turns, int64_t turn)
{
  int64_t done = turn * turns->turn_rows;
  return turns->first + (done < turns->rows ? done : turns->rows);
}

static inline int64_t precis_turns_rows(const precis_turns *turns, int64_t turn)
{
  return precis_turns_first(turns, turn + 1) - precis_turns_first(turns, turn);
}

#endif
