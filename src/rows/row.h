/* row.h - what is known of one (query, head) when all its keys are in, made into results with a
 * proof */
#ifndef PRECIS_SRC_ROWS_ROW_H
#define PRECIS_SRC_ROWS_ROW_H

#include "src/proof/certificate.h"
#include "src/exact/partial.h"
#include "src/tokens/terms.h"

/* Sums relative to e^m, natural units: l of weights, o of weighted values, centred and folded (terms.h), and what may be
 * wrong with them. m is -infinity where no key was seen. Biases are whole in m, offsets of centred
 * keys are not. */
typedef struct precis_row {
  double m, l;
  precis_error_mass mass;
  double *o; /* value_dim */
} precis_row;

/* A (query row, head) that has to be computed exactly. */
typedef struct precis_failed_row {
  int64_t row;
  int head;
} precis_failed_row;

/* Numbers of a proof: a bound on |computed - true| in the norm of the terms, and one on the error of
 * lse before it is rounded to float32. Infinity: nothing is proved. */
enum { PRECIS_PROOF_NUMBERS = 2 };

/* Where results of rows go: rows x value_dim, rows, rows x PRECIS_PROOF_NUMBERS. */
typedef struct precis_finished {
  float *out, *lse, *proof;
} precis_finished;

static inline precis_finished precis_finished_at(const precis_finished *to, int64_t row,
                                                 int value_dim)
{
  return (precis_finished){to->out + row * value_dim, to->lse + row,
                           to->proof + row * PRECIS_PROOF_NUMBERS};
}

/* Room for `rows` of them, made with proofs of nothing. Errors: MEMORY; then there is nothing to
 * free. */
int precis_finished_create(int64_t rows, int value_dim, precis_finished *finished);
void precis_finished_free(precis_finished *finished);

/* Adds the sums of exact parts, (m, l, o) of partial.h with the deviation of keys as the last
 * column of o, and what rounding may have done to them. query_norm: |q|. */
void precis_row_add_exact(const precis_terms *terms, int kv_head, double query_norm, double m,
                          double l, const double *o, precis_row *row);

/* The same of exact parts computed in double. */
void precis_row_add_double(const precis_terms *terms, int kv_head, double query_norm, double m,
                           double l, const double *o, precis_row *row);

/* Expresses the row by the exponent m if that is larger; returns the factor for what is added. */
double precis_row_meet(int value_dim, double m, precis_row *row);

/* The row of a query as results; 0 and -infinity where no key was seen. Returns 0, or -1 if a
 * result is not finite (the range of float32 was exceeded). */
int precis_row_finish(const precis_terms *terms, int kv_head, const float *q,
                      const precis_row *row, precis_finished to);

/* The same of a row that is exact as a whole; partial: its one row. */
int precis_row_finish_exact(const precis_terms *terms, int kv_head, const float *q,
                            const precis_partial *partial, precis_finished to);
int precis_row_finish_double(const precis_terms *terms, int kv_head, const float *q,
                             const precis_partial *partial, precis_finished to);

/* |q|, not below the true one. */
double precis_row_query_norm(int dim, const float *q);

#endif
