#include "mpi/measure/worth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

const char *const precis_worth_names[PRECIS_WORTH_COLUMNS] = {
    "sum", "most", "rows", "largest", "bound", "range", "lse", "recomputed", "constant"};

const char *const precis_worth_part_names[PRECIS_WORTH_PARTS] = {"relied", "ratio", "squares",
                                                                 "mean"};

/* What a checkpoint tells of stretches has so many numbers at most, or four stretches. */
enum { NUMBERS_MOST = 1 << 14, STRETCHES_LEAST = 4 };

int64_t precis_worth_numbers(const precis_worth *w)
{
  return ((int64_t)PRECIS_WORTH_COLUMNS + (int64_t)w->most * PRECIS_WORTH_PARTS) * w->heads;
}

int precis_worth_create(int heads, precis_worth *worth)
{
  int most = NUMBERS_MOST / (PRECIS_WORTH_PARTS * (heads > 0 ? heads : 1));
  most = most < STRETCHES_LEAST ? STRETCHES_LEAST : most;
  most = most > PRECIS_WORTH_STRETCHES ? PRECIS_WORTH_STRETCHES : most;
  precis_worth w = {.heads = heads, .most = most};
  w.array = precis_memory_array(precis_worth_numbers(&w), sizeof *w.array);
  if (w.array == NULL)
    return PRECIS_ERR_MEMORY;
  for (int64_t i = 0; i < precis_worth_numbers(&w); i++)
    w.array[i] = 0;
  w.columns = w.array;
  w.parts = w.columns + (int64_t)PRECIS_WORTH_COLUMNS * heads;
  *worth = w;
  return PRECIS_SUCCESS;
}

void precis_worth_free(precis_worth *w)
{
  free(w->array);
  *w = (precis_worth){0};
}

