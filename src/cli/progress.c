#include "src/cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "src/base/size.h"
#include "src/cli/cli.h"

static const double QUIET_SECONDS = 2, INTERVAL = .2, LOG_INTERVAL = 30;

/* Between lines of a log: PRECIS_PROGRESS_SECONDS, for who finds LOG_INTERVAL too long. */
static double log_interval(void)
{
  const char *text = getenv("PRECIS_PROGRESS_SECONDS");
  double seconds;
  if (text == NULL || precis_number_parse("PRECIS_PROGRESS_SECONDS", text, 0, 1e9, &seconds, NULL))
    return LOG_INTERVAL;
  return seconds;
}

void precis_progress_start(precis_progress *progress, int enabled)
{
  *progress = (precis_progress){.enabled = enabled,
                                .terminal = isatty(STDERR_FILENO),
                                .interval = log_interval(),
                                .started = precis_cli_now()};
}

static void show_on_terminal(precis_progress *progress, double share, double passed)
{
  fprintf(stderr, "\rattending: %3.0f %%", 100 * share);
  if (share > .01)
    fprintf(stderr, ", %.0f s to go    ", passed * (1 - share) / share);
  fflush(stderr);
  progress->shown = progress->started + passed;
}

static void show_in_log(precis_progress *progress, double share, double passed)
{
  if (share > .01)
    fprintf(stderr, "precis: attending: %.0f %%, %.0f s to go\n", 100 * share,
            passed * (1 - share) / share);
  else
    fprintf(stderr, "precis: attending: %.0f %%\n", 100 * share);
  progress->shown = progress->started + passed;
}

void precis_progress_show(void *context, double share)
{
  precis_progress *progress = context;
  if (!progress->enabled)
    return;
  double now = precis_cli_now(), passed = now - progress->started,
         since = progress->shown > 0 ? now - progress->shown : passed;
  if (progress->terminal && passed >= QUIET_SECONDS && since >= INTERVAL)
    show_on_terminal(progress, share, passed);
  else if (!progress->terminal && since >= progress->interval)
    show_in_log(progress, share, passed);
}

void precis_progress_end(precis_progress *progress)
{
  if (progress->terminal && progress->shown > 0)
    fprintf(stderr, "\r%40s\r", "");
}
