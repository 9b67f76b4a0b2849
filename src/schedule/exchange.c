/* Rows that change ranks, counted from two layouts. */
#include <stddef.h>

#include "src/schedule/build.h"

/* Both dealt: run by run. */
static int64_t count_runs(const precis_exchange_shape *x, int a, int b)
{
  int64_t share = precis_layout_share(&x->from, a), rows = 0;
  for (int64_t i = 0; i < share;) {
    int64_t row, local, run = precis_layout_row(&x->from, a, i, &row);
    int rank;
    int64_t reach = precis_layout_find(&x->to, row, &rank, &local);
    run = run < share - i ? run : share - i;
    run = run < reach ? run : reach;
    rows += rank == b ? run : 0;
    i += run;
  }
  return rows;
}

int64_t precis_exchange_rows(const precis_exchange_shape *x, int a, int b)
{
  if (x->from.start != NULL)
    return precis_layout_overlap(&x->to, x->from.start[a], x->from.start[a + 1], b, b + 1);
  if (x->to.start != NULL)
    return precis_layout_overlap(&x->from, x->to.start[b], x->to.start[b + 1], a, a + 1);
  return count_runs(x, a, b);
}

int64_t precis_exchange_leaving(const precis_exchange_shape *x, int rank)
{
  return x->from.ranks > 0
             ? precis_layout_share(&x->from, rank) - precis_exchange_rows(x, rank, rank)
             : -1;
}
