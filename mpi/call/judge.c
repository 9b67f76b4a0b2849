#include "mpi/call/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/tokens/norm.h"
#include "src/base/problem.h"

/* Of the largest deviation of a value: what attention adds to the mean is not told from rounding
 * below it. */
static const double CONSTANT = 0x1p-18;

/* Times that, results are as good as results in float32 can be where values are far from 0. */
static const double LOOSE = 512;

enum { LEAST, MOST, ROWS, LARGEST };

/* Of one head: largest certificate in units of outputs, largest bounds in the norm of the proofs
 * and of lse, what R must be, the sum of the squares of the first, rows repaired. */
enum { RATIO, PROVED, LSE, RELIED, MAXIMA, SQUARES = MAXIMA, REPAIRED, FIGURES };

int precis_judge_create(precis_attention *a, precis_task *task, int prefixes, precis_judge *j)
{
  const precis_problem *p = &a->problem;
  int64_t rows = task->rows * p->heads;
  *j = (precis_judge){.a = a, .task = task, .tol = a->options.tol, .prefixes = prefixes};
  j->convert = precis_memory_array(p->kv_heads, sizeof *j->convert);
  j->least = precis_memory_array(rows, sizeof *j->least);
  j->sums = precis_memory_array((int64_t)p->heads * PRECIS_JUDGE_SUMS, sizeof *j->sums);
  j->mean = precis_memory_array(p->heads, sizeof *j->mean);
  j->constant = precis_memory_array(p->heads, 1);
  j->failed = precis_memory_array(rows, sizeof *j->failed);
  j->repaired = precis_memory_array(p->heads, sizeof *j->repaired);
  j->figures = precis_memory_array((int64_t)p->heads * FIGURES, sizeof *j->figures);
  int made = j->convert && j->least && j->sums && j->mean && j->constant && j->failed &&
             j->repaired && j->figures;
  for (int h = 0; h < p->heads && made; h++)
    j->repaired[h] = 0;
  for (int g = 0; g < p->kv_heads && made; g++) {
    const precis_norm proofs = precis_attention_norm(a, g),
                      unit = {p->value_dim, 0, a->survey.per + (int64_t)g * p->value_dim};
    j->convert[g] = precis_norm_conversion(&proofs, &unit);
  }
  return made ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

void precis_judge_free(precis_judge *j)
{
  free(j->convert);
  free(j->least);
  free(j->sums);
  free(j->mean);
  free(j->constant);
  free(j->failed);
  free(j->repaired);
  free(j->figures);
  *j = (precis_judge){0};
}

static precis_signal_rows rows_of(const precis_judge *j)
{
  const precis_attention *a = j->a;
  return (precis_signal_rows){.world = j->task->world,
                              .problem = &a->problem,
                              .keys = &a->keys,
                              .survey = &a->survey,
                              .map = j->task->map,
                              .prefixes = j->prefixes,
                              .rows = j->task->rows,
                              .results = &j->task->to,
                              .convert = j->convert};
}

int precis_judge_distances(const precis_judge *j, float *distance)
{
  const precis_signal_rows of = rows_of(j);
  return precis_signal_measure(&j->a->signal, &of, NULL, distance);
}

/* Lower bounds of all rows, and what they add up to on all ranks. */
static int measure(precis_judge *j)
{
  precis_attention *a = j->a;
  const precis_problem *p = &a->problem;
  const precis_task *task = j->task;
  const precis_signal_rows of = rows_of(j);
  int status = precis_signal_measure(&a->signal, &of, j->least, NULL);
  if (status != PRECIS_SUCCESS)
    return status;
  memset(j->sums, 0, (size_t)p->heads * PRECIS_JUDGE_SUMS * sizeof *j->sums);
  double *largest = j->sums + LARGEST * (int64_t)p->heads;
  for (int64_t i = 0; i < task->rows * p->heads; i++) {
    int64_t h = i % p->heads;
    double proved = 2 * j->convert[precis_problem_kv_head(p, (int)h)] * task->to.proof[2 * i];
    if (task->to.lse[i] == -INFINITY)
      continue;
    j->sums[LEAST * p->heads + h] += j->least[i];
    j->sums[MOST * p->heads + h] += isnan(proved) ? INFINITY : j->least[i] + proved;
    j->sums[ROWS * p->heads + h]++;
    largest[h] = fmax(largest[h], j->least[i]);
  }
  const precis_told told[] = {{PRECIS_FOLD_SUM, (int64_t)LARGEST * p->heads, j->sums, NULL},
                              {PRECIS_FOLD_MAX, p->heads, largest, NULL}};
  return precis_world_meet(&a->world, PRECIS_SUCCESS, NULL, told, 2);
}

static void find_means(precis_judge *j)
{
  const precis_attention *a = j->a;
  int heads = a->problem.heads;
  for (int h = 0; h < heads; h++) {
    int more = !a->signal.settled;
    double sum = a->signal.sum[h] + (more ? j->sums[LEAST * heads + h] : 0),
           rows = a->signal.rows[h] + (more ? j->sums[ROWS * heads + h] : 0);
    /* Less what adding up rounds off. */
    j->mean[h] = rows > 0 ? sum / rows * (1 - rows * 0x1p-50) : 0;
    double least = CONSTANT * a->signal.farthest[precis_problem_kv_head(&a->problem, h)],
           upper = j->sums[ROWS * heads + h] > 0
                       ? j->sums[MOST * heads + h] / j->sums[ROWS * heads + h]
                       : 0;
    /* Bounds that are loose make R small, but not the head constant: as long as better ones can be
     * had, they have to be had. */
    int settled = j->settled || !(j->tol > 0 || j->prove);
    double most = settled ? LOOSE * least : 2 * least;
    j->constant[h] = (j->mean[h] < least || !(j->mean[h] > 0)) && upper <= most;
  }
}

/* What a row's error may be, in the norm of precis_unit, by the unit of outputs. */
static double unit_of(const precis_judge *j, int64_t row, int64_t head)
{
  return fmax(j->least[row], j->mean[head]);
}

static int fails(const precis_judge *j, int64_t i)
{
  const precis_problem *p = &j->a->problem;
  const float *proof = j->task->to.proof + PRECIS_PROOF_NUMBERS * i;
  int64_t h = i % p->heads;
  if (j->task->to.lse[i] == -INFINITY)
    return 0;
  if (isnan(proof[1]))
    return 1;
  if (j->a->options.guarantee == PRECIS_GUARANTEE_SAMPLED && isinf(proof[0]))
    return 0;
  if (!(j->tol > 0))
    return j->prove && !(proof[0] < INFINITY);
  switch (j->a->options.tol_of) {
  case PRECIS_UNIT_RANGE:
    return !(proof[0] <= j->tol);
  case PRECIS_UNIT_LSE:
    return !(proof[1] <= j->tol);
  default:
    return !(j->convert[precis_problem_kv_head(p, (int)h)] * proof[0] <= j->tol * unit_of(j, i, h));
  }
}

int precis_judge_rows(precis_judge *j)
{
  precis_attention *a = j->a;
  int64_t rows = j->task->rows, heads = a->problem.heads;
  int status = measure(j);
  if (status != PRECIS_SUCCESS)
    return status;
  find_means(j);
  int64_t failures[2] = {0, 0};
  for (int64_t i = 0; i < rows * heads; i++)
    if (fails(j, i)) {
      j->failed[failures[0]++] = (precis_failed_row){i / heads, (int)(i % heads)};
      failures[1] += j->constant[i % heads];
    }
  j->failures = failures[0];
  if (MPI_Allreduce(MPI_IN_PLACE, failures, 2, MPI_INT64_T, MPI_SUM, a->world.comm))
    return PRECIS_ERR_MPI;
  j->all_failures = failures[0];
  j->constant_failures = failures[1];
  return PRECIS_SUCCESS;
}

int64_t precis_judge_drop_constant(precis_judge *j)
{
  int64_t left = 0;
  if (j->a->options.tol_of == PRECIS_UNIT_OUTPUTS) {
    for (int64_t i = 0; i < j->failures; i++)
      if (!j->constant[j->failed[i].head])
        j->failed[left++] = j->failed[i];
    j->failures = left;
    j->all_failures -= j->constant_failures;
    j->constant_failures = 0;
  }
  return j->all_failures;
}

void precis_judge_count_repair(precis_judge *j)
{
  for (int64_t i = 0; i < j->failures; i++)
    j->repaired[j->failed[i].head]++;
}

/* What R must be for a row that does not keep tol by its own distance. */
static double relied(const precis_judge *j, int64_t row, double bound)
{
  const precis_options *options = &j->a->options;
  int judged = j->tol > 0 && options->tol_of == PRECIS_UNIT_OUTPUTS &&
               !(options->guarantee == PRECIS_GUARANTEE_SAMPLED && isinf(bound));
  return judged && !(bound <= j->tol * j->least[row]) ? bound / j->tol * (1 + 0x1p-50) : 0;
}

static void add_figures(const precis_judge *j, double *figures)
{
  const precis_problem *p = &j->a->problem;
  for (int64_t i = 0; i < j->task->rows * p->heads; i++) {
    int64_t h = i % p->heads;
    const float *proof = j->task->to.proof + PRECIS_PROOF_NUMBERS * i;
    if (j->task->to.lse[i] == -INFINITY)
      continue;
    double bound = proof[0] > 0 ? j->convert[precis_problem_kv_head(p, (int)h)] * proof[0] : 0,
           ratio = bound > 0 ? bound / unit_of(j, i, h) : 0;
    figures[RATIO * p->heads + h] = fmax(figures[RATIO * p->heads + h], ratio);
    figures[PROVED * p->heads + h] = fmax(figures[PROVED * p->heads + h], proof[0]);
    figures[LSE * p->heads + h] = fmax(figures[LSE * p->heads + h], proof[1]);
    figures[RELIED * p->heads + h] = fmax(figures[RELIED * p->heads + h], relied(j, i, bound));
    figures[SQUARES * p->heads + h] += ratio * ratio;
  }
  for (int h = 0; h < p->heads; h++)
    figures[REPAIRED * p->heads + h] = (double)j->repaired[h];
}

/* Where the norm of the proofs leaves a column out that has a range, nothing is known of that. */
static double converted(double proved, double factor)
{
  return isinf(factor) ? INFINITY : proved * factor;
}

static void fill_heads(precis_judge *j, const double *figures)
{
  precis_attention *a = j->a;
  const precis_problem *p = &a->problem;
  int heads = p->heads;
  for (int h = 0; h < heads; h++) {
    int g = precis_problem_kv_head(p, h);
    const precis_norm proofs = precis_attention_norm(a, g),
                      range = {p->value_dim, 1, a->survey.per_range + (int64_t)g * p->value_dim};
    int more = !a->signal.settled;
    double rows = j->sums[ROWS * heads + h], largest = j->sums[LARGEST * heads + h],
           upper = (a->signal.most[h] + (more ? j->sums[MOST * heads + h] : 0)) /
                   (a->signal.rows[h] + (more ? rows : 0));
    a->heads[h] = (precis_head_report){
        .promise_outputs = figures[RATIO * heads + h],
        .promise_outputs_rms = rows > 0 ? sqrt(figures[SQUARES * heads + h] / rows) : 0,
        .promise_range =
            converted(figures[PROVED * heads + h], precis_norm_conversion(&proofs, &range)),
        .lse_promise = figures[LSE * heads + h],
        .mean_signal = j->mean[h],
        .trivial_error = !(upper > 0)       ? 0
                         : largest >= upper ? 1
                                            : largest / upper,
        .constant = j->constant[h],
        .rows_recomputed = (int64_t)figures[REPAIRED * heads + h]};
    a->sums[h] = (precis_head_sums){
        .relied = figures[RELIED * heads + h],
        .bound = figures[PROVED * heads + h] > 0 ? j->convert[g] * figures[PROVED * heads + h] : 0,
        .squares = figures[SQUARES * heads + h],
        .largest = largest,
        .rows = rows};
  }
}

/* Over the heads, which are equal on all ranks. */
static void fill_report(const precis_judge *j, precis_report *r)
{
  const precis_attention *a = j->a;
  double square = 0, rows = 0;
  r->mean_signal = r->trivial_error = INFINITY;
  for (int h = 0; h < a->problem.heads; h++) {
    const precis_head_report *head = &a->heads[h];
    double count = j->sums[ROWS * a->problem.heads + h];
    r->promise_range = fmax(r->promise_range, head->promise_range);
    r->lse_promise = fmax(r->lse_promise, head->lse_promise);
    r->constant_heads += head->constant;
    if (head->constant)
      continue;
    r->promise_outputs = fmax(r->promise_outputs, head->promise_outputs);
    r->mean_signal = fmin(r->mean_signal, head->mean_signal);
    r->trivial_error = fmin(r->trivial_error, head->trivial_error);
    square += head->promise_outputs_rms * head->promise_outputs_rms * count;
    rows += count;
  }
  r->promise_outputs_rms = rows > 0 ? sqrt(square / rows) : 0;
  if (!isfinite(r->mean_signal))
    r->mean_signal = r->trivial_error = 0;
  r->promise = a->options.tol_of == PRECIS_UNIT_RANGE ? r->promise_range
               : a->options.tol_of == PRECIS_UNIT_LSE ? r->lse_promise
                                                      : r->promise_outputs;
}

int precis_judge_meet(precis_attention *a, precis_judge *j, int status, precis_message *message,
                      const precis_told *told, int parts)
{
  int64_t heads = a->problem.heads;
  precis_told all[2 + PRECIS_JUDGE_TOLD];
  if (status == PRECIS_SUCCESS) {
    memset(j->figures, 0, (size_t)heads * FIGURES * sizeof *j->figures);
    add_figures(j, j->figures);
  }
  double *sums = j->figures != NULL ? j->figures + MAXIMA * heads : NULL;
  all[0] = (precis_told){PRECIS_FOLD_MAX, MAXIMA * heads, j->figures, NULL};
  all[1] = (precis_told){PRECIS_FOLD_SUM, (FIGURES - MAXIMA) * heads, sums, NULL};
  memcpy(all + 2, told, (size_t)parts * sizeof *told);
  return precis_world_meet(&a->world, status, message, all, 2 + parts);
}

void precis_judge_report(precis_judge *j, precis_report *report)
{
  precis_attention *a = j->a;
  int heads = a->problem.heads;
  fill_heads(j, j->figures);
  fill_report(j, report);
  for (int h = 0; h < heads && !a->signal.settled; h++) {
    a->signal.most[h] += j->sums[MOST * heads + h];
    a->signal.sum[h] += j->sums[LEAST * heads + h];
    a->signal.rows[h] += j->sums[ROWS * heads + h];
  }
  a->has_heads = 1;
}
