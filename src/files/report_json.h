/* report_json.h - reports as JSON, in one place: of runs, of plans on paper and of the service
 *
 * Other programs rely on the keys: add, never rename. Objects are the caller's, NULL if there is no
 * memory. */
#ifndef PRECIS_SRC_FILES_REPORT_JSON_H
#define PRECIS_SRC_FILES_REPORT_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "src/precis.h"
#include "src/precis_more.h"

/* JSON has no infinities: null then. */
json_t *precis_json_number(double value);
json_t *precis_json_integer(int64_t value);

/* heads, kv_heads, dim, value_dim, causal, scale, tol, tol_of, guarantee. */
json_t *precis_json_problem(const precis_problem *problem, double tol, precis_unit tol_of,
                            precis_guarantee guarantee);

json_t *precis_json_forecast(const precis_forecast *forecast);

/* An entry of plan.moves. What is not known is left out: promise NAN, outliers negative. */
json_t *precis_json_group(const precis_group *group);

/* What is promised, in each unit, and what that is worth; of outputs null where all of the
 * problem's heads are constant. */
json_t *precis_json_promise(const precis_report *report, precis_unit unit, int heads);
json_t *precis_json_worth(const precis_report *report, int heads);
json_t *precis_json_head(const precis_head_report *report, int head);

json_t *precis_json_moved(const precis_report *report);

/* All keys of `more`, which is taken, into `object`. */
void precis_json_join(json_t *object, json_t *more);

#endif
