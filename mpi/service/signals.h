/* signals.h - what an operator asks for by signals
 *
 * Launchers send them to all ranks: rank 0 acts for all, the others take no notice. */
#ifndef PRECIS_SERVICE_SIGNALS_H
#define PRECIS_SERVICE_SIGNALS_H

/* From here on TERM, INT and USR1 (which mpirun hands on to its ranks, where others make it end
 * them) ask for the end, HUP for reading token and certificate again. */
void precis_signals_catch(int rank);
void precis_signals_release(void);

/* Whether the end was asked for. From any thread. */
int precis_signals_stop(void);
/* Whether HUP came since this was last asked. */
int precis_signals_reload(void);

#endif
