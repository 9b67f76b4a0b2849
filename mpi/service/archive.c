#include "mpi/service/archive.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "mpi/service/folder.h"
#include "mpi/service/manifest.h"
#include "mpi/service/merger.h"
#include "src/base/memory.h"

/* As many contexts as a service may be told to have. */
enum { CONTEXTS = 1 << 14, LOOK_EVERY = 1000000 /* nanoseconds */ };

static int open_journal(precis_archive *a, const char *data, int change, precis_message *why)
{
  int version;
  if (!change)
    return precis_journal_look(data, &a->options.log, &a->journal, why);
  int status = precis_folder_look(data, &version, why); /* it is not to be made */
  return status == PRECIS_SUCCESS ? precis_journal_open(data, &a->options.log, &a->journal, why)
                                  : status;
}

static void enlist(precis_archive *a, precis_context *list)
{
  while (list != NULL) {
    precis_context *c = list;
    list = c->next;
    c->next = NULL;
    precis_contexts_enlist(&a->contexts, c);
    precis_contexts_release(&a->contexts, c);
  }
}

int precis_archive_open(const char *data, int change, precis_archive *a, precis_message *why)
{
  precis_context *found = NULL;
  *a = (precis_archive){.options = {.contexts_most = CONTEXTS,
                                    .connections_most = 1,
                                    .log = {.level = PRECIS_LOG_WARNING}},
                        .journal = {.lock = -1}};
  int status = precis_contexts_create(&a->options, 1, &a->contexts);
  if (status != PRECIS_SUCCESS)
    return status;
  status = open_journal(a, data, change, why);
  if (status == PRECIS_SUCCESS) {
    if (!change)
      a->options.log.form = PRECIS_LOG_NONE; /* what is wrong is the result */
    a->journal.skip_damaged = !change;
    status = precis_journal_read(&a->journal, &a->contexts, &found, why);
    enlist(a, found);
  }
  if (status == PRECIS_SUCCESS && change)
    status = precis_journal_settle(&a->journal, &a->contexts, why);
  if (status != PRECIS_SUCCESS)
    precis_archive_close(a);
  return status;
}

void precis_archive_close(precis_archive *a)
{
  precis_journal_close(&a->journal);
  precis_contexts_free(&a->contexts);
}

/* Forks share segments: each is read once. */
static int check_segment(precis_archive *a, const precis_context *c, const json_t *entry,
                         json_t *seen, precis_archive_counts *counts, precis_message *why)
{
  precis_segment segment;
  precis_manifest_segment(entry, &segment);
  const char *known = json_string_value(json_object_get(seen, segment.name));
  if (known != NULL && known[0] == '\0')
    return PRECIS_SUCCESS;
  if (known != NULL)
    return precis_message_set(why, PRECIS_ERR_FORMAT, "%s", known);
  int status = precis_segment_check(a->journal.data, &segment, &c->spec.problem, why);
  struct stat info;
  precis_segment_path path = precis_segment_at(a->journal.data, segment.name);
  counts->segments++;
  counts->bytes += stat(path.text, &info) == 0 ? (int64_t)info.st_size : 0;
  json_object_set_new(seen, segment.name, json_string(status == PRECIS_SUCCESS ? "" : why->text));
  return status;
}

int precis_archive_check(precis_archive *a, precis_archive_counts *counts, precis_message *why)
{
  json_t *seen = json_object(), *entry;
  *counts = (precis_archive_counts){.damaged = (int64_t)json_array_size(a->contexts.damaged)};
  counts->contexts = counts->damaged;
  int status = seen ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
  for (precis_context *c = a->contexts.first; c != NULL && seen != NULL; c = c->next) {
    size_t i;
    int before = status, damaged = 0;
    counts->contexts++;
    json_array_foreach(c->segments, i, entry)
    {
      int found = check_segment(a, c, entry, seen, counts, why);
      if (found == PRECIS_ERR_MEMORY)
        before = found;
      else if (found != PRECIS_SUCCESS)
        precis_contexts_leave_out(&a->contexts, c->id, why->text);
      damaged |= found != PRECIS_SUCCESS;
    }
    status = before;
    counts->damaged += damaged;
  }
  json_decref(seen);
  return status;
}

int precis_archive_export(precis_archive *a, const char *id, const char *path, precis_message *why)
{
  const atomic_int never = 0;
  precis_context *c = precis_contexts_find(&a->contexts, id);
  if (c == NULL)
    return precis_contexts_is_left_out(&a->contexts, id)
               ? precis_message_set(why, PRECIS_ERR_FORMAT,
                                    "%s: the manifest of context %s is damaged", a->journal.data,
                                    id)
               : precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s: there is no context '%s'",
                                    a->journal.data, id);
  precis_merge merge = {.data = a->journal.data,
                        .problem = c->spec.problem,
                        .with_bias = c->with_bias,
                        .count = (int64_t)json_array_size(c->segments),
                        .stop = &never};
  merge.from = precis_memory_array(merge.count, sizeof *merge.from);
  int status = merge.from ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
  if (strlen(path) >= sizeof merge.path.text)
    status = precis_message_set(why, PRECIS_ERR_ARGUMENT, "--out: the path is too long");
  if (status == PRECIS_SUCCESS) {
    strcpy(merge.path.text, path);
    for (int64_t i = 0; i < merge.count; i++)
      precis_manifest_segment(json_array_get(c->segments, (size_t)i), &merge.from[i]);
    status = precis_merge_write(&merge, why);
  }
  free(merge.from);
  precis_contexts_release(&a->contexts, c);
  return status;
}

int precis_archive_compact(precis_archive *a, precis_message *why)
{
  precis_merger merger;
  if (a->journal.strangers)
    return precis_message_set(
        why, PRECIS_ERR_FORMAT,
        "%s/contexts: there are files that are not known: what they name could "
        "be lost",
        a->journal.data);
  int status = precis_merger_create(&merger, &a->journal, &a->contexts);
  if (status != PRECIS_SUCCESS)
    return status;
  while (precis_merger_step(&merger))
    nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY}, NULL);
  if (merger.failures > 0)
    status =
        precis_message_set(why, PRECIS_ERR_IO, "%s: segments could not be merged", a->journal.data);
  precis_merger_end(&merger);
  return status;
}
