/* yield.c - loaded into the ranks of tests: a rank that waits sleeps for a moment
 *
 * Ranks of tests outnumber the cores. Where one waits, Open MPI calls sched_yield() over and over
 * (mpi_yield_when_idle), and since Linux 6.18 each call costs the caller a whole time slice, so
 * that the rank comes to run long after its message has arrived: tests take ten times as long as
 * soon as anything else is running. One that sleeps is let in at once. */
#include <sched.h>
#include <time.h>

int sched_yield(void)
{
  const struct timespec moment = {.tv_nsec = 20000};
  nanosleep(&moment, NULL);
  return 0;
}
