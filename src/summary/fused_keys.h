/* fused_keys.h - the half of fused_body.h that summarises */

/* sums[r][i lanes] = sum_t row[r][t] v[t][i lanes], rows x vectors of them: of PRECIS_SUM_TERMS
 * tokens in registers, then of these sums. */
INLINE void multiply_values(const int rows, const int vectors, int64_t tokens, const float *row,
                            const float *v, float *sums)
{
  for (int64_t first = 0; first < tokens; first += PRECIS_SUM_TERMS) {
    int64_t end = tokens - first < PRECIS_SUM_TERMS ? tokens : first + PRECIS_SUM_TERMS;
    vector acc[KEY_ROWS][VALUE_VECTORS];
    UNROLL
    for (int r = 0; r < rows; r++) {
      UNROLL
      for (int i = 0; i < vectors; i++)
        acc[r][i] = (vector){0};
    }
    UNROLL_4
    for (int64_t t = first; t < end; t++) {
      vector value[VALUE_VECTORS];
      UNROLL
      for (int i = 0; i < vectors; i++)
        value[i] = get(v + (t * vectors + i) * LANES);
      UNROLL
      for (int r = 0; r < rows; r++) {
        float scalar = row[r * PRECIS_KEY_ROW + t];
        UNROLL
        for (int i = 0; i < vectors; i++)
          acc[r][i] += scalar * value[i];
      }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
      UNROLL
      for (int i = 0; i < vectors; i++) {
        float *sum = sums + (r * VALUE_VECTORS + i) * LANES;
        put(sum, first == 0 ? acc[r][i] : get(sum) + acc[r][i]);
      }
    }
  }
}

static void meet_values(int rows, int vectors, int64_t tokens, const float *row, const float *v,
                        float *sums)
{
  /* A body for each number of rows, so that none is multiplied in vain. */
#define X(n)                                                                                       \
  case n:                                                                                          \
    if (vectors == VALUE_VECTORS)                                                                  \
      multiply_values(n, VALUE_VECTORS, tokens, row, v, sums);                                     \
    else                                                                                           \
      multiply_values(n, 1, tokens, row, v, sums);                                                 \
    break;
  switch (rows) {
    EACH_KEY_ROWS(X)
  }
#undef X
}

/* into[r][c] += sums[r][c] for c < columns. */
INLINE void add_to_double(int rows, int columns, const float *sums, int64_t stride, double *into)
{
  for (int r = 0; r < rows; r++, sums += VALUE_VECTORS * LANES, into += stride) {
    int c = 0;
    for (; c + LANES / 2 <= columns; c += LANES / 2) {
      half part = *(const half *)(const void *)(sums + c);
      *(wide *)(into + c) += __builtin_convertvector(part, wide);
    }
    for (; c < columns; c++)
      into[c] += (double)sums[c];
  }
}

enum { DOTS = 8 };

/* sum_t prefix[t] factor[i][t] for `dots` consecutive factors. */
INLINE void dot(const int dots, int64_t tokens, const float *prefix, const float *factor,
                double *counts)
{
  vector acc[DOTS];
  UNROLL
  for (int i = 0; i < DOTS; i++)
    acc[i] = (vector){0};
  for (int64_t t = 0; t < tokens; t += LANES) {
    vector a = get(prefix + t);
    UNROLL
    for (int i = 0; i < dots; i++)
      acc[i] += a * get(factor + i * PRECIS_KEY_ROW + t);
  }
  add_across(dots < 4 ? dots : 4, acc, counts);
  if (dots == DOTS)
    add_across(DOTS - 4, acc + 4, counts + 4);
}

