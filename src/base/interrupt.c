/* Signals, noted. */
#include "base/interrupt.h"

static volatile sig_atomic_t leave_signal, report_asked, armed_now, cancel;

static void on_leave(int signal)
{
    leave_signal = signal;
    if (armed_now)
        cancel = 1;
}

void interrupt_raise(void)
{
    on_leave(leave_signal != 0 ? leave_signal : SIGTERM);
}

void interrupt_arm(bool armed)
{
    armed_now = armed;
    cancel = armed && leave_signal != 0;
}

const volatile sig_atomic_t *interrupt_cancel(void)
{
    return &cancel;
}

static void on_report(int signal)
{
    (void)signal;
    report_asked = 1;
}

static void listen_to(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | flags};
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
}

void interrupt_listen(void)
{
    listen_to(SIGTERM, on_leave, 0);
    listen_to(SIGUSR1, on_leave, 0);
    listen_to(SIGINT, on_leave, (int)SA_RESETHAND); /* the next one has its usual effect */
    listen_to(SIGUSR2, on_report, 0);
}

const volatile sig_atomic_t *interrupt_leave(void)
{
    return &leave_signal;
}

bool interrupt_take_report(void)
{
    bool asked = report_asked != 0;
    report_asked = 0;
    return asked;
}
