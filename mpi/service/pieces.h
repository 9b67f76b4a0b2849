/* pieces.h - an attend that takes long, in pieces of its rows, between which others have their turn
 *
 * A piece takes about a tenth of a second. What is promised is as if all rows were attended to at
 * once: all are judged by the mean of all queries, and pieces that relied on a larger R than there
 * is in the end are attended to again, see precis_more.h. */
#ifndef PRECIS_SERVICE_PIECES_H
#define PRECIS_SERVICE_PIECES_H

#include "mpi/service/errands.h"

/* The most rows from row `first` on that are foretold to take no longer than a piece, at least 1.
 */
int64_t precis_pieces_rows(const precis_errands *e, const precis_errand *errand, int64_t first);
/* An attend by exact moves took so long: what is foretold later follows it. */
void precis_pieces_learn(precis_errands *e, const precis_errand *errand, int64_t rows,
                         const precis_report *report, double seconds);

/* Begins one. Errors, after which nothing has begun: MEMORY, MPI. */
int precis_pieces_begin(precis_errands *e, precis_errand *errand);
/* Whether some are under way; and whether it is their turn, though errands are waiting. */
int precis_pieces_any(const precis_errands *e);
int precis_pieces_due(const precis_errands *e);
/* The next piece of the one whose turn it is; finishes it after its last one, or where it is of no
 * use any more. Errors: MPI, after which nothing more can be done. */
int precis_pieces_step(precis_errands *e);

#endif
