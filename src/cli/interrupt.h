/* interrupt.h - being told to stop, by SIGUSR1 or SIGTERM
 *
 * A run that can be resumed asks for these signals and looks now and then whether one came; any
 * other dies of them, as programs do. */
#ifndef PRECIS_CLI_INTERRUPT_H
#define PRECIS_CLI_INTERRUPT_H

/* From now on they are taken note of, and do nothing else. */
void precis_interrupt_expect(void);

/* The number of the signal that came to this process, or 0. */
int precis_interrupt_signal(void);

/* "SIGUSR1", "SIGTERM". */
const char *precis_interrupt_name(int number);

#endif
