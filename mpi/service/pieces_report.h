/* pieces_report.h - what the pieces of an attend add up to */
#ifndef PRECIS_SERVICE_PIECES_REPORT_H
#define PRECIS_SERVICE_PIECES_REPORT_H

#include "mpi/service/queue.h"
#include "mpi/measure/worth.h"

typedef struct precis_pieces {
  precis_errand *errand;
  int64_t done;             /* rows that have results */
  int64_t again, again_end; /* of these, some that are to have better ones */
  int64_t most;             /* rows of the next piece */
  int64_t base;             /* position of the first query */
  double pace;              /* what they take over what is foretold */
  precis_worth worth;
  precis_worth_batch last;
  precis_head_report *heads;
  double *answered;     /* heads: rows of this attend that see a key */
  int stretch;          /* that is attended to again */
  precis_report report; /* but for what is promised */
  int64_t largest;      /* rows of the piece that says which move ran */
  struct precis_pieces *next;
} precis_pieces;

/* Errors: MEMORY. */
int precis_pieces_report_create(int heads, precis_pieces *pieces);
void precis_pieces_report_free(precis_pieces *pieces);
/* After each attend; done or again are as they were before it. Errors: INTERNAL. */
int precis_pieces_report_add(precis_pieces *pieces, const precis_attention *attention,
                             const precis_report *report, int again);
/* Sets again and again_end to the rows of a stretch that needs a larger R than there is; both are
 * equal where there is none. */
void precis_pieces_report_find_short(precis_pieces *pieces);
/* After the last one. */
void precis_pieces_report_make(precis_pieces *pieces, const precis_spec *spec,
                               precis_report *report);

#endif
