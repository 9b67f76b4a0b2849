#include "src/layout/balance.h"

/* Work is balanced by moving rows when the busiest rank has this times the mean. */
static const double UNEVEN = 1.1;

/* Moving a key to another rank costs about what this many queries cost to attend to it (a gigabyte
 * a second against a hundred gigaflops); below, the queries move leaves keys where they are. */
enum { QUERIES_WORTH_A_DEAL = 256, SAMPLES = 4096 };

int precis_balance_uneven(double most, double sum, int ranks)
{
  return ranks > 1 && most * ranks > UNEVEN * sum;
}

int precis_balance_queries_uneven(const precis_query_map *map, const int64_t *start, int ranks)
{
  double most = 0, sum = 0;
  for (int r = 0; r < ranks; r++) {
    double pairs = precis_visible_pairs(map, start[r], start[r + 1]);
    most = pairs > most ? pairs : most;
    sum += pairs;
  }
  return precis_balance_uneven(most, sum, ranks);
}

double precis_balance_key_pairs(const precis_query_map *map, int64_t rows, const int64_t *position,
                                int64_t first)
{
  int64_t step = rows / SAMPLES + 1, count = 0;
  double pairs = 0;
  if (!map->causal || precis_visible_queries(map) < QUERIES_WORTH_A_DEAL)
    return 0;
  for (int64_t j = 0; j < rows; j += step, count++)
    pairs += (double)precis_visible_by(map, position ? position[j] : first + j);
  return count > 0 ? pairs / (double)count * (double)rows : 0;
}

int precis_balance_pairs_of_rounds(int64_t queries, int64_t keys, int ranks, int64_t tile_rows)
{
  enum { FEWER_QUERIES = 8, MOST = 1 << 16 };
  int64_t pairs = keys / ranks / tile_rows + 1;
  if (queries != keys && pairs < FEWER_QUERIES)
    pairs = FEWER_QUERIES;
  return (int)(pairs < MOST ? pairs : MOST);
}

/* The end of the neighbours from rank r on that share its node. */
static int run_end(const int *node, int ranks, int r)
{
  int end = r + 1;
  while (end < ranks && node[end] == node[r])
    end++;
  return end;
}

/* Whether every node's ranks are neighbours. */
static int in_order(const int *node, int ranks)
{
  for (int r = 1; r < ranks; r++)
    if (node[r] < node[r - 1])
      return 0;
  return 1;
}

precis_wire precis_balance_leaving(const int64_t *start, const precis_layout *to, const int *node)
{
  int ranks = to->ranks, ordered = in_order(node, ranks);
  int64_t home = 0, inside = 0;
  for (int r = 0; r < ranks; r++)
    home += precis_layout_overlap(to, start[r], start[r + 1], r, r + 1);
  for (int a = 0, a_end; a < ranks; a = a_end) {
    a_end = run_end(node, ranks, a);
    for (int b = ordered ? a : 0, b_end; b < (ordered ? a_end : ranks); b = b_end) {
      b_end = run_end(node, ranks, b);
      if (node[a] == node[b])
        inside += precis_layout_overlap(to, start[a], start[a_end], b, b_end);
    }
  }
  return (precis_wire){start[ranks] - inside, inside - home};
}
