/* tile_gather.h - the half of tile_body.h that multiplies weights and values */

/* sum[c] += sum_j weights[j] v[j][c] for c < columns, the last of which is all ones if `last`. */
INLINE void gather_chain(const int vectors, const int columns, const int last, int keys,
                         const precis_tile_block *b, int64_t j, const float *v,
                         vector sum[COLUMNS][VECTORS])
{
  const float *weights = b->weights + j * GROUP;
  v += j * b->value_dim;
  UNROLL_FEW
  for (int i = 0; i < keys; i++, v += b->value_dim, weights += GROUP) {
    vector weight[VECTORS];
    UNROLL
    for (int x = 0; x < vectors; x++)
      weight[x] = get(weights + x * LANES);
    UNROLL
    for (int c = 0; c < columns; c++) {
      UNROLL
      for (int x = 0; x < vectors; x++)
        sum[c][x] += last && c == columns - 1 ? weight[x] : v[c] * weight[x];
    }
  }
}

/* Chains begin at zero: each is a term of its own in part. */
INLINE void gather_columns(const int vectors, const int columns, const int last,
                           const precis_tile_block *b, const float *v, float *part)
{
  for (int j = 0; j < b->keys; j += PRECIS_TILE_CHAIN) {
    int keys = b->keys - j < PRECIS_TILE_CHAIN ? b->keys - j : PRECIS_TILE_CHAIN;
    vector sum[COLUMNS][VECTORS];
    UNROLL
    for (int c = 0; c < columns; c++) {
      UNROLL
      for (int x = 0; x < vectors; x++)
        sum[c][x] = (vector){0};
    }
    gather_chain(vectors, columns, last, keys, b, j, v, sum);
    UNROLL
    for (int c = 0; c < columns; c++) {
      UNROLL
      for (int x = 0; x < vectors; x++)
        put(part + c * GROUP + x * LANES, get(part + c * GROUP + x * LANES) + sum[c][x]);
    }
  }
}

/* A body for each number of columns, so that none is multiplied in vain. */
#define CASE(n)                                                                                    \
  case n:                                                                                          \
    gather_columns(vectors, n, last, b, v, part);                                                  \
    break;
#define GATHER(name, vectors_, last_)                                                              \
  static void name(int columns, const precis_tile_block *b, const float *v, float *part)           \
  {                                                                                                \
    const int vectors = vectors_, last = last_;                                                    \
    switch (columns) {                                                                             \
      EACH_COLUMNS(CASE)                                                                           \
    }                                                                                              \
  }
#define GATHER_BOTH(n)                                                                             \
  GATHER(gather_##n, n, 0)                                                                         \
  GATHER(gather_last_##n, n, 1)
EACH_VECTORS(GATHER_BOTH)

#define CASE_VECTORS(n)                                                                            \
  case n:                                                                                          \
    (p + 1 < panels ? gather_##n : gather_last_##n)(end - first, &b, b.v + first,                  \
                                                    b.part + (int64_t)first * GROUP);              \
    break;

/* Panels of columns, the sum of weights among them, differ by one in width at most. */
static void gather(const precis_tile_block *block)
{
  precis_tile_block b = *block;
  int columns = b.value_dim + 1, panels = (columns + COLUMNS - 1) / COLUMNS;
  for (int left = vectors_of(block); left > 0; left -= VECTORS, advance(&b)) {
    for (int p = 0; p < panels; p++) {
      int first = columns * p / panels, end = columns * (p + 1) / panels;
      switch (left < VECTORS ? left : VECTORS) {
        EACH_VECTORS(CASE_VECTORS)
      }
    }
  }
}
