/* Attending by a summary that was kept: every rank has all of it, so nothing travels. */
#include <stdlib.h>
#include <string.h>

#include "mpi/summaries/kept.h"
#include "src/base/memory.h"

typedef struct applying {
  const precis_kept *kept;
  precis_queries exact; /* of outlier keys */
} applying;

static void collect(const void *context, const precis_summary_work *x, int g, int64_t i,
                    precis_row *row)
{
  const applying *a = context;
  const float *counts = a->kept->at.counts32 + g * a->kept->count_numbers;
  const precis_weight_mass weights = {counts[0], counts[a->kept->plan.features]};
  precis_summary_gather(x, g, i, &x->at.sums, a->kept->plan.log_scale[g], &weights, row);
  if (a->kept->tokens.rows > 0)
    precis_summary_gather_queries(x, g, i, &a->exact, row);
}

static void apply_head(precis_summary_work *x, const applying *a, int g)
{
  const precis_kept *kept = a->kept;
  precis_summary_load_queries(x, g);
  precis_summary_apply_whole(x, g, kept->at.values32 + g * kept->value_numbers,
                             kept->at.counts32 + g * kept->count_numbers);
  precis_summary_finish(x, g, 0, x->task->rows * x->group, collect, a);
}

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* Errors: MEMORY. */
static int attend_tokens(precis_task *task, const precis_kept *kept, precis_queries *exact)
{
  const precis_keys *tokens = &kept->tokens;
  precis_parcel_kind kind = task->kind;
  kind.with_bias = 1;
  kind.with_positions = 0;
  int64_t batch = least(tokens->rows, task->tile_rows);
  int status = precis_queries_create(task->problem, task->rows, task->q, NULL, exact);
  char *parcel = precis_memory_array(precis_parcel_bytes(&kind, batch), 1);
  precis_job *jobs = precis_memory_array(task->problem->heads, sizeof *jobs);
  if (parcel == NULL || jobs == NULL)
    status = PRECIS_ERR_MEMORY;
  for (int64_t first = 0; first < tokens->rows && status == PRECIS_SUCCESS; first += batch) {
    int64_t rows = least(tokens->rows - first, batch);
    precis_parcel_pack(&kind, tokens, first, rows, &task->terms,
                       task->engine.threads, parcel);
    precis_queries_jobs(task->problem, exact, &kind, rows, parcel, jobs);
    precis_task_compute(task, jobs, task->problem->heads);
  }
  free(jobs);
  free(parcel);
  return status;
}

int precis_kept_run(precis_task *task, const precis_kept *kept,
                    precis_summary_result *result)
{
  const precis_keys none = {
      .kv_heads = task->keys->kv_heads, .dim = task->keys->dim, .value_dim = task->keys->value_dim};
  applying a = {.kept = kept};
  precis_summary_work work;
  int status = PRECIS_SUCCESS;
  if (kept->tokens.rows > 0)
    status = attend_tokens(task, kept, &a.exact);
  precis_task without_keys = *task;
  without_keys.keys = &none;
  double start = MPI_Wtime();
  int made = precis_summary_work_create(&without_keys, &kept->plan, result, &work);
  status = status == PRECIS_SUCCESS ? made : status;
  for (int g = 0; g < task->problem->kv_heads && status == PRECIS_SUCCESS; g++)
    apply_head(&work, &a, g);
  precis_summary_work_free(&work);
  precis_queries_free(&a.exact);
  task->seconds_apply += MPI_Wtime() - start;
  if (status != PRECIS_SUCCESS)
    precis_summary_result_free(result);
  return status;
}
