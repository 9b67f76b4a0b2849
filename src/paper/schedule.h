/* paper_schedule.h - the schedules of a plan on paper
 *
 * One after the other, as many as are known before there is data: of summaries, those of outliers
 * and of rows to repair are not. Steps are made when they are visited, so that a schedule of any
 * length takes the memory of a few numbers a rank. */
#ifndef PRECIS_SRC_PAPER_SCHEDULE_H
#define PRECIS_SRC_PAPER_SCHEDULE_H

#include "src/paper/paper.h"
#include "src/schedule/build.h"
#include "src/schedule/shapes.h"

enum { PRECIS_PAPER_SCHEDULES = 3 };

/* Points into itself: not to be copied. */
typedef struct precis_paper_schedules {
  precis_paper_layout layout;
  precis_shape_rows rows;
  union {
    precis_tiles_shape tiles;
    precis_heads_shape heads;
    precis_queries_shape queries;
    precis_summaries_shape summaries;
  } shape;
  precis_rows_shape line, home;
  int count;
  precis_schedule schedule[PRECIS_PAPER_SCHEDULES];
} precis_paper_schedules;

/* Of the move that was chosen. `paper` is borrowed. Errors: MEMORY. */
int precis_paper_schedules_make(const precis_paper *paper, const precis_paper_fits *fits,
                                const precis_paper_plan *plan, precis_paper_schedules *schedules);
void precis_paper_schedules_free(precis_paper_schedules *schedules);

#endif
