#include "mpi/service/pieces_report.h"

#include <math.h>
#include <stdlib.h>

#include "mpi/handle/attention.h"
#include "src/base/memory.h"

int precis_pieces_report_create(int heads, precis_pieces *p)
{
  int status = precis_worth_create(heads, &p->worth);
  if (status == PRECIS_SUCCESS)
    status = precis_worth_batch_create(heads, &p->last);
  p->heads = precis_memory_array(heads, sizeof *p->heads);
  p->answered = calloc((size_t)heads, sizeof *p->answered);
  if (status == PRECIS_SUCCESS && p->heads != NULL && p->answered != NULL)
    return PRECIS_SUCCESS;
  precis_pieces_report_free(p);
  return PRECIS_ERR_MEMORY;
}

void precis_pieces_report_free(precis_pieces *p)
{
  precis_worth_free(&p->worth);
  precis_worth_batch_free(&p->last);
  free(p->heads);
  free(p->answered);
}

static void add_report(precis_pieces *p, const precis_report *r, int again)
{
  precis_report sum = p->report;
  int64_t queries = sum.queries + (again ? 0 : r->queries);
  if (r->queries > p->largest) {
    p->largest = r->queries;
    p->report = *r;
  }
  p->report.queries = queries;
  p->report.rows_recomputed = sum.rows_recomputed + r->rows_recomputed;
  p->report.seconds_total = sum.seconds_total + r->seconds_total;
  p->report.estimate = sum.estimate || r->estimate;
  p->report.promise =
      fmax(sum.estimate ? sum.promise : 0, r->estimate ? r->promise : 0); /* of estimates */
}

int precis_pieces_report_add(precis_pieces *p, const precis_attention *a,
                             const precis_report *report, int again)
{
  int status = precis_worth_batch_take(a, &p->last);
  if (status != PRECIS_SUCCESS)
    return PRECIS_ERR_INTERNAL;
  add_report(p, report, again);
  if (again) {
    precis_worth_add_again(&p->worth, p->stretch, &p->last);
    return PRECIS_SUCCESS;
  }
  precis_worth_add(&p->worth, p->done + report->queries, &p->last);
  for (int h = 0; h < p->worth.heads; h++)
    p->answered[h] += a->sums[h].rows;
  return PRECIS_SUCCESS;
}

void precis_pieces_report_find_short(precis_pieces *p)
{
  int i = 0;
  p->again = p->again_end = 0;
  while (i < p->worth.count && !precis_worth_is_short(&p->worth, i))
    i++;
  if (i == p->worth.count)
    return;
  precis_worth_clear(&p->worth, i);
  p->stretch = i;
  p->again = i > 0 ? p->worth.end[i - 1] : 0;
  p->again_end = p->worth.end[i];
}

/* The worth of rows counts all that the handle has answered, as R does; the mean square is of those
 * of this attend. */
static void find_mean_square(const precis_pieces *p, precis_report *r)
{
  double squares = 0, rows = 0;
  for (int h = 0; h < p->worth.heads; h++) {
    double all = precis_worth_column_of(&p->worth, PRECIS_WORTH_ROWS)[h], mine = p->answered[h],
           root = mine > 0 ? p->heads[h].promise_outputs_rms * sqrt(all / mine) : 0;
    root = fmin(root, p->heads[h].promise_outputs);
    if (p->heads[h].constant)
      continue;
    squares += root * root * mine;
    rows += mine;
  }
  r->promise_outputs_rms = rows > 0 ? sqrt(squares / rows) : 0;
}

void precis_pieces_report_make(precis_pieces *p, const precis_spec *spec, precis_report *report)
{
  int kept = spec->tol > 0 && spec->tol_of == PRECIS_UNIT_OUTPUTS &&
             spec->guarantee == PRECIS_GUARANTEE_BOUND;
  *report = p->report;
  precis_worth_report(&p->worth, kept ? spec->tol : INFINITY, p->heads, report);
  find_mean_square(p, report);
  if (!report->estimate)
    report->promise = spec->tol_of == PRECIS_UNIT_RANGE ? report->promise_range
                      : spec->tol_of == PRECIS_UNIT_LSE ? report->lse_promise
                                                        : report->promise_outputs;
}
