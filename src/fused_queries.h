/* fused_queries.h - the half of fused_body.h that applies */

/* Where a panel gets the rows of a chunk: the first makes them in registers and, where it is not
 * the last, keeps them. */
typedef enum rows_from { MADE, MADE_AND_KEPT, KEPT } rows_from;

/* sums[c][t] += sum_f row[f][t] packed[f][c] for `columns` columns and a group of queries t. */
INLINE void multiply_queries(const int columns, const rows_from from,
                             const precis_feature_chunk *chunk, const precis_query_group *group,
                             const float *packed, float *sums)
{
  const precis_feature_step *step = chunk->feature;
  const float *prefix = group->prefix, *factor = group->factor;
  float *row = group->rows;
  vector acc[QUERY_COLUMNS][QUERY_VECTORS];
  UNROLL
  for (int c = 0; c < columns; c++) {
    UNROLL
    for (int i = 0; i < QUERY_VECTORS; i++)
      acc[c][i] = (vector){0};
  }
  for (int64_t f = 0, end = chunk->features; f < end; f++, row += GROUP, packed += columns) {
    vector query[QUERY_VECTORS];
    UNROLL
    for (int i = 0; i < QUERY_VECTORS; i++) {
      query[i] = from == KEPT ? get(row + i * LANES)
                              : get(prefix + step[f].prefix * GROUP + i * LANES) *
                                    get(factor + step[f].factor * GROUP + i * LANES);
      if (from == MADE_AND_KEPT)
        put(row + i * LANES, query[i]);
    }
    UNROLL
    for (int c = 0; c < columns; c++) {
      float scalar = packed[c];
      UNROLL
      for (int i = 0; i < QUERY_VECTORS; i++)
        acc[c][i] += scalar * query[i];
    }
  }
  UNROLL
  for (int c = 0; c < columns; c++) {
    UNROLL
    for (int i = 0; i < QUERY_VECTORS; i++)
      put(sums + c * GROUP + i * LANES, get(sums + c * GROUP + i * LANES) + acc[c][i]);
  }
}

static void meet_queries(int columns, rows_from from, const precis_feature_chunk *chunk,
                         const precis_query_group *group, const float *packed, float *sums)
{
#define X(n)                                                                                       \
  case n:                                                                                          \
    if (from == MADE)                                                                              \
      multiply_queries(n, MADE, chunk, group, packed, sums);                                       \
    else if (from == KEPT)                                                                         \
      multiply_queries(n, KEPT, chunk, group, packed, sums);                                       \
    else                                                                                           \
      multiply_queries(n, MADE_AND_KEPT, chunk, group, packed, sums);                              \
    break;
  switch (columns) {
    EACH_QUERY_COLUMNS(X)
  }
#undef X
}

/* sums[t] += sum over prefixes of prefix[t] sum over its factors of factor[t] packed: one
 * multiply-add a feature. */
static void count_queries(const precis_feature_chunk *chunk, const precis_query_group *group,
                          const float *packed, float *sums)
{
  for (int f = 0; f < chunk->features;) {
    const float *prefix = group->prefix + chunk->feature[f].prefix * COUNT_GROUP;
    const float *factor = group->factor + chunk->feature[f].factor * COUNT_GROUP;
    int end = f + run_length(chunk, f);
    vector inner[COUNT_VECTORS];
    UNROLL
    for (int i = 0; i < COUNT_VECTORS; i++)
      inner[i] = (vector){0};
    for (; f < end; f++, factor += COUNT_GROUP) {
      float scalar = packed[f];
      UNROLL
      for (int i = 0; i < COUNT_VECTORS; i++)
        inner[i] += scalar * get(factor + i * LANES);
    }
    UNROLL
    for (int i = 0; i < COUNT_VECTORS; i++)
      put(sums + i * LANES, get(sums + i * LANES) + inner[i] * get(prefix + i * LANES));
  }
}

static void apply(const precis_feature_chunk *chunk, const precis_query_group *group, int columns,
                  const float *packed, float *sums)
{
  if (columns == 1) {
    make_prefixes(chunk, COUNT_GROUP, COUNT_GROUP, group->factor, group->prefix);
    count_queries(chunk, group, packed, sums);
    return;
  }
  make_prefixes(chunk, GROUP, GROUP, group->factor, group->prefix);
  int panels = precis_packed_panels(&KERNEL, columns);
  rows_from first = panels > 1 ? MADE_AND_KEPT : MADE;
  for (int p = 0; p < panels; p++) {
    int c = precis_packed_panel_first(&KERNEL, columns, p);
    int end = precis_packed_panel_first(&KERNEL, columns, p + 1);
    rows_from from = p > 0 ? KEPT : first;
    meet_queries(end - c, from, chunk, group, packed + (int64_t)c * chunk->features,
                 sums + c * GROUP);
  }
}
