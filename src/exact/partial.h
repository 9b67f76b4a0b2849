/* partial.h - the result of attending to some of the keys, mergeable with that of others
 *
 * For every query row: a reference exponent m, l = sum_j 2^(x_j - m), o = sum_j 2^(x_j - m) v_j,
 * with scores x_j in units of log 2 and values v_j centred. m is any number near the largest x_j,
 * -infinity while no key was seen (l and o are then 0). Partials over disjoint sets of keys merge
 * associatively. Doubles, so that the error does not grow with the number of merges. In attention
 * o has a last column more than there are values, of the deviations of keys (certificate.h):
 * value_dim below counts it. */
#ifndef PRECIS_SRC_EXACT_PARTIAL_H
#define PRECIS_SRC_EXACT_PARTIAL_H

#include <stdint.h>

typedef struct precis_partial {
  double *m; /* rows */
  double *l; /* rows */
  double *o; /* rows x value_dim */
} precis_partial;

/* Allocates rows partials over no keys. Errors: MEMORY. */
int precis_partial_create(precis_partial *partial, int64_t rows, int value_dim);
void precis_partial_free(precis_partial *partial);

/* Bytes of rows partials as they are held. */
static inline int64_t precis_partial_bytes(int64_t rows, int value_dim)
{
  return rows * (value_dim + 2) * (int64_t)sizeof(double);
}

/* Makes rows partials over no keys. */
void precis_partial_clear(precis_partial *partial, int64_t rows, int value_dim);

/* The partials from `row` on. */
precis_partial precis_partial_at(const precis_partial *partial, int64_t row, int value_dim);

/* Merges into row `row` the float32 partial (m, l, o[value_dim]). */
void precis_partial_merge(precis_partial *partial, int64_t row, int value_dim, float m, float l,
                          const float *o);

/* The same in double, o[0], o[stride], o[2 stride], ... */
void precis_partial_merge_sums(precis_partial *partial, int64_t row, int value_dim, double m,
                               double l, const double *o, int64_t stride);

/* The form that travels: value_dim + 2 floats a row: m, l, o. m is rounded to float32 and l, o
 * rescaled to match, so that nothing but the rounding of l and o is lost. */
int64_t precis_partial_words(int64_t rows, int value_dim);
void precis_partial_pack(const precis_partial *partial, int64_t rows, int value_dim, float *wire);
void precis_partial_merge_packed(precis_partial *partial, int64_t rows, int value_dim,
                                 const float *wire);

#endif
