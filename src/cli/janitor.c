#include "src/cli/janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GUARD = '+', SPARE = '-', LONGEST = PATH_MAX + 8 };

typedef struct list {
  char *path[PRECIS_JANITOR_FILES];
} list;

/* "+path" or "-path". */
static void take(list *l, const char *line)
{
  int free_place = -1;
  for (int i = 0; i < PRECIS_JANITOR_FILES; i++) {
    if (l->path[i] == NULL) {
      free_place = i;
    } else if (strcmp(l->path[i], line + 1) == 0) {
      if (line[0] == GUARD)
        return;
      free(l->path[i]);
      l->path[i] = NULL;
    }
  }
  if (line[0] == GUARD && free_place >= 0)
    l->path[free_place] = strdup(line + 1);
}

/* Lines end with zeros. A line that is cut off was not sent to its end. */
static void work(int from)
{
  static char text[2 * LONGEST];
  list l = {{NULL}};
  size_t used = 0;
  ssize_t got;
  do {
    got = read(from, text + used, sizeof text - used);
    if (got < 0 && errno == EINTR)
      continue;
    used += got > 0 ? (size_t)got : 0;
    for (char *end; (end = memchr(text, '\0', used)) != NULL;) {
      size_t length = (size_t)(end - text) + 1;
      take(&l, text);
      memmove(text, text + length, used -= length);
    }
  } while (got > 0 || (got < 0 && errno == EINTR));
  for (int i = 0; i < PRECIS_JANITOR_FILES; i++)
    if (l.path[i] != NULL)
      unlink(l.path[i]);
}

/* Whoever reads what this process prints must not wait for the janitor. */
static void close_others(int kept)
{
  long most = sysconf(_SC_OPEN_MAX);
  most = most > 0 && most < 4096 ? most : 4096;
  for (int file = 0; file < most; file++)
    if (file != kept)
      close(file);
}

void precis_janitor_start(precis_janitor *janitor)
{
  int ends[2];
  if (janitor->to > 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
    return;
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  pid_t child = fork();
  if (child == 0) {
    const int deaf[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
    setsid();
    for (size_t i = 0; i < sizeof deaf / sizeof *deaf; i++)
      signal(deaf[i], SIG_IGN);
    close_others(ends[0]);
    work(ends[0]);
    _exit(0);
  }
  close(ends[0]);
  if (child > 0)
    janitor->to = ends[1];
  else
    close(ends[1]);
}

static void tell(precis_janitor *janitor, char what, const char *path)
{
  char line[LONGEST], folder[PATH_MAX] = "";
  if (janitor->to <= 0 || path == NULL)
    return;
  if (path[0] != '/' && getcwd(folder, sizeof folder) == NULL)
    return;
  int length =
      snprintf(line, sizeof line, "%c%s%s%s", what, folder, folder[0] != '\0' ? "/" : "", path);
  if (length < 0 || length >= LONGEST)
    return;
  for (int done = 0; done <= length;) {
    /* Without the signal that a pipe would bring should the janitor be gone. */
    ssize_t wrote = send(janitor->to, line + done, (size_t)(length + 1 - done), MSG_NOSIGNAL);
    if (wrote < 0 && errno != EINTR)
      return;
    done += wrote > 0 ? (int)wrote : 0;
  }
}

void precis_janitor_guard(precis_janitor *janitor, const char *path)
{
  tell(janitor, GUARD, path);
}

void precis_janitor_spare(precis_janitor *janitor, const char *path)
{
  tell(janitor, SPARE, path);
}
