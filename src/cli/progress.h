/* progress.h - progress of long work on standard error: one line that changes on a terminal, else a
 * line every 30 s, for logs of jobs */
#ifndef PRECIS_CLI_PROGRESS_H
#define PRECIS_CLI_PROGRESS_H

typedef struct precis_progress {
  int enabled, terminal;
  double interval; /* seconds between lines where it is no terminal */
  double started, shown; /* precis_cli_now(); shown 0: no line yet */
} precis_progress;

void precis_progress_start(precis_progress *progress, int enabled);
/* Has the signature of precis_options.progress, with a precis_progress for context. */
void precis_progress_show(void *progress, double share);
/* Takes the line away. */
void precis_progress_end(precis_progress *progress);

#endif
