/* journal_open.c - a job takes the folder of --data, and leaves it */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mpi/service/folder.h"
#include "mpi/service/journal.h"

static int failed(const char *path, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: %s", path, strerror(errno));
}

static int make_number(precis_journal *j, precis_message *why)
{
  uint64_t number;
  if (getrandom(&number, sizeof number, 0) != sizeof number)
    return failed("a number for the job", why);
  snprintf(j->job, sizeof j->job, "%016" PRIx64, number);
  return PRECIS_SUCCESS;
}

/* For whoever looks, and for the other ranks, see folder.h. */
static int sign(const precis_journal *j, const char *path, precis_message *why)
{
  char text[256], host[64] = "";
  gethostname(host, sizeof host - 1);
  int bytes = snprintf(text, sizeof text, "%s, process %ld on %s\n", j->job, (long)getpid(), host);
  if (ftruncate(j->lock, 0) != 0 || pwrite(j->lock, text, (size_t)bytes, 0) != bytes ||
      fsync(j->lock) != 0)
    return failed(path, why);
  return PRECIS_SUCCESS;
}

static int take_lock(precis_journal *j, precis_message *why)
{
  char path[4200];
  snprintf(path, sizeof path, "%s/lock", j->data);
  j->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (j->lock < 0)
    return failed(path, why);
  if (flock(j->lock, LOCK_EX | LOCK_NB) != 0)
    return errno == EWOULDBLOCK
               ? precis_message_set(why, PRECIS_ERR_IO, "%s: another job serves it", j->data)
               : failed(path, why);
  return sign(j, path, why);
}

static precis_journal make(const char *data, const precis_log *log)
{
  return (precis_journal){.data = data,
                          .log = log,
                          .lock = -1,
                          .uses = json_object(),
                          .owners = json_object(),
                          .graves = json_object()};
}

/* A copy of a folder may have none. */
static int share_lock(precis_journal *j, precis_message *why)
{
  char path[4200];
  snprintf(path, sizeof path, "%s/lock", j->data);
  j->lock = open(path, O_RDONLY | O_CLOEXEC);
  if (j->lock < 0)
    return errno == ENOENT ? PRECIS_SUCCESS : failed(path, why);
  if (flock(j->lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return precis_message_set(why, PRECIS_ERR_IO, "%s: a job serves it", j->data);
  return PRECIS_SUCCESS;
}

int precis_journal_look(const char *data, const precis_log *log, precis_journal *j,
                        precis_message *why)
{
  *j = make(data, log);
  j->read_only = 1;
  int status = j->uses && j->owners && j->graves ? precis_folder_look(data, &j->version, why)
                                                 : PRECIS_ERR_MEMORY;
  if (status == PRECIS_SUCCESS)
    status = share_lock(j, why);
  if (status != PRECIS_SUCCESS)
    precis_journal_close(j);
  return status;
}

int precis_journal_open(const char *data, const precis_log *log, precis_journal *j,
                        precis_message *why)
{
  *j = make(data, log);
  int status = j->uses && j->owners && j->graves ? make_number(j, why) : PRECIS_ERR_MEMORY;
  if (status == PRECIS_SUCCESS)
    status = precis_folder_prepare(data, &j->version, why);
  if (status == PRECIS_SUCCESS)
    status = take_lock(j, why);
  if (status != PRECIS_SUCCESS)
    precis_journal_close(j);
  return status;
}

void precis_journal_close(precis_journal *j)
{
  json_decref(j->uses);
  json_decref(j->owners);
  json_decref(j->graves);
  if (j->lock >= 0)
    close(j->lock);
  *j = (precis_journal){.lock = -1};
}
