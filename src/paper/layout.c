#include "src/paper/layout.h"

#include <stdlib.h>

#include "src/layout/line.h"
#include "src/base/memory.h"
#include "src/precis.h"
#include "src/base/share.h"

void precis_paper_layout_free(precis_paper_layout *l)
{
  void *arrays[] = {l->start,      l->first_position, l->key_start, l->key_rows,
                    l->line_start, l->line_position,  l->node,      l->cuts};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
    free(arrays[i]);
  precis_nodes_free(&l->nodes);
  precis_nodes_free(&l->apart);
  *l = (precis_paper_layout){0};
}

static int allocate(precis_paper_layout *l, int ranks)
{
  *l =
      (precis_paper_layout){.start = precis_memory_array(ranks + 1, sizeof *l->start),
                            .first_position = precis_memory_array(ranks, sizeof *l->first_position),
                            .key_start = precis_memory_array(ranks + 1, sizeof *l->key_start),
                            .key_rows = precis_memory_array(ranks, sizeof *l->key_rows),
                            .line_start = precis_memory_array(ranks + 1, sizeof *l->line_start),
                            .line_position = precis_memory_array(ranks, sizeof *l->line_position),
                            .node = precis_memory_array(ranks, sizeof *l->node),
                            .cuts = precis_memory_array(ranks + 1, sizeof *l->cuts)};
  return l->start && l->first_position && l->key_start && l->key_rows && l->line_start &&
         l->line_position && l->node && l->cuts;
}

int precis_paper_layout_make(int64_t queries, int64_t keys, int causal, int heads, int ranks,
                             int ranks_per_node, precis_paper_layout *l)
{
  if (!allocate(l, ranks)) {
    precis_paper_layout_free(l);
    return PRECIS_ERR_MEMORY;
  }
  for (int r = 0; r <= ranks; r++) {
    l->start[r] = precis_share_first(queries, ranks, r);
    l->key_start[r] = precis_share_first(keys, ranks, r);
  }
  for (int r = 0; r < ranks; r++) {
    l->first_position[r] = l->start[r] + keys - queries;
    l->key_rows[r] = precis_share_rows(keys, ranks, r);
    l->node[r] = r / ranks_per_node;
  }
  if (precis_nodes_create(ranks, l->node, &l->nodes) != PRECIS_SUCCESS ||
      precis_nodes_part(&l->nodes, &l->apart) != PRECIS_SUCCESS) {
    precis_paper_layout_free(l);
    return PRECIS_ERR_MEMORY;
  }
  l->map = (precis_query_map){.ranks = ranks,
                              .causal = causal,
                              .keys = keys,
                              .start = l->start,
                              .first_position = l->first_position};
  l->leaves = precis_line_queries(&l->map, l->key_start, l->line_start, l->line_position);
  l->line = l->map;
  l->line.start = l->line_start;
  l->line.first_position = l->line_position;
  int64_t ends[2];
  precis_query_map whole = precis_paper_layout_whole(l, ends);
  precis_split_heads_over(&whole, heads, ranks, l->cuts);
  return PRECIS_SUCCESS;
}

precis_query_map precis_paper_layout_whole(const precis_paper_layout *l, int64_t ends[2])
{
  precis_query_map whole = l->map;
  ends[0] = 0;
  ends[1] = l->start[l->map.ranks];
  whole.ranks = 1;
  whole.start = ends;
  return whole;
}
