#include "src/cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "src/cli/cli.h"

static const double QUIET_SECONDS = 2, INTERVAL = .2;

void precis_progress_start(precis_progress *progress, int enabled)
{
  *progress =
      (precis_progress){.enabled = enabled && isatty(STDERR_FILENO), .started = precis_cli_now()};
}

void precis_progress_show(void *context, double share)
{
  precis_progress *progress = context;
  if (!progress->enabled)
    return;
  double now = precis_cli_now(), passed = now - progress->started;
  if (passed < QUIET_SECONDS || now - progress->shown < INTERVAL)
    return;
  progress->shown = now;
  fprintf(stderr, "\rattending: %3.0f %%", 100 * share);
  if (share > .01)
    fprintf(stderr, ", %.0f s to go    ", passed * (1 - share) / share);
  fflush(stderr);
}

void precis_progress_end(precis_progress *progress)
{
  if (progress->shown > 0)
    fprintf(stderr, "\r%40s\r", "");
}
