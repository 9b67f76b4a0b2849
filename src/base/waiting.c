#include "src/base/waiting.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMED_MOST = 4 };

/* Text that grows and is cut where it is full. */
typedef struct line {
  char *text;
  size_t size, used;
} line;

__attribute__((format(printf, 2, 3))) static void add(line *l, const char *format, ...)
{
  va_list values;
  va_start(values, format);
  int length = vsnprintf(l->text + l->used, l->size - l->used, format, values);
  va_end(values);
  if (length > 0)
    l->used = l->used + (size_t)length < l->size ? l->used + (size_t)length : l->size - 1;
}

int precis_waiting_create(int ranks, precis_waiting *waiting)
{
  atomic_int *counts = calloc(3 * (size_t)ranks, sizeof *counts);
  *waiting = (precis_waiting){0};
  if (counts == NULL)
    return -1;
  waiting->ranks = ranks;
  waiting->from = counts;
  waiting->to = counts + ranks;
  waiting->meet = counts + 2 * (ptrdiff_t)ranks;
  return 0;
}

void precis_waiting_free(precis_waiting *waiting)
{
  free(waiting->from);
  *waiting = (precis_waiting){0};
}

void precis_waiting_step(precis_waiting *waiting, const char *step)
{
  precis_waiting_count(waiting, 0, 0);
  atomic_store(&waiting->step, step);
}

void precis_waiting_count(precis_waiting *waiting, int64_t done, int64_t parts)
{
  atomic_store(&waiting->done, done);
  atomic_store(&waiting->parts, parts);
}

static int count_peers(const atomic_int *messages, int ranks)
{
  int count = 0;
  for (int r = 0; r < ranks; r++)
    count += atomic_load(&messages[r]) > 0;
  return count;
}

/* "rank 3", "ranks 1, 2, 3, 5 and 12 more" */
static void add_peers(line *l, const atomic_int *messages, int ranks, int count)
{
  int named = 0;
  add(l, count == 1 ? "rank" : "ranks");
  for (int r = 0; r < ranks && named < NAMED_MOST; r++)
    if (atomic_load(&messages[r]) > 0)
      add(l, "%s %d", named++ > 0 ? "," : "", r);
  if (count > named)
    add(l, " and %d more", count - named);
}

static void add_messages(line *l, const precis_waiting *w)
{
  int from = count_peers(w->from, w->ranks), to = count_peers(w->to, w->ranks),
      meet = count_peers(w->meet, w->ranks);
  const char *gap = l->used > 0 ? ", " : "";
  if (from + to + meet == 0) {
    if (atomic_load(&w->step) != NULL)
      add(l, "%sat work, or waits for all ranks", gap);
    return;
  }
  if (!atomic_load(&w->blocked)) {
    add(l, "%sat work, messages under way", gap);
    return;
  }
  add(l, "%swaits for ", gap);
  if (from > 0) {
    add(l, from == 1 ? "a message from " : "messages from ");
    add_peers(l, w->from, w->ranks, from);
  }
  if (to > 0) {
    add(l, from > 0 ? ", and for " : "");
    add_peers(l, w->to, w->ranks, to);
    add(l, " to take what it sent");
  }
  if (meet > 0) {
    add(l, from + to > 0 ? ", and for " : "");
    add_peers(l, w->meet, w->ranks, meet);
    add(l, " on its node");
  }
}

char *precis_waiting_describe(const precis_waiting *waiting, char *text, size_t size)
{
  line l = {text, size, 0};
  const char *step = atomic_load(&waiting->step);
  int64_t done = atomic_load(&waiting->done), parts = atomic_load(&waiting->parts);
  text[0] = '\0';
  if (step != NULL)
    add(&l, "%s", step);
  if (step != NULL && parts > 0)
    add(&l, ", %" PRId64 " of %" PRId64 " done", done, parts);
  if (atomic_load(&waiting->meets))
    add(&l, "%swaits for all ranks", l.used > 0 ? ", " : "");
  else
    add_messages(&l, waiting);
  return text;
}
