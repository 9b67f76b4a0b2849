/* plan.h - precis plan: what was asked, and what came of it */
#ifndef PRECIS_CLI_PLAN_H
#define PRECIS_CLI_PLAN_H

#include <jansson.h>
#include <stdio.h>

#include "src/cli/cli.h"
#include "src/files/draft.h"
#include "src/paper/paper.h"
#include "src/paper/schedule.h"

typedef struct precis_plan_answer {
  precis_paper paper;
  const char *machine; /* file; NULL: nominal */
  precis_paper_fits fits;
  precis_paper_plan plan;
  precis_paper_crossing keys, ranks; /* set where tol > 0 */
  precis_paper_schedules schedules;  /* empty unless pages or traces of them are wanted */
} precis_plan_answer;

/* Degrees and features of the best summary, or NULL. */
const precis_candidate *precis_plan_summary(const precis_plan_answer *answer);

void precis_plan_print(const precis_plan_answer *answer, FILE *stream);
json_t *precis_plan_object(const precis_plan_answer *answer);

/* The tolerance that was named; 0: none. */
double precis_plan_tol(const precis_plan_answer *answer);

/* A rank's page of the schedules, for people, and at the end of the plan's object for programs: the
 * object is taken, and `draft` closed. Errors: IO, MEMORY. */
void precis_plan_print_schedules(const precis_plan_answer *answer, const precis_settings *settings,
                                 FILE *stream);
int precis_plan_save_schedules(precis_cli *cli, const precis_plan_answer *answer, json_t *object,
                               precis_draft *draft);

/* All ranks' traces in the folder of --traces; names.txt, which lists them, comes last. Errors: IO,
 * MEMORY. */
int precis_plan_write_traces(precis_cli *cli, const precis_plan_answer *answer);

/* The regime map with a paper's rates, ranks per node and heads: rows of CSV, or JSON. */
int precis_plan_sweep(precis_cli *cli, const precis_paper *paper, precis_draft *json);

#endif
