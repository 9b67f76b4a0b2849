#include "src/queries.h"

#include "src/clones.h"
#include "src/problem.h"

int precis_queries_create(const precis_problem *problem, int64_t rows, const float *q,
                          const int64_t *position, precis_queries *queries)
{
  *queries = (precis_queries){.rows = rows, .q = q, .position = problem->causal ? position : NULL};
  return precis_partial_create(&queries->partial, rows * problem->heads, problem->value_dim);
}

void precis_queries_free(precis_queries *queries)
{
  precis_partial_free(&queries->partial);
}

void precis_queries_jobs(const precis_problem *problem, const precis_queries *queries,
                         const precis_parcel_kind *kind, int64_t key_rows, const void *parcel,
                         precis_job *jobs)
{
  for (int h = 0; h < problem->heads; h++)
    jobs[h] = (precis_job){
        .rows = queries->rows,
        .q = queries->q + (int64_t)h * problem->dim,
        .q_stride = (int64_t)problem->heads * problem->dim,
        .query_position = queries->position,
        .tile = precis_parcel_tile(kind, key_rows, parcel, precis_problem_kv_head(problem, h)),
        .key_position = precis_parcel_positions(kind, parcel),
        .partial = precis_partial_at(&queries->partial, h * queries->rows, problem->value_dim),
    };
}

void precis_queries_pack(const precis_problem *problem, const precis_queries *queries,
                         int64_t first, int64_t rows, float *wire)
{
  int dv = problem->value_dim;
  for (int h = 0; h < problem->heads; h++, wire += precis_partial_words(rows, dv)) {
    precis_partial part = precis_partial_at(&queries->partial, h * queries->rows + first, dv);
    precis_partial_pack(&part, rows, dv, wire);
  }
}

void precis_queries_merge(const precis_problem *problem, precis_queries *queries, int64_t first,
                          int64_t rows, const float *wire)
{
  int dv = problem->value_dim;
  for (int h = 0; h < problem->heads; h++, wire += precis_partial_words(rows, dv)) {
    precis_partial part = precis_partial_at(&queries->partial, h * queries->rows + first, dv);
    precis_partial_merge_packed(&part, rows, dv, wire);
  }
}

PRECIS_CLONES
static double offset_of(const precis_problem *problem, const float *q, const double *center)
{
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int c = 0; c < problem->dim; c++)
    sum += q[c] * center[c];
  return problem->scale * sum;
}

double precis_queries_offset(const precis_problem *problem, const float *q, const double *center)
{
  return offset_of(problem, q, center);
}

int precis_queries_finish(const precis_problem *problem, const precis_queries *queries,
                          int64_t first, int64_t rows, const double *k_center,
                          const double *v_center, float *out, float *lse)
{
  int bad = 0;
  for (int h = 0; h < problem->heads; h++) {
    int g = precis_problem_kv_head(problem, h);
    for (int64_t i = 0; i < rows; i++) {
      const float *q = queries->q + ((first + i) * problem->heads + h) * problem->dim;
      double offset = precis_queries_offset(problem, q, k_center + (int64_t)g * problem->dim);
      int64_t to = i * problem->heads + h;
      bad |= precis_partial_finish(&queries->partial, h * queries->rows + first + i,
                                   problem->value_dim, v_center + (int64_t)g * problem->value_dim,
                                   offset, out + to * problem->value_dim, lse + to);
    }
  }
  return bad;
}
