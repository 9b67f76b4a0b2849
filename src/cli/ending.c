#include "src/cli/ending.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

/* Handlers are given no context. */
static volatile sig_atomic_t meant;

static void leave(int number)
{
  (void)number;
  _exit(meant);
}

void precis_ending_settle(int status)
{
  const int faults[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
  struct sigaction action = {.sa_handler = leave};
  sigemptyset(&action.sa_mask);
  meant = status;
  fflush(NULL);                   /* a process that is brought down does not */
#if defined(__SANITIZE_ADDRESS__) /* which has to say what it finds */
  (void)faults;
  (void)action;
#else
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    sigaction(faults[i], &action, NULL);
#endif
}
