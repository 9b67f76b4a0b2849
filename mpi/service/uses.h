/* uses.h - which segments contexts still have, and the removal of those that none has any more */
#ifndef PRECIS_SERVICE_USES_H
#define PRECIS_SERVICE_USES_H

#include "mpi/service/journal.h"

/* One context more has the segment. */
void precis_uses_add(precis_journal *journal, const char *name);
/* One context fewer has it. Returns 1 if none has any more and the file may go: its context is
 * deleted, or it was `replaced` by another, and nothing keeps us from removing it. The caller then
 * calls precis_uses_remove(), now or soon. */
int precis_uses_drop(precis_journal *journal, const char *name, int replaced);
/* Where it cannot be removed, the next start tries again. */
void precis_uses_remove(precis_journal *journal, const char *name);

#endif
