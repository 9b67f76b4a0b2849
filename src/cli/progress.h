/* progress.h - a line of progress on standard error: on a terminal, and only if the work is long */
#ifndef PRECIS_CLI_PROGRESS_H
#define PRECIS_CLI_PROGRESS_H

typedef struct precis_progress {
  int enabled;
  double started, shown; /* precis_cli_now(); shown 0: no line yet */
} precis_progress;

void precis_progress_start(precis_progress *progress, int enabled);
/* Has the signature of precis_options.progress, with a precis_progress for context. */
void precis_progress_show(void *progress, double share);
/* Takes the line away. */
void precis_progress_end(precis_progress *progress);

#endif
