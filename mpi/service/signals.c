#include "mpi/service/signals.h"

#include <signal.h>
#include <stddef.h>

/* What a handler of signals can reach. */
static volatile sig_atomic_t asked_to_stop, asked_to_reload;

static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP};
enum { NUMBERS = sizeof numbers / sizeof numbers[0] };

static void note(int number)
{
  if (number == SIGHUP)
    asked_to_reload = 1;
  else
    asked_to_stop = 1;
}

static void act(void (*handler)(int number))
{
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < NUMBERS; i++)
    sigaction(numbers[i], &action, NULL);
}

void precis_signals_catch(int rank)
{
  asked_to_stop = asked_to_reload = 0;
  act(rank == 0 ? note : SIG_IGN);
}

void precis_signals_release(void)
{
  act(SIG_DFL);
}

int precis_signals_stop(void)
{
  return asked_to_stop;
}

int precis_signals_reload(void)
{
  int asked = asked_to_reload;
  if (asked)
    asked_to_reload = 0;
  return asked;
}
