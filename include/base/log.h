/* Messages to standard error: one line each, prefixed by the level and, once known, the worker.
 *
 * Errors that every rank of a job would report alike are printed once: between log_guess_rank and log_set_rank the
 * launcher's environment decides (rank 0 speaks). A process that calls neither is no rank and says everything, whatever
 * has started it (independent tasks of one srun). log_hold(true) keeps the calling thread's errors back instead of
 * printing them, so that a collective step can agree on who speaks (runtime/job.h); log_release prints what is held.
 * Thread-safe: a message is written by one write(2). */
#ifndef GRAPEVINE_BASE_LOG_H
#define GRAPEVINE_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Messages above this level are dropped. Default LOG_INFO, or $GRAPEVINE_LOG (error|warning|info|debug). */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Parse a level's name; false if there is none of that name. */
bool log_level_parse(const char *name, enum log_level *level);

/* This process is to become a rank: until log_set_rank its number is guessed, see log_launch_rank. */
void log_guess_rank(void);
/* Tell the log which rank this is of how many: the prefix "[rank 3]" is shown from two ranks on. */
void log_set_rank(int rank, int size);

/* The launcher's rank as guessed from OMPI_COMM_WORLD_RANK, PMI_RANK, PMIX_RANK, SLURM_PROCID; 0 where there is none of
 * them. */
int log_launch_rank(void);

/* Keep this thread's errors back (true), or print them at once again (false: what is held is dropped). */
void log_hold(bool hold);
void log_release(void);

/* An error or warning that every rank sees alike: only rank 0 prints it. Without it, use log_on_this_rank. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A message about this rank alone (a peer fell silent, this node's disk is full): printed by every rank. */
void log_on_this_rank(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
