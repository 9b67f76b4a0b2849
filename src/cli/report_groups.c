/* report_groups.c - how heads were attended to, over the batches of a run */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/report.h"
#include "src/base/memory.h"

int precis_groups_create(int heads, precis_groups_report *g)
{
  *g = (precis_groups_report){.all = precis_memory_array(heads, sizeof *g->all),
                              .heads = precis_memory_array(heads, sizeof *g->heads)};
  return g->all && g->heads ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

void precis_groups_free(precis_groups_report *g)
{
  free(g->all);
  free(g->heads);
  *g = (precis_groups_report){0};
}

/* The heads that a group lists are the handle's, those of the report outlive it. */
static void copy_list(precis_groups_report *g, precis_group *group, int *used)
{
  memcpy(g->heads + *used, group->head_list, (size_t)group->heads * sizeof *g->heads);
  group->head_list = g->heads + *used;
  *used += group->heads;
}

void precis_groups_add(precis_groups_report *g, const precis_attention *attention, int largest)
{
  int count = precis_attention_groups(attention), used = 0, before = g->count;
  g->count = largest ? count : before;
  for (int i = 0; i < count; i++) {
    precis_group group = PRECIS_GROUP_INIT;
    if (precis_attention_group(attention, i, &group) != PRECIS_SUCCESS)
      continue;
    int64_t outliers = group.outlier_queries + (i < before ? g->all[i].outlier_queries : 0);
    if (largest) {
      copy_list(g, &group, &used);
      g->all[i] = group;
    }
    if (i < g->count)
      g->all[i].outlier_queries = outliers;
  }
}

static double promise_of(const precis_head_report *head, precis_unit unit)
{
  return unit == PRECIS_UNIT_RANGE ? head->promise_range
         : unit == PRECIS_UNIT_LSE ? head->lse_promise
                                   : head->promise_outputs;
}

void precis_groups_promise(precis_groups_report *g, const precis_head_report *heads,
                           precis_unit unit, double estimate)
{
  for (int i = 0; i < g->count; i++) {
    precis_group *group = &g->all[i];
    group->promise = fmax(estimate, 0);
    for (int h = 0; h < group->heads && estimate < 0; h++) {
      const precis_head_report *head = &heads[group->head_list[h]];
      if (unit != PRECIS_UNIT_OUTPUTS || !head->constant)
        group->promise = fmax(group->promise, promise_of(head, unit));
    }
  }
}
