/* Crossing points of a plan on paper. */
#include <math.h>

#include "src/paper/paper.h"

/* Whether summaries win. -1: cannot be told. */
static int wins(const precis_paper *p, const precis_paper_fits *fits)
{
  precis_paper_plan plan;
  precis_paper free_of_limits = *p;
  free_of_limits.memory_limit = 0;
  free_of_limits.move = PRECIS_MOVE_AUTO;
  if (precis_paper_check(p, NULL) || precis_paper_make(&free_of_limits, fits, &plan, NULL))
    return -1;
  return plan.move == PRECIS_MOVE_SUMMARIES;
}

static precis_paper with_keys(const precis_paper *p, int64_t keys)
{
  precis_paper other = *p;
  double queries = (double)p->queries / (double)p->keys * (double)keys;
  other.keys = keys;
  other.queries = queries < 1 ? 1 : (int64_t)queries;
  return other;
}

/* Whole nodes, or one in part. */
static precis_paper with_ranks(const precis_paper *p, int64_t ranks)
{
  precis_paper other = *p;
  other.ranks = (int)ranks;
  other.ranks_per_node = ranks < p->ranks_per_node ? (int)ranks : p->ranks_per_node;
  return other;
}

typedef precis_paper (*variation)(const precis_paper *, int64_t);

/* Between low and high, which answer differently, the first that answers as high does. */
static int64_t bisect(const precis_paper *p, const precis_paper_fits *fits, variation with,
                      int64_t low, int64_t high, int answer)
{
  while (high - low > 1 && (double)(high - low) > .01 * (double)high) {
    int64_t middle = low + (high - low) / 2;
    precis_paper other = with(p, middle);
    if (wins(&other, fits) == answer)
      high = middle;
    else
      low = middle;
  }
  return high;
}

/* Over values growing fourfold, the first stretch where summaries win. */
static void cross(const precis_paper *p, const precis_paper_fits *fits, variation with,
                  int64_t least, int64_t most, precis_paper_crossing *found)
{
  int64_t before = least;
  *found = (precis_paper_crossing){0, 0};
  for (int64_t value = least; value <= most; value *= 4) {
    precis_paper other = with(p, value);
    int answer = wins(&other, fits);
    if (answer < 0)
      return;
    if (answer == 1 && found->from == 0)
      found->from = value == least ? least : bisect(p, fits, with, before, value, 1);
    if (answer == 0 && found->from > 0) {
      found->until = bisect(p, fits, with, before, value, 0);
      return;
    }
    before = value;
  }
}

int precis_paper_cross_keys(const precis_paper *p, const precis_paper_fits *fits,
                            precis_paper_crossing *crossing)
{
  cross(p, fits, with_keys, 256, (int64_t)1 << 46, crossing);
  return PRECIS_SUCCESS;
}

int precis_paper_cross_ranks(const precis_paper *p, const precis_paper_fits *fits,
                             precis_paper_crossing *crossing)
{
  cross(p, fits, with_ranks, 1, 1 << 18, crossing);
  return PRECIS_SUCCESS;
}
