/* ending.h - the exit status of a process that MPI may bring down while it ends
 *
 * Two of 3,400 runs of one rank died of SIGSEGV in Open MPI's end, or in that of its libraries,
 * after all was done and said: 139 in place of the status that was meant. */
#ifndef PRECIS_CLI_ENDING_H
#define PRECIS_CLI_ENDING_H

/* From now on this process ends with `status`, also where it is brought down by a fault in any of
 * its threads. Nothing of its own work may be left to do. */
void precis_ending_settle(int status);

#endif
