/* schedule_print.h - a schedule for people and for machines */
#ifndef PRECIS_SRC_SCHEDULE_PRINT_H
#define PRECIS_SRC_SCHEDULE_PRINT_H

#include <stdint.h>
#include <stdio.h>

#include "src/schedule.h"

enum { PRECIS_STEP_FIELDS = 20 };

/* What a step says, by name: a word or a number. */
typedef struct precis_step_field {
  const char *name, *word; /* word NULL: number */
  int64_t number;
} precis_step_field;

/* Only fields that mean something for this step, at most PRECIS_STEP_FIELDS. Returns how many. */
int precis_step_fields(const precis_step *step, precis_step_field *fields);

/* Aligned text: the slots of a rank, then its steps, at most `most` of them (and a line that says
 * how many are left out), then its totals. */
void precis_schedule_print(const precis_schedule *schedule, int rank, int64_t most, FILE *to);

/* One JSON object a line for each step: rank, round and the fields of the step. */
void precis_schedule_print_json(const precis_schedule *schedule, int rank, FILE *to);

#endif
