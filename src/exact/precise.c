#include "src/exact/precise.h"

#include <math.h>

#include "src/base/clones.h"
#include "src/base/problem.h"

enum { BLOCK = 128 };

static const double LOG2_E = 1.44269504088896340736;

/* Keys of a block, centred, in double: k by columns, so that loops over keys are vector code. */
typedef struct block {
  int keys;
  double k[PRECIS_DIM_MAX][BLOCK], v[BLOCK][PRECIS_DIM_MAX + 1];
  double bias[BLOCK]; /* in units of log 2; -infinity: masked */
  int64_t position[BLOCK];
} block;

static void load(const precis_terms *terms, int g, const precis_keys *all, int64_t first, int keys,
                 block *b)
{
  int d = all->dim, dv = all->value_dim;
  const double *k_center = terms->k_center + (int64_t)g * d,
               *v_center = terms->v_center + (int64_t)g * dv;
  const precis_norm norm = precis_terms_norm(terms, g);
  b->keys = keys;
  for (int j = 0; j < keys; j++) {
    int64_t row = first + j, at = row * all->kv_heads + g;
    const float *k = all->k + at * d, *v = all->v + at * dv;
    int masked = precis_keys_masked(all, row);
    for (int c = 0; c < d; c++)
      b->k[c][j] = k[c] - k_center[c];
    for (int c = 0; c < dv; c++)
      b->v[j][c] = (v[c] - v_center[c]) * terms->fold[(int64_t)g * dv + c];
    b->v[j][dv] = precis_norm_distance(&norm, v, v_center);
    b->bias[j] = masked ? -INFINITY
                        : ((all->bias ? all->bias[row] : 0) - terms->bias_center) * LOG2_E;
    b->position[j] = all->position ? all->position[row] : 0;
  }
}

PRECIS_CLONES
static void scores_of(const block *b, int d, double scale, const float *q, double *scores)
{
  for (int j = 0; j < b->keys; j++)
    scores[j] = 0;
  for (int c = 0; c < d; c++)
    for (int j = 0; j < b->keys; j++)
      scores[j] += q[c] * b->k[c][j];
  for (int j = 0; j < b->keys; j++)
    scores[j] = scores[j] * scale + b->bias[j];
}

PRECIS_CLONES
static void add_weighted(double *restrict o, double w, const double *restrict v, int n)
{
  for (int c = 0; c < n; c++)
    o[c] += w * v[c];
}

/* Returns the number of keys that the row sees. */
static int64_t attend_row(const precis_terms *terms, const block *b, const float *q,
                          const int64_t *position, precis_partial *row)
{
  const precis_problem *p = terms->problem;
  int columns = precis_problem_columns(p), seen = b->keys;
  double scores[BLOCK], most = row->m[0];
  while (position != NULL && seen > 0 && b->position[seen - 1] > *position)
    seen--;
  scores_of(b, p->dim, p->scale * LOG2_E, q, scores);
  for (int j = 0; j < seen; j++)
    most = scores[j] > most ? scores[j] : most;
  if (most == -INFINITY)
    return seen;
  double keep = exp2(row->m[0] - most);
  row->m[0] = most;
  row->l[0] *= keep;
  for (int c = 0; c < columns; c++)
    row->o[c] *= keep;
  for (int j = 0; j < seen; j++) {
    double w = exp2(scores[j] - most);
    row->l[0] += w;
    add_weighted(row->o, w, b->v[j], columns);
  }
  return seen;
}

int64_t precis_precise_attend(const precis_terms *terms, int g, const precis_keys *all,
                              int64_t first, int64_t keys, int64_t rows, const float *q,
                              const int64_t *position, int threads, precis_partial *partial)
{
  int columns = precis_problem_columns(terms->problem), d = terms->problem->dim;
  int64_t pairs = 0;
  block b;
  for (int64_t key = 0; key < keys; key += BLOCK) {
    load(terms, g, all, first + key, (int)(keys - key < BLOCK ? keys - key : BLOCK), &b);
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : pairs)
    for (int64_t i = 0; i < rows; i++) {
      precis_partial row = precis_partial_at(partial, i, columns);
      pairs += attend_row(terms, &b, q + i * d, position ? position + i : NULL, &row);
    }
  }
  return pairs;
}

int64_t precis_precise_words(int columns)
{
  return 1 + 2 * (1 + columns);
}

static float *put(double x, float *wire)
{
  *wire = (float)x;
  wire[1] = (float)(x - *wire);
  return wire + 2;
}

void precis_precise_pack(const precis_partial *row, int columns, float *wire)
{
  float m = (float)row->m[0];
  double scale = m == -INFINITY ? 0 : exp2(row->m[0] - m);
  *wire++ = m;
  wire = put(row->l[0] * scale, wire);
  for (int c = 0; c < columns; c++)
    wire = put(row->o[c] * scale, wire);
}

void precis_precise_merge(const precis_partial *row, int columns, const float *wire)
{
  double m = *wire++;
  if (m == -INFINITY)
    return;
  double top = row->m[0] > m ? row->m[0] : m, keep = exp2(row->m[0] - top), scale = exp2(m - top);
  row->m[0] = top;
  row->l[0] = row->l[0] * keep + ((double)wire[0] + wire[1]) * scale;
  wire += 2;
  for (int c = 0; c < columns; c++, wire += 2)
    row->o[c] = row->o[c] * keep + ((double)wire[0] + wire[1]) * scale;
}
