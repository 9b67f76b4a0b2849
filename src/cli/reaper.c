#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "src/cli/reaper.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const double POLL = .2, POLITE = 2; /* seconds */

/* Which process it is: a number may come again, with another beginning. */
typedef struct identity {
  pid_t process;
  char name[32];
  unsigned long long began;
} identity;

/* Returns nonzero if there is such a process. */
static int identify(pid_t process, identity *who)
{
  char path[64], text[1024] = "";
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)process);
  FILE *file = fopen(path, "r");
  if (file == NULL)
    return 0;
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = '\0';
  const char *open = strchr(text, '('), *close = strrchr(text, ')');
  if (open == NULL || close == NULL || close[1] == '\0')
    return 0;
  *who = (identity){.process = process};
  snprintf(who->name, sizeof who->name, "%.*s", (int)(close - open - 1), open + 1);
  /* State and 18 numbers, then when it began. */
  const char *at = close + 2;
  char state = *at;
  for (int field = 0; field < 19 && at != NULL; field++)
    at = strchr(at + 1, ' ');
  return at != NULL && sscanf(at, "%llu", &who->began) == 1 && state != 'Z';
}

static int lives(const identity *who)
{
  identity now;
  return identify(who->process, &now) && now.began == who->began;
}

static int is_launcher(const char *name)
{
  static const char *const names[] = {"mpirun",  "mpiexec", "orterun",         "orted",
                                      "prterun", "prted",   "hydra_pmi_proxy", "mpiexec.hydra"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i], name) == 0)
      return 1;
  return 0;
}

static double passed(struct timespec since)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - since.tv_sec) + 1e-9 * (double)(now.tv_nsec - since.tv_nsec);
}

static void doze(void)
{
  const struct timespec moment = {.tv_nsec = (long)(POLL * 1e9)};
  nanosleep(&moment, NULL);
}

/* To the launcher's own standard error: this process must hold no end of a pipe that the launcher
 * reads. */
static void say(const identity *who)
{
  char path[64], text[160];
  snprintf(path, sizeof path, "/proc/%ld/fd/2", (long)who->process);
  int file = open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK);
  int length = snprintf(text, sizeof text,
                        "precis: %s (process %ld) does not end though it is out of time "
                        "(--timeout): killed\n",
                        who->name, (long)who->process);
  if (file < 0 || write(file, text, (size_t)length) < 0)
    return; /* it is killed all the same */
  close(file);
}

static void watch(const precis_reaper *reaper, const identity *who, struct timespec start,
                  double seconds)
{
  while (passed(start) < seconds) {
    if (atomic_load(&reaper->finished) || !lives(who))
      return;
    doze();
  }
  say(who);
  kill(who->process, SIGTERM);
  while (lives(who) && passed(start) < seconds + POLITE)
    doze();
  if (lives(who))
    kill(who->process, SIGKILL);
}

precis_reaper *precis_reaper_start(struct timespec start, double seconds)
{
  identity who;
  if (!identify(getppid(), &who) || !is_launcher(who.name))
    return NULL;
  precis_reaper *reaper =
      mmap(NULL, sizeof *reaper, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (reaper == MAP_FAILED)
    return NULL;
  atomic_init(&reaper->finished, 0);
  pid_t child = fork();
  if (child != 0)
    return child > 0 ? reaper : NULL;
  setsid();
  for (int file = 0; file < 256; file++)
    close(file);
  watch(reaper, &who, start, seconds);
  _exit(0);
}
