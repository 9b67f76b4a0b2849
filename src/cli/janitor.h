/* janitor.h - a process beside this one that removes files which it leaves behind, however it ends
 *
 * Ctrl-C, a launcher that kills its ranks or a lack of memory leave no time for it. The janitor has
 * a session of its own, so that what is meant for the terminal or for the launcher's children
 * passes by, waits for the end of this process, and removes what it was told of by then. */
#ifndef PRECIS_CLI_JANITOR_H
#define PRECIS_CLI_JANITOR_H

enum { PRECIS_JANITOR_FILES = 8 };

/* Zero: there is none, and nothing happens. */
typedef struct precis_janitor {
  int to; /* a socket; 0: none */
} precis_janitor;

/* Before MPI and threads start. Without a process to be had there is none. */
void precis_janitor_start(precis_janitor *janitor);

/* A file (absolute, or in the folder of now) that goes with this process, and one that no longer
 * does: it has its name, or somebody will want it. Nothing happens where it is gone by then. */
void precis_janitor_guard(precis_janitor *janitor, const char *path);
void precis_janitor_spare(precis_janitor *janitor, const char *path);

#endif
