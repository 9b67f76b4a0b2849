/* clock.c - loaded into a program under test: its clock on the wall is an hour ahead of the
 * system's
 *
 * To whoever waits until a time of that clock it is as if it had been set back by an hour. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
  int (*ask)(clockid_t, struct timespec *);
  *(void **)&ask = dlsym(RTLD_NEXT, "clock_gettime");
  int failed = ask(clock, now);
  if (failed == 0 && clock == CLOCK_REALTIME)
    now->tv_sec += 3600;
  return failed;
}
