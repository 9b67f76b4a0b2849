#include "mpi/service/merger_choice.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/service/manifest.h"
#include "src/base/memory.h"

static const char *name_at(const precis_context *c, int64_t i)
{
  const char *name = json_string_value(json_array_get(json_array_get(c->segments, (size_t)i), 0));
  return name ? name : "";
}

static int64_t count_of(const precis_context *c)
{
  return (int64_t)json_array_size(c->segments);
}

/* Where another context goes its own way, what is before stays apart from what follows. */
static void part_forks(const precis_contexts *contexts, const precis_context *c,
                       unsigned char *apart)
{
  for (const precis_context *other = contexts->first; other != NULL; other = other->next) {
    int64_t i = 0, count = count_of(c) < count_of(other) ? count_of(c) : count_of(other);
    while (other != c && i < count && strcmp(name_at(c, i), name_at(other, i)) == 0)
      i++;
    if (i < count_of(c))
      apart[i] = 1;
  }
}

static int64_t rows_most(const precis_context *c)
{
  const precis_problem *p = &c->spec.problem;
  return PRECIS_MERGE_BYTES / 4 / (p->kv_heads * ((int64_t)p->dim + p->value_dim) + 1);
}

/* Returns 0 if there is nothing to merge, or no memory to see it. */
static int choose_in(const precis_contexts *contexts, const precis_context *c, precis_merge *merge)
{
  int64_t count = count_of(c), first = 0;
  int64_t *rows = precis_memory_array(count, sizeof *rows);
  unsigned char *apart = calloc((size_t)count, 1);
  if (rows != NULL && apart != NULL) {
    for (int64_t i = 0; i < count; i++)
      rows[i] = (int64_t)json_integer_value(
          json_array_get(json_array_get(c->segments, (size_t)i), 1));
    part_forks(contexts, c, apart);
    merge->count = precis_merge_choose(rows, apart, count, rows_most(c), &first);
  }
  if (merge->count > 0)
    merge->from = precis_memory_array(merge->count, sizeof *merge->from);
  for (int64_t i = 0; merge->from != NULL && i < merge->count; i++)
    precis_manifest_segment(json_array_get(c->segments, (size_t)(first + i)), &merge->from[i]);
  merge->problem = c->spec.problem;
  merge->with_bias = c->with_bias;
  free(rows);
  free(apart);
  return merge->from != NULL;
}

precis_context *precis_merger_choose(precis_contexts *contexts, precis_merge *merge)
{
  for (precis_context *c = contexts->first; c != NULL; c = c->next) {
    int64_t count = count_of(c);
    if (c->damaged || count <= PRECIS_MERGE_BEYOND ||
        (c->merge_tried > 0 && count < c->merge_tried + PRECIS_MERGE_LEAST))
      continue;
    c->merge_tried = count;
    if (choose_in(contexts, c, merge))
      return c;
  }
  return NULL;
}

precis_context *precis_merger_next(precis_contexts *contexts, const precis_merge *merge,
                                   int64_t *first)
{
  for (precis_context *c = contexts->first; c != NULL; c = c->next)
    for (int64_t i = 0; !c->damaged && i + merge->count <= count_of(c); i++) {
      int64_t same = 0;
      while (same < merge->count && strcmp(name_at(c, i + same), merge->from[same].name) == 0)
        same++;
      if (same == merge->count) {
        *first = i;
        return c;
      }
    }
  return NULL;
}
