#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "src/cli/guard.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static const double STOPPED = 1; /* seconds in which a stopped process may be continued */

static void sleep_until(struct timespec at, double seconds)
{
  double whole = (double)(time_t)seconds;
  at.tv_sec += (time_t)whole;
  at.tv_nsec += (long)((seconds - whole) * 1e9);
  at.tv_sec += at.tv_nsec / 1000000000;
  at.tv_nsec %= 1000000000;
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
    ;
}

/* By a signal, or in a debugger. */
static int is_stopped(pid_t process)
{
  char path[64], text[256] = "";
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)process);
  FILE *file = fopen(path, "r");
  if (file == NULL)
    return 0;
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = '\0';
  const char *name = strrchr(text, ')'); /* "17 (name) S ..." */
  return name != NULL && (name[1] == ' ') && (name[2] == 'T' || name[2] == 't');
}

/* What the launcher calls the process; MPI may not have started. */
static const char *rank_name(void)
{
  const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (getenv(names[i]) != NULL)
      return getenv(names[i]);
  return "0";
}

static void say(const char *before, pid_t process, const char *what)
{
  char text[256];
  int length = snprintf(text, sizeof text, "%srank %s (process %ld) %s\n", before, rank_name(),
                        (long)process, what);
  if (write(STDERR_FILENO, text, (size_t)length) < 0)
    _exit(1);
}

static void end(pid_t process, const char *what)
{
  say("precis: ", process, what);
  kill(process, SIGKILL);
  _exit(0);
}

static void watch(const precis_guard *guard, pid_t process, struct timespec start, double seconds,
                  double patience)
{
  sleep_until(start, seconds);
  int stopped = is_stopped(process);
  if (stopped)
    say("", process, "is stopped");
  if (stopped || !atomic_load(&guard->watched)) {
    sleep_until(start, seconds + STOPPED);
    if (is_stopped(process))
      end(process, "is stopped and out of time (--timeout): killed");
    sleep_until(start, seconds + 2 * STOPPED); /* another may be the one that is stopped */
    if (!atomic_load(&guard->watched))
      end(process, "starts or ends, out of time (--timeout): killed");
  }
  sleep_until(start, seconds + patience);
  end(process, "does not end though it is out of time (--timeout): killed");
}

precis_guard *precis_guard_start(struct timespec start, double seconds, double patience)
{
  precis_guard *guard =
      mmap(NULL, sizeof *guard, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (guard == MAP_FAILED)
    return NULL;
  atomic_init(&guard->watched, 0);
  pid_t process = getpid(), child = fork();
  if (child > 0)
    return guard;
  if (child < 0) {
    munmap(guard, sizeof *guard);
    return NULL;
  }
  /* Whoever reads the output would wait for the guard. */
  close(STDIN_FILENO);
  close(STDOUT_FILENO);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == process)
    watch(guard, process, start, seconds, patience);
  _exit(0);
}