/* Counts need no row at all: a feature's is the inner product of its prefix and its factor. */
static void count_keys(const precis_feature_chunk *chunk, const precis_key_block *block,
                       int64_t tokens, double *counts)
{
  for (int f = 0; f < chunk->features;) {
    const float *a = block->prefix + chunk->feature[f].prefix * PRECIS_KEY_ROW;
    const float *b = block->factor + chunk->feature[f].factor * PRECIS_KEY_ROW;
    int run = run_length(chunk, f), i = 0;
    for (; i + DOTS <= run; i += DOTS)
      dot(DOTS, tokens, a, b + i * PRECIS_KEY_ROW, counts + f + i);
    for (; i + DOTS / 4 <= run; i += DOTS / 4)
      dot(DOTS / 4, tokens, a, b + i * PRECIS_KEY_ROW, counts + f + i);
    if (i < run)
      dot(1, tokens, a, b + i * PRECIS_KEY_ROW, counts + f + i);
    f += run;
  }
}

/* n <= 4 rows and their counts; `deviation` as in the block, or NULL. */
INLINE void make_key_rows(const int n, const precis_feature_step *step,
                          const precis_key_block *block, const float *deviation, int64_t tokens,
                          float *row, double *counts, double *deviating)
{
  vector lanes[4] = {{0}, {0}, {0}, {0}}, others[4] = {{0}, {0}, {0}, {0}};
  UNROLL
  for (int i = 0; i < n; i++)
    lanes[i] = make_row(step + i, PRECIS_KEY_ROW, tokens, block->prefix, block->factor, deviation,
                        row + i * PRECIS_KEY_ROW, &others[i]);
  add_across(n, lanes, counts);
  if (deviation)
    add_across(n, others, deviating);
}

INLINE void make_group(int rows, const precis_feature_step *step, const precis_key_block *block,
                       const float *deviation, int64_t tokens, double *counts, double *deviating)
{
  float *row = block->rows;
  int r = 0;
  for (; r + 4 <= rows; r += 4)
    make_key_rows(4, step + r, block, deviation, tokens, row + r * PRECIS_KEY_ROW, counts + r,
                  deviating + r);
  for (; r + 2 <= rows; r += 2)
    make_key_rows(2, step + r, block, deviation, tokens, row + r * PRECIS_KEY_ROW, counts + r,
                  deviating + r);
  if (r < rows)
    make_key_rows(1, step + r, block, deviation, tokens, row + r * PRECIS_KEY_ROW, counts + r,
                  deviating + r);
}

/* A body with deviations and one without. */
static void make_plain(int rows, const precis_feature_step *step, const precis_key_block *block,
                       int64_t tokens, double *counts)
{
  double none[KEY_ROWS];
  make_group(rows, step, block, NULL, tokens, counts, none);
}

static void make_deviating(int rows, const precis_feature_step *step, const precis_key_block *block,
                           int64_t tokens, double *counts, double *deviating)
{
  make_group(rows, step, block, block->deviation, tokens, counts, deviating);
}

static void summarise(const precis_feature_chunk *chunk, const precis_key_block *block,
                      double *values, double *counts, double *deviating)
{
  int64_t whole = (block->tokens + LANES - 1) / LANES * LANES;
  int columns = block->value_dim;
  float sums[KEY_ROWS * VALUE_VECTORS * LANES] __attribute__((aligned(64)));
  make_prefixes(chunk, PRECIS_KEY_ROW, whole, block->factor, block->prefix);
  if (columns == 0)
    count_keys(chunk, block, whole, counts);
  for (int f = 0; columns > 0 && f < chunk->features; f += KEY_ROWS) {
    int rows = chunk->features - f < KEY_ROWS ? chunk->features - f : KEY_ROWS;
    if (block->deviation)
      make_deviating(rows, chunk->feature + f, block, whole, counts + f, deviating + f);
    else
      make_plain(rows, chunk->feature + f, block, whole, counts + f);
    for (int c = 0; c < columns; c += VALUE_VECTORS * LANES) {
      int width = columns - c < VALUE_VECTORS * LANES ? columns - c : VALUE_VECTORS * LANES;
      meet_values(rows, width > LANES ? VALUE_VECTORS : 1, block->tokens, block->rows,
                  block->v + c * block->tokens, sums);
      add_to_double(rows, width, sums, columns, values + (int64_t)f * columns + c);
    }
  }
}
