#include "src/cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

/* A signal has no other place to leave word: handlers are given no context. */
static volatile sig_atomic_t came;

static void note(int number)
{
  came = number;
}

void precis_interrupt_expect(void)
{
  struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

int precis_interrupt_signal(void)
{
  return came;
}

const char *precis_interrupt_name(int number)
{
  return number == SIGUSR1 ? "SIGUSR1" : number == SIGTERM ? "SIGTERM" : "a signal";
}
