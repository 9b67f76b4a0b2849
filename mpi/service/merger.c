#define _GNU_SOURCE /* SYS_gettid */
#include "mpi/service/merger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mpi/service/deadlines.h"
#include "mpi/service/manifest.h"
#include "mpi/service/merger_choice.h"
#include "mpi/service/uses.h"

enum { REMOVE_AT_ONCE = 16 };
static const double REST_SECONDS = 60;

int precis_merger_create(precis_merger *m, precis_journal *journal, precis_contexts *contexts)
{
  *m = (precis_merger){.journal = journal, .contexts = contexts, .dead = json_array()};
  return m->dead ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

/* In the time that nobody else wants. */
static void *write_file(void *merger)
{
  precis_merger *m = merger;
#ifdef SYS_gettid
  setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), PRIO_MAX - 1);
#endif
  m->status = precis_merge_write(&m->merge, &m->why);
  atomic_store(&m->written, 1);
  return NULL;
}

static void rest(precis_merger *m, const char *why)
{
  m->failures++;
  m->rests_until = precis_deadlines_now() + REST_SECONDS;
  precis_log_write(m->journal->log, PRECIS_LOG_WARNING, "data", NULL,
                   "segments were not merged, which changes nothing but their number: %s", why);
}

static void end_merge(precis_merger *m)
{
  free(m->merge.from);
  m->merge.from = NULL;
  m->state = PRECIS_MERGER_IDLE;
}

static int start(precis_merger *m)
{
  precis_merge *merge = &m->merge;
  if (precis_deadlines_now() < m->rests_until || m->journal->blind || m->journal->strangers)
    return 0; /* what is replaced could not be removed */
  *merge = (precis_merge){.data = m->journal->data, .stop = &m->stop};
  precis_context *c = precis_merger_choose(m->contexts, merge);
  if (c == NULL)
    return 0;
  precis_segment_stem(c->id, 0, m->journal->job, merge->to.name);
  snprintf(merge->to.name + strlen(merge->to.name), sizeof merge->to.name - strlen(merge->to.name),
           "-%" PRId64, m->made++);
  merge->path = precis_segment_at(m->journal->data, merge->to.name);
  atomic_store(&m->written, 0);
  m->why.text[0] = '\0';
  if (pthread_create(&m->thread, NULL, write_file, m) == 0) {
    m->state = PRECIS_MERGER_WRITING;
    return 1;
  }
  end_merge(m);
  rest(m, "no thread can be made");
  return 0;
}

/* A context that was deleted takes its segments along, also in the middle of a merge. */
static int all_are_used(const precis_merger *m)
{
  for (int64_t i = 0; i < m->merge.count; i++)
    if (json_object_get(m->journal->uses, m->merge.from[i].name) == NULL)
      return 0;
  return 1;
}

static int look(precis_merger *m)
{
  if (!atomic_load(&m->written))
    return 1;
  pthread_join(m->thread, NULL);
  m->state = PRECIS_MERGER_REPLACING;
  if (m->status == PRECIS_SUCCESS)
    return 1;
  if (all_are_used(m))
    rest(m, m->why.text[0] ? m->why.text : precis_strerror(m->status));
  end_merge(m);
  return 1;
}

static void finish(precis_merger *m)
{
  if (json_object_get(m->journal->uses, m->merge.to.name) == NULL)
    precis_segment_remove(m->journal->data, m->merge.to.name);
  end_merge(m);
}

/* In one context more, or in none if all have it. */
static int replace(precis_merger *m)
{
  int64_t first = 0;
  precis_message why = {""};
  precis_context *c = precis_merger_next(m->contexts, &m->merge, &first);
  if (c == NULL) {
    finish(m);
    return 1;
  }
  int status =
      precis_journal_merge(m->journal, c, first, m->merge.count, &m->merge.to, m->dead, &why);
  if (status == PRECIS_SUCCESS) {
    c->merge_tried = 0;
    status = precis_journal_shorten(m->journal, m->contexts, c, &why);
    if (status != PRECIS_SUCCESS)
      precis_log_write(m->journal->log, PRECIS_LOG_WARNING, "data", NULL, "%s", why.text);
    return 1;
  }
  rest(m, why.text);
  finish(m);
  return 1;
}

static int remove_some(precis_merger *m)
{
  for (int i = 0; i < REMOVE_AT_ONCE && json_array_size(m->dead) > 0; i++) {
    size_t last = json_array_size(m->dead) - 1;
    precis_uses_remove(m->journal, json_string_value(json_array_get(m->dead, last)));
    json_array_remove(m->dead, last);
  }
  return 1;
}

int precis_merger_step(precis_merger *m)
{
  if (m->journal == NULL)
    return 0;
  if (json_array_size(m->dead) > 0)
    return remove_some(m);
  switch (m->state) {
  case PRECIS_MERGER_IDLE:
    return start(m);
  case PRECIS_MERGER_WRITING:
    return look(m);
  case PRECIS_MERGER_REPLACING:
    return replace(m);
  }
  return 0;
}

void precis_merger_end(precis_merger *m)
{
  if (m->journal == NULL)
    return;
  atomic_store(&m->stop, 1);
  if (m->state == PRECIS_MERGER_WRITING) {
    pthread_join(m->thread, NULL);
    if (m->status == PRECIS_SUCCESS)
      precis_segment_remove(m->journal->data, m->merge.to.name);
  }
  while (json_array_size(m->dead) > 0)
    remove_some(m);
  free(m->merge.from);
  json_decref(m->dead);
  m->journal = NULL;
}
