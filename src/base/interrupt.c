/* Signals, noted.
 *
 * A handler runs on whichever thread the signal finds, so what it writes is atomic; atomic_int is lock-free, as a
 * handler needs it. Whether work is to be abandoned is not stored but follows from the two words, so that no order of
 * asking and arming loses it, or leaves it behind. */
#include "base/interrupt.h"

#include <signal.h>
#include <stddef.h>

enum { SIGNALS = 32 /* those with names of their own */ };

static bool ignored[SIGNALS]; /* when the program started; set before the threads start */
static atomic_int leave_signal; /* 0: not asked */
static atomic_bool report_asked, armed_now;

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_BOOL_LOCK_FREE == 2, "a signal handler writes them");

static void on_leave(int signal_number)
{
    atomic_store(&leave_signal, signal_number);
}

void interrupt_raise(void)
{
    int none = 0;
    atomic_compare_exchange_strong(&leave_signal, &none, SIGTERM);
}

void interrupt_arm(bool armed)
{
    atomic_store(&armed_now, armed);
}

bool interrupt_cancels(void)
{
    return atomic_load(&armed_now) && atomic_load(&leave_signal) != 0;
}

static void on_report(int signal_number)
{
    (void)signal_number;
    atomic_store(&report_asked, true);
}

static bool is_ignored(int number)
{
    struct sigaction present;
    return sigaction(number, NULL, &present) == 0 && present.sa_handler == SIG_IGN;
}

void interrupt_remember(void)
{
    for (int number = 1; number < SIGNALS; number++)
        ignored[number] = is_ignored(number);
}

/* What was ignored when the program started (nohup, a background job of a script) stays ignored. */
static void listen_to(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | flags};
    sigemptyset(&action.sa_mask);
    if (ignored[number])
        signal(number, SIG_IGN);
    else if (!is_ignored(number))
        sigaction(number, &action, NULL);
}

void interrupt_listen(void)
{
    static const int leave_signals[] = {SIGTERM, SIGUSR1, SIGHUP, SIGXCPU};
    for (size_t k = 0; k < sizeof leave_signals / sizeof leave_signals[0]; k++)
        listen_to(leave_signals[k], on_leave, 0);
    listen_to(SIGINT, on_leave, (int)SA_RESETHAND); /* the next one has its usual effect */
    listen_to(SIGUSR2, on_report, 0);
}

void interrupt_make_errors(bool lost_reader)
{
    signal(SIGXFSZ, SIG_IGN);
    if (lost_reader)
        signal(SIGPIPE, SIG_IGN);
}

const atomic_int *interrupt_leave(void)
{
    return &leave_signal;
}

bool interrupt_take_report(void)
{
    return atomic_exchange(&report_asked, false);
}
