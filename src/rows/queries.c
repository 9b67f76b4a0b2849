#include "src/rows/queries.h"

#include "src/base/problem.h"

int precis_queries_create(const precis_problem *problem, int64_t rows, const float *q,
                          const int64_t *position, precis_queries *queries)
{
  *queries = (precis_queries){.rows = rows, .q = q, .position = problem->causal ? position : NULL};
  return precis_partial_create(&queries->partial, rows * problem->heads,
                               precis_problem_columns(problem));
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
        .partial = precis_partial_at(&queries->partial, h * queries->rows,
                                     precis_problem_columns(problem)),
    };
}

void precis_queries_pack(const precis_problem *problem, const precis_queries *queries,
                         int64_t first, int64_t rows, float *wire)
{
  int dv = precis_problem_columns(problem);
  for (int h = 0; h < problem->heads; h++, wire += precis_partial_words(rows, dv)) {
    precis_partial part = precis_partial_at(&queries->partial, h * queries->rows + first, dv);
    precis_partial_pack(&part, rows, dv, wire);
  }
}

void precis_queries_merge(const precis_problem *problem, precis_queries *queries, int64_t first,
                          int64_t rows, const float *wire)
{
  int dv = precis_problem_columns(problem);
  for (int h = 0; h < problem->heads; h++, wire += precis_partial_words(rows, dv)) {
    precis_partial part = precis_partial_at(&queries->partial, h * queries->rows + first, dv);
    precis_partial_merge_packed(&part, rows, dv, wire);
  }
}

int precis_queries_finish(const precis_terms *terms, const precis_queries *queries, int64_t first,
                          int64_t rows, const precis_finished *to)
{
  const precis_problem *p = terms->problem;
  int bad = 0, columns = precis_problem_columns(p);
  for (int64_t i = 0; i < rows * p->heads; i++) {
    int h = (int)(i % p->heads);
    const precis_partial row = precis_partial_at(
        &queries->partial, h * queries->rows + first + i / p->heads, columns);
    bad |= precis_row_finish_exact(terms, precis_problem_kv_head(p, h),
                                   queries->q + (first * p->heads + i) * p->dim, &row,
                                   precis_finished_at(to, i, p->value_dim));
  }
  return bad;
}
