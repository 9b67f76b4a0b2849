/* Rows that change ranks, counted run by run of two layouts. */
#include "src/schedule_build.h"

/* Rows of rank `a` that go to rank `b`; -1: to any rank other than a. */
static int64_t count(const precis_exchange_shape *x, int a, int b)
{
  int64_t share = precis_layout_share(&x->from, a), rows = 0;
  for (int64_t i = 0; i < share;) {
    int64_t row, local, run = precis_layout_row(&x->from, a, i, &row);
    int rank;
    int64_t reach = precis_layout_find(&x->to, row, &rank, &local);
    run = run < share - i ? run : share - i;
    run = run < reach ? run : reach;
    rows += (b < 0 ? rank != a : rank == b) ? run : 0;
    i += run;
  }
  return rows;
}

int64_t precis_exchange_rows(const precis_exchange_shape *exchange, int a, int b)
{
  return count(exchange, a, b);
}

int64_t precis_exchange_leaving(const precis_exchange_shape *exchange, int rank)
{
  return exchange->from.ranks > 0 ? count(exchange, rank, -1) : -1;
}
