/* plan.h - precis plan: what was asked, and what came of it */
#ifndef PRECIS_CLI_PLAN_H
#define PRECIS_CLI_PLAN_H

#include <jansson.h>
#include <stdio.h>

#include "src/cli/cli.h"
#include "src/draft.h"
#include "src/paper.h"

typedef struct precis_plan_answer {
  precis_paper paper;
  const char *machine; /* file; NULL: nominal */
  precis_paper_fits fits;
  precis_paper_plan plan;
  precis_paper_crossing keys, ranks; /* set where tol > 0 */
} precis_plan_answer;

/* Degrees and features of the best summary, or NULL. */
const precis_candidate *precis_plan_summary(const precis_plan_answer *answer);

void precis_plan_print(const precis_plan_answer *answer, FILE *stream);
json_t *precis_plan_object(const precis_plan_answer *answer);

/* Seconds, bytes, words and memory of a move, as runs report them too. */
json_t *precis_forecast_object(const precis_forecast *forecast);

/* The regime map with a paper's rates, ranks per node and heads: rows of CSV, or JSON. */
int precis_plan_sweep(precis_cli *cli, const precis_paper *paper, precis_draft *json);

#endif
