/* paper_layout.h - where rows lie on paper: in even shares, ranks node by node */
#ifndef PRECIS_SRC_PAPER_LAYOUT_H
#define PRECIS_SRC_PAPER_LAYOUT_H

#include <stdint.h>

#include "src/layout/nodes.h"
#include "src/layout/split.h"
#include "src/layout/visible.h"

typedef struct precis_paper_layout {
  int64_t *start, *first_position;     /* of queries: ranks + 1, ranks */
  int64_t *key_start, *key_rows;       /* ranks + 1, ranks */
  int64_t *line_start, *line_position; /* of queries in line with the keys, see src/layout/line.h */
  int *node;                           /* ranks */
  precis_nodes nodes;                  /* the same */
  precis_nodes apart;                  /* ... with ranks that share no memory */
  precis_cut *cuts;                    /* ranks + 1 */
  precis_query_map map, line;          /* queries at home, and in line */
  int leaves;                          /* some query has to move to be in line */
} precis_paper_layout;

/* heads: of queries. Errors: MEMORY. */
int precis_paper_layout_make(int64_t queries, int64_t keys, int causal, int heads, int ranks,
                             int ranks_per_node, precis_paper_layout *layout);
void precis_paper_layout_free(precis_paper_layout *layout);

/* A map of one rank that says where queries are; ends[0], ends[1]: room for it. */
precis_query_map precis_paper_layout_whole(const precis_paper_layout *layout, int64_t ends[2]);

#endif
