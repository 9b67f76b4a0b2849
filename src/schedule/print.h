/* schedule_print.h - a schedule for people and for machines */
#ifndef PRECIS_SRC_SCHEDULE_PRINT_H
#define PRECIS_SRC_SCHEDULE_PRINT_H

#include <stdint.h>
#include <stdio.h>

#include "src/schedule/schedule.h"

enum { PRECIS_STEP_FIELDS = 20 };

/* What a step says, by name: a word or a number. */
typedef struct precis_step_field {
  const char *name, *word; /* word NULL: number */
  int64_t number;
} precis_step_field;

/* Only fields that mean something for this step, at most PRECIS_STEP_FIELDS. Returns how many. */
int precis_step_fields(const precis_step *step, precis_step_field *fields);

/* The part of a rank's page that is wanted. */
typedef struct precis_schedule_page {
  int rank;
  int64_t first, end; /* rounds first .. end - 1 */
  int64_t most;       /* steps, of them */
} precis_schedule_page;

/* Aligned text of at most 100 columns, as long as numbers are of common size: the slots of a rank,
 * then its steps (and a line that says how many of the rounds asked for are left out), then its
 * totals; of very long schedules, those of a part. Returns the steps that are left out. */
int64_t precis_schedule_print(const precis_schedule *schedule, const precis_schedule_page *page,
                              FILE *to);

/* A step as a JSON object: its move, rank and round, and its fields. Returns the length of the
 * text, below PRECIS_STEP_JSON; no newline, and no zero at the end. */
enum { PRECIS_STEP_JSON = 1280 };
int precis_step_json(const precis_schedule *schedule, int rank, int64_t round,
                     const precis_step *step, char *to);

/* One such object a line for each step. */
void precis_schedule_print_json(const precis_schedule *schedule, int rank, FILE *to);

#endif
