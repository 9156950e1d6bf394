/* What the process is asked for by signals.
 *
 *     SIGTERM, SIGUSR1    keep the state and leave: a batch system is about to end the job
 *     SIGHUP, SIGXCPU     the same: the terminal is gone; the limit on CPU time (its soft part) is reached
 *     SIGINT (Ctrl-C)     the same; a second one leaves at once
 *     SIGUSR2             say how far everybody is
 *
 * One that was ignored when the program started (nohup) stays ignored. */
#ifndef GRAPEVINE_BASE_INTERRUPT_H
#define GRAPEVINE_BASE_INTERRUPT_H

#include <stdatomic.h>
#include <stdbool.h>

/* Which signals are ignored now: what libraries set up later does not hide it. Before all else, once. */
void interrupt_remember(void);
/* From now on a file that exceeds the limit on file sizes (SIGXFSZ) and, where `lost_reader`, a pipe that nobody reads
 * any more (SIGPIPE) do not end the process: the write fails. By the main thread, before the others start. */
void interrupt_make_errors(bool lost_reader);
/* From now on signals are noted, instead of ending the process. By the main thread, once. */
void interrupt_listen(void);
/* Other than 0 once it is asked to leave: the signal's number. */
const atomic_int *interrupt_leave(void);
/* As if a signal had come: another process has been asked. By any thread. */
void interrupt_raise(void);
/* While armed, being asked to leave, before or after, also means that work that takes long is to be abandoned. */
void interrupt_arm(bool armed);
bool interrupt_cancels(void); /* armed, and asked to leave; by any thread */
/* A report has been asked for since the last call. */
bool interrupt_take_report(void);

#endif
