#include "mpi/service/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mpi/service/landing.h"

static const char SUBJECT[] = "precis data ";

typedef struct place {
  char text[4096 + 64];
} place;

static place at(const char *data, const char *name)
{
  place p;
  snprintf(p.text, sizeof p.text, "%s/%s", data, name);
  return p;
}

static int failed(const char *path, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_IO, "%s: %s", path, strerror(errno));
}

static int is_there(const char *data, const char *name)
{
  struct stat info;
  place p = at(data, name);
  return lstat(p.text, &info) == 0;
}

/* Whether there is anything; -1 with errno. A file system of its own has a folder for what it
 * finds; a version that was being written is ours. */
static int is_empty(const char *data)
{
  int empty = 1;
  DIR *folder = opendir(data);
  if (folder == NULL)
    return -1;
  for (struct dirent *e; (e = readdir(folder)) != NULL;)
    empty &= strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
             strcmp(e->d_name, "lost+found") == 0 || strcmp(e->d_name, "version.part") == 0;
  closedir(folder);
  return empty;
}

static int make(const char *path, precis_message *why)
{
  return mkdir(path, S_IRWXU) == 0 || errno == EEXIST ? PRECIS_SUCCESS : failed(path, why);
}

/* Errors: FORMAT. */
static int read_version(const char *data, int *version, precis_message *why)
{
  char text[64] = "", *end = text;
  place p = at(data, "version");
  FILE *file = fopen(p.text, "re");
  if (file == NULL)
    return failed(p.text, why);
  size_t bytes = fread(text, 1, sizeof text - 1, file);
  int bad = ferror(file);
  fclose(file);
  if (!bad && bytes > strlen(SUBJECT) && strncmp(text, SUBJECT, strlen(SUBJECT)) == 0)
    *version = (int)strtol(text + strlen(SUBJECT), &end, 10);
  if (end == text || *end != '\n')
    return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: says nothing of a version", p.text);
  if (*version != PRECIS_FOLDER_VERSION)
    return precis_message_set(why, PRECIS_ERR_FORMAT,
                              "%s: is of version %d, and this program reads %d", data, *version,
                              PRECIS_FOLDER_VERSION);
  return PRECIS_SUCCESS;
}

int precis_folder_mark(const char *data, precis_message *why)
{
  char text[64];
  precis_landing landing = {.file = -1};
  place p = at(data, "version");
  int bytes = snprintf(text, sizeof text, "%s%d\n", SUBJECT, PRECIS_FOLDER_VERSION);
  int status = precis_landing_open(p.text, &landing, why);
  if (status == PRECIS_SUCCESS)
    status = precis_landing_write(&landing, text, bytes, 0, why);
  if (status == PRECIS_SUCCESS)
    status = precis_landing_commit(&landing, NULL, why);
  precis_landing_discard(&landing);
  return status;
}

/* Where the last start was ended in the middle of this, it goes on. */
static int make_rest(const char *data, precis_message *why)
{
  static const char *const names[] = {"contexts", "segments"};
  int status = PRECIS_SUCCESS;
  if (is_there(data, names[1]) && !is_there(data, names[0]))
    return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: there are segments, but no contexts",
                              data);
  for (int i = 0; i < 2 && status == PRECIS_SUCCESS; i++) {
    place p = at(data, names[i]);
    status = make(p.text, why);
  }
  return status;
}

int precis_folder_look(const char *data, int *version, precis_message *why)
{
  *version = 1;
  if (strlen(data) > 4096)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "the path is too long");
  if (is_empty(data) < 0)
    return failed(data, why);
  if (is_there(data, "version"))
    return read_version(data, version, why);
  if (is_there(data, "contexts") && is_there(data, "segments"))
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_FORMAT, "%s: is no folder of precis serve", data);
}

int precis_folder_prepare(const char *data, int *version, precis_message *why)
{
  if (strlen(data) > 4096)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "--data: the path is too long");
  int status = make(data, why), empty = status == PRECIS_SUCCESS ? is_empty(data) : 0;
  if (empty < 0)
    status = failed(data, why);
  if (status == PRECIS_SUCCESS && empty)
    status = precis_folder_mark(data, why);
  if (status != PRECIS_SUCCESS)
    return status;
  *version = 1;
  if (is_there(data, "version")) {
    status = read_version(data, version, why);
    return status == PRECIS_SUCCESS ? make_rest(data, why) : status;
  }
  if (is_there(data, "contexts") && is_there(data, "segments") && is_there(data, "lock"))
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_FORMAT,
                            "%s: is not empty and no folder of precis serve: give --data another",
                            data);
}

/* Whether the lock holds this number, as this rank sees it. */
static int sees(const char *data, const char *job)
{
  char text[PRECIS_SEGMENT_JOB + 1] = "";
  place p = at(data, "lock");
  int file = open(p.text, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return 0;
  ssize_t got = read(file, text, PRECIS_SEGMENT_JOB);
  close(file);
  return got == PRECIS_SEGMENT_JOB && strcmp(text, job) == 0;
}

/* What another machine has written may take a moment to be seen. */
static int sees_soon(const char *data, const char *job)
{
  enum { TRIES = 20, PAUSE = 100000000 /* nanoseconds */ };
  for (int i = 0; i < TRIES; i++) {
    if (sees(data, job))
      return 1;
    nanosleep(&(struct timespec){.tv_nsec = PAUSE}, NULL);
  }
  return 0;
}

int precis_folder_compare(precis_world *world, const char *data, const precis_journal *journal,
                          precis_message *why)
{
  struct {
    char job[PRECIS_SEGMENT_JOB + 1], host[64];
  } first = {.job = ""};
  char host[64] = "";
  gethostname(host, sizeof host - 1);
  if (journal != NULL) {
    strcpy(first.job, journal->job);
    strcpy(first.host, host);
  }
  if (MPI_Bcast(&first, sizeof first, MPI_BYTE, 0, world->comm))
    return PRECIS_ERR_MPI;
  int status = PRECIS_SUCCESS;
  if (!sees_soon(data, first.job))
    status = precis_message_set(why, PRECIS_ERR_IO,
                                "--data %s: rank %d on %s does not see there what rank 0 on %s has "
                                "written: all ranks must have the same folder",
                                data, world->rank, host, first.host);
  return precis_world_agree(world, status, why);
}
