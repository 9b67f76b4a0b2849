/* fused_queries.h - the half of fused_body.h that applies */

/* Where a panel gets the rows of a chunk: the first makes them in registers and, where it is not
 * the last, keeps them. */
typedef enum rows_from { MADE, MADE_AND_KEPT, KEPT } rows_from;

/* Features first .. end - 1 of a chunk, at most PRECIS_SUM_TERMS. */
typedef struct chunk_part {
  const precis_feature_chunk *chunk;
  int first, end;
} chunk_part;

static chunk_part part_at(const precis_feature_chunk *chunk, int first)
{
  int left = chunk->features - first;
  return (chunk_part){chunk, first, first + (left < PRECIS_SUM_TERMS ? left : PRECIS_SUM_TERMS)};
}

/* sums[c][t] += sum_f row[f][t] packed[f][c] for `columns` columns and a group of queries t. */
INLINE void multiply_queries(const int columns, const rows_from from, const chunk_part *part,
                             const precis_query_group *group, const float *packed, float *sums)
{
  const precis_feature_step *step = part->chunk->feature;
  const float *prefix = group->prefix, *factor = group->factor;
  float *row = group->rows;
  vector acc[QUERY_COLUMNS][QUERY_VECTORS];
  UNROLL
  for (int c = 0; c < columns; c++) {
    UNROLL
    for (int i = 0; i < QUERY_VECTORS; i++)
      acc[c][i] = (vector){0};
  }
  packed += (int64_t)part->first * columns;
  UNROLL_4
  for (int64_t f = part->first, end = part->end; f < end; f++, row += GROUP, packed += columns) {
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

static void meet_queries(int columns, rows_from from, const chunk_part *part,
                         const precis_query_group *group, const float *packed, float *sums)
{
#define X(n)                                                                                       \
  case n:                                                                                          \
    if (from == MADE)                                                                              \
      multiply_queries(n, MADE, part, group, packed, sums);                                        \
    else if (from == KEPT)                                                                         \
      multiply_queries(n, KEPT, part, group, packed, sums);                                        \
    else                                                                                           \
      multiply_queries(n, MADE_AND_KEPT, part, group, packed, sums);                               \
    break;
  switch (columns) {
    EACH_QUERY_COLUMNS(X)
  }
#undef X
}

/* A part of a chunk against every panel, while its rows are in the first-level cache. */
static void meet_panels(const chunk_part *part, const precis_query_group *group, int columns,
                        const float *packed, float *sums)
{
  int panels = precis_packed_panels(&KERNEL, columns);
  rows_from first = panels > 1 ? MADE_AND_KEPT : MADE;
  for (int p = 0; p < panels; p++) {
    int c = precis_packed_panel_first(&KERNEL, columns, p);
    int end = precis_packed_panel_first(&KERNEL, columns, p + 1);
    meet_queries(end - c, p > 0 ? KEPT : first, part, group,
                 packed + (int64_t)c * part->chunk->features, sums + c * GROUP);
  }
}

/* sums[t] += sum over prefixes of prefix[t] sum over its factors of factor[t] packed: one
 * multiply-add a feature. */
static void count_queries(const chunk_part *part, const precis_query_group *group,
                          const float *packed, float *sums)
{
  const precis_feature_step *step = part->chunk->feature;
  vector sum[COUNT_VECTORS];
  UNROLL
  for (int i = 0; i < COUNT_VECTORS; i++)
    sum[i] = (vector){0};
  for (int f = part->first; f < part->end;) {
    const float *prefix = group->prefix + step[f].prefix * COUNT_GROUP;
    const float *factor = group->factor + step[f].factor * COUNT_GROUP;
    int run = f + run_length(part->chunk, f), end = run < part->end ? run : part->end;
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
      sum[i] += inner[i] * get(prefix + i * LANES);
  }
  UNROLL
  for (int i = 0; i < COUNT_VECTORS; i++)
    put(sums + i * LANES, get(sums + i * LANES) + sum[i]);
}

static void apply(const precis_feature_chunk *chunk, const precis_query_group *group, int columns,
                  const float *packed, float *sums)
{
  int ld = columns == 1 ? COUNT_GROUP : GROUP;
  make_prefixes(chunk, ld, ld, group->factor, group->prefix);
  for (int first = 0; first < chunk->features; first += PRECIS_SUM_TERMS) {
    const chunk_part part = part_at(chunk, first);
    if (columns == 1)
      count_queries(&part, group, packed, sums);
    else
      meet_panels(&part, group, columns, packed, sums);
  }
}