int precis_worth_batch_create(int heads, precis_worth_batch *batch)
{
  batch->heads = precis_memory_array(heads, sizeof *batch->heads);
  batch->worth = precis_memory_array(heads, sizeof *batch->worth);
  return batch->heads && batch->worth ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

void precis_worth_batch_free(precis_worth_batch *batch)
{
  free(batch->heads);
  free(batch->worth);
  *batch = (precis_worth_batch){0};
}

int precis_worth_batch_take(const precis_attention *attention, precis_worth_batch *batch)
{
  batch->heads[0].size = sizeof *batch->heads;
  batch->worth[0].size = sizeof *batch->worth;
  int status = precis_attention_heads(attention, batch->heads);
  return status == PRECIS_SUCCESS ? precis_attention_worth(attention, batch->worth) : status;
}

static void raise(double *to, double value)
{
  *to = value > *to || isnan(value) ? value : *to;
}

/* Rows computed exactly in a head that was constant are in need only if it is not so in the end:
 * with others they are taken for the same. */
static double relied_of_both(double a, double b)
{
  double larger = fmax(fabs(a), fabs(b));
  return a > 0 || b > 0 ? larger : -larger;
}

/* Part by part, of one head: into += more. */
static void join(const precis_worth *w, int into, int h, const double *more)
{
  double *relied = precis_worth_part_of(w, into, PRECIS_WORTH_RELIED) + h;
  *relied = relied_of_both(*relied, more[PRECIS_WORTH_RELIED]);
  raise(precis_worth_part_of(w, into, PRECIS_WORTH_RATIO) + h, more[PRECIS_WORTH_RATIO]);
  raise(precis_worth_part_of(w, into, PRECIS_WORTH_MEAN) + h, more[PRECIS_WORTH_MEAN]);
  precis_worth_part_of(w, into, PRECIS_WORTH_SQUARES)[h] += more[PRECIS_WORTH_SQUARES];
}

static int64_t first_of(const precis_worth *w, int stretch)
{
  return stretch > 0 ? w->end[stretch - 1] : 0;
}

/* The two neighbours that are smallest together, so that all stay of about one size. */
static void merge_stretches(precis_worth *w)
{
  int at = 0;
  for (int i = 1; i + 1 < w->count; i++)
    if (w->end[i + 1] - first_of(w, i) < w->end[at + 1] - first_of(w, at))
      at = i;
  for (int h = 0; h < w->heads; h++) {
    double more[PRECIS_WORTH_PARTS];
    for (int p = 0; p < PRECIS_WORTH_PARTS; p++)
      more[p] = precis_worth_part_of(w, at + 1, (precis_worth_part)p)[h];
    join(w, at, h, more);
  }
  w->end[at] = w->end[at + 1];
  w->count--;
  size_t behind = (size_t)(w->count - (at + 1));
  memmove(precis_worth_part_of(w, at + 1, 0), precis_worth_part_of(w, at + 2, 0),
          behind * (size_t)w->heads * PRECIS_WORTH_PARTS * sizeof *w->parts);
  memmove(&w->end[at + 1], &w->end[at + 2], behind * sizeof *w->end);
}

void precis_worth_take_rows(precis_worth *w, const precis_worth_batch *batch)
{
  for (int h = 0; h < w->heads; h++) {
    precis_worth_column_of(w, PRECIS_WORTH_SUM)[h] = batch->worth[h].sum;
    precis_worth_column_of(w, PRECIS_WORTH_MOST)[h] = batch->worth[h].most;
    precis_worth_column_of(w, PRECIS_WORTH_ROWS)[h] = batch->worth[h].rows;
  }
}

/* Of what holds for the rows of one attend. */
static void add_heads(precis_worth *w, int stretch, const precis_worth_batch *batch)
{
  for (int h = 0; h < w->heads; h++) {
    const precis_head_worth *sums = &batch->worth[h];
    const precis_head_report *head = &batch->heads[h];
    const double more[PRECIS_WORTH_PARTS] = {head->constant ? -sums->relied : sums->relied,
                                             head->promise_outputs, sums->squares,
                                             head->mean_signal};
    join(w, stretch, h, more);
    raise(precis_worth_column_of(w, PRECIS_WORTH_LARGEST) + h, sums->largest);
    raise(precis_worth_column_of(w, PRECIS_WORTH_BOUND) + h, sums->bound);
    raise(precis_worth_column_of(w, PRECIS_WORTH_RANGE) + h, head->promise_range);
    raise(precis_worth_column_of(w, PRECIS_WORTH_LSE) + h, head->lse_promise);
    precis_worth_column_of(w, PRECIS_WORTH_RECOMPUTED)[h] += (double)head->rows_recomputed;
    precis_worth_column_of(w, PRECIS_WORTH_CONSTANT)[h] = head->constant;
  }
  precis_worth_take_rows(w, batch);
}

void precis_worth_add(precis_worth *w, int64_t end, const precis_worth_batch *batch)
{
  if (w->count == w->most)
    merge_stretches(w);
  precis_worth_clear(w, w->count);
  w->end[w->count] = end;
  add_heads(w, w->count++, batch);
}

double precis_worth_mean(const precis_worth *w, int h)
{
  double sum = precis_worth_column_of(w, PRECIS_WORTH_SUM)[h],
         rows = precis_worth_column_of(w, PRECIS_WORTH_ROWS)[h];
  return rows > 0 ? sum / rows * (1 - rows * 0x1p-50) : 0;
}

int precis_worth_is_short(const precis_worth *w, int stretch)
{
  const double *relied = precis_worth_part_of(w, stretch, PRECIS_WORTH_RELIED),
               *constant = precis_worth_column_of(w, PRECIS_WORTH_CONSTANT);
  for (int h = 0; h < w->heads; h++)
    if (fabs(relied[h]) > precis_worth_mean(w, h) && (relied[h] > 0 || !(constant[h] > 0)))
      return 1;
  return 0;
}

void precis_worth_clear(precis_worth *w, int stretch)
{
  memset(precis_worth_part_of(w, stretch, 0), 0,
         (size_t)w->heads * PRECIS_WORTH_PARTS * sizeof *w->parts);
}

void precis_worth_add_again(precis_worth *w, int stretch, const precis_worth_batch *batch)
{
  add_heads(w, stretch, batch);
}

void precis_worth_answered(const precis_worth *w, precis_worth_batch *batch)
{
  for (int h = 0; h < w->heads; h++)
    batch->worth[h] = (precis_head_worth){.size = sizeof *batch->worth,
                                          .sum = precis_worth_column_of(w, PRECIS_WORTH_SUM)[h],
                                          .most = precis_worth_column_of(w, PRECIS_WORTH_MOST)[h],
                                          .rows = precis_worth_column_of(w, PRECIS_WORTH_ROWS)[h]};
}

/* How much larger bounds are in units of R now than they were by the R of then. */
static double growth(double then, double now)
{
  return then <= now ? 1 : now > 0 ? then / now : INFINITY;
}

static precis_head_report head_of(const precis_worth *w, int h, double tol)
{
  double mean = precis_worth_mean(w, h), ratio = 0, squares = 0,
         rows = precis_worth_column_of(w, PRECIS_WORTH_ROWS)[h],
         bound = precis_worth_column_of(w, PRECIS_WORTH_BOUND)[h],
         largest = precis_worth_column_of(w, PRECIS_WORTH_LARGEST)[h],
         upper = rows > 0 ? precis_worth_column_of(w, PRECIS_WORTH_MOST)[h] / rows : 0;
  for (int i = 0; i < w->count; i++) {
    double by = growth(precis_worth_part_of(w, i, PRECIS_WORTH_MEAN)[h], mean),
           old = precis_worth_part_of(w, i, PRECIS_WORTH_RATIO)[h];
    raise(&ratio, old > 0 ? old * by : 0);
    squares += old > 0 ? precis_worth_part_of(w, i, PRECIS_WORTH_SQUARES)[h] * by * by : 0;
  }
  int constant = precis_worth_column_of(w, PRECIS_WORTH_CONSTANT)[h] > 0;
  ratio = fmin(fmin(ratio, constant ? INFINITY : tol), bound > 0 ? bound / mean : 0);
  return (precis_head_report){
      .promise_outputs = ratio,
      .promise_outputs_rms = rows > 0 ? fmin(sqrt(squares / rows), ratio) : 0,
      .promise_range = precis_worth_column_of(w, PRECIS_WORTH_RANGE)[h],
      .lse_promise = precis_worth_column_of(w, PRECIS_WORTH_LSE)[h],
      .mean_signal = mean,
      .trivial_error = largest >= upper ? 1
                       : upper > 0      ? largest / upper
                                        : 0,
      .constant = constant,
      .rows_recomputed = (int64_t)precis_worth_column_of(w, PRECIS_WORTH_RECOMPUTED)[h]};
}

void precis_worth_report(const precis_worth *w, double tol, precis_head_report *heads,
                         precis_report *r)
{
  double squares = 0, rows = 0;
  r->promise_outputs = r->promise_range = r->lse_promise = 0;
  r->mean_signal = r->trivial_error = INFINITY;
  r->constant_heads = 0;
  for (int h = 0; h < w->heads; h++) {
    heads[h] = head_of(w, h, tol);
    double count = precis_worth_column_of(w, PRECIS_WORTH_ROWS)[h];
    raise(&r->promise_range, heads[h].promise_range);
    raise(&r->lse_promise, heads[h].lse_promise);
    r->constant_heads += heads[h].constant;
    if (heads[h].constant)
      continue;
    raise(&r->promise_outputs, heads[h].promise_outputs);
    r->mean_signal = fmin(r->mean_signal, heads[h].mean_signal);
    r->trivial_error = fmin(r->trivial_error, heads[h].trivial_error);
    squares += heads[h].promise_outputs_rms * heads[h].promise_outputs_rms * count;
    rows += count;
  }
  r->promise_outputs_rms = rows > 0 ? sqrt(squares / rows) : 0;
  if (!isfinite(r->mean_signal))
    r->mean_signal = r->trivial_error = 0;
}
