/* Monotonic time. Only runtime/, app/ and measurements read it: below them, time is an argument. */
#ifndef GRAPEVINE_BASE_STOPWATCH_H
#define GRAPEVINE_BASE_STOPWATCH_H

/* Seconds since an arbitrary origin; never goes back. */
double stopwatch_now(void);

/* CPU seconds used by the calling thread. */
double stopwatch_thread_cpu(void);

void stopwatch_sleep(double seconds);

#endif
