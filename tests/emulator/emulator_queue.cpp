/* The environment, the lock, each host thread's last error, and the queue of operations that wait. */
#include "emulator.h"

#include <deque>
#include <mutex>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <thread>
#include <time.h>

namespace emulator
{

enum { MAX_WAITING = 4096, ERROR_NOT_PERMITTED = 800, ERROR_NO_DEVICE = 100 };

void fail(const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    va_start(arguments, format);
    fputs("emulator: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    fflush(stderr);
    abort();
}

/* --- the environment --- */

const char *setting(const char *name)
{
    const char *value = getenv((std::string("GRAPEVINE_EMULATOR_") + name).c_str());
    return value ? value : "";
}

long setting_number(const char *name, long otherwise)
{
    const char *text = setting(name);
    if (*text == '\0')
        return otherwise;
    char *end;
    long value = strtol(text, &end, 10);
    if (*end != '\0' || value < 0)
        fail("GRAPEVINE_EMULATOR_%s=%s is not a number", name, text);
    return value;
}

choice setting_choice(const char *name, const char *otherwise, const char *allowed)
{
    std::string text = setting(name);
    if (text.empty())
        text = otherwise;
    size_t colon = text.find(':');
    choice chosen = {text.substr(0, colon), 1};
    if (colon != std::string::npos)
        chosen.seed = strtoull(text.c_str() + colon + 1, NULL, 10);
    if (("|" + std::string(allowed) + "|").find("|" + chosen.word + "|") == std::string::npos)
        fail("GRAPEVINE_EMULATOR_%s=%s is none of %s", name, text.c_str(), allowed);
    return chosen;
}

uint64_t chance::next()
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1du;
}

size_t chance::below(size_t bound)
{
    return (size_t)((next() >> 32) * (uint64_t)bound >> 32);
}

/* --- the queue --- */

struct queue {
    std::mutex lock;
    std::deque<operation_ref> waiting; /* by serial; some in the middle may be done */
    size_t undone = 0;
    uint64_t next_serial = 1;
    choice schedule = setting_choice("SCHEDULE", "lazy", "lazy|eager|random");
    chance drawn = {schedule.seed * 0x9e3779b97f4a7c15u + 1};
    long patience_ms = setting_number("PATIENCE_MS", 0);
    bool watched = false; /* a thread runs old work */
};

/* Never destroyed: what waits at the end of the program is dropped, and chains of it may be long. */
static queue &all()
{
    static queue *made = new queue();
    return *made;
}

static double clock_s()
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static thread_local bool this_thread_runs = false;

bool running()
{
    return this_thread_runs;
}

static void run(operation *what)
{
    queue &q = all();
    open_memory();
    this_thread_runs = true;
    what->work();
    this_thread_runs = false;
    what->done = true;
    what->run_at_s = clock_s();
    what->work = nullptr;
    what->after.clear();
    q.undone--;
    while (!q.waiting.empty() && q.waiting.front()->done)
        q.waiting.pop_front();
}

/* An operation towards `what` that can run: `what` itself, or one that it comes after. */
static operation *runnable(operation *what, bool any)
{
    for (;;) {
        operation *next = NULL;
        size_t count = what->after.size(), start = any && count > 0 ? all().drawn.below(count) : 0;
        for (size_t i = 0; i < count && next == NULL; i++) {
            operation *before = what->after[(start + i) % count].get();
            next = before->done ? NULL : before;
        }
        if (next == NULL)
            return what;
        what = next;
    }
}

/* Depth first, on a stack of our own: chains are as long as the queue. */
void complete(const operation_ref &what)
{
    std::vector<operation_ref> path;
    if (what && !what->done)
        path.push_back(what);
    while (!path.empty()) {
        operation_ref top = path.back();
        operation_ref before;
        for (const operation_ref &other : top->after) {
            if (!other->done) {
                before = other;
                break;
            }
        }
        if (before) {
            path.push_back(before);
            continue;
        }
        if (!top->done)
            run(top.get());
        path.pop_back();
    }
}

bool step(const operation_ref &what)
{
    if (!what || what->done)
        return true;
    operation_ref hold = what;
    run(runnable(what.get(), false));
    return false;
}

static void run_oldest()
{
    queue &q = all();
    if (!q.waiting.empty()) {
        operation_ref oldest = q.waiting.front(); /* not done, and nothing before it waits */
        run(oldest.get());
    }
}

void complete_all()
{
    while (!all().waiting.empty())
        run_oldest();
}

/* Those that were done out of turn leave the middle of the queue. */
static void compact()
{
    queue &q = all();
    std::deque<operation_ref> kept;
    for (const operation_ref &one : q.waiting) {
        if (!one->done)
            kept.push_back(one);
    }
    q.waiting.swap(kept);
}

operation_ref enqueue(const char *name, work_fn work, std::vector<operation_ref> after)
{
    queue &q = all();
    operation_ref made = std::make_shared<operation>();
    made->serial = q.next_serial++;
    made->name = name;
    made->work = std::move(work);
    for (operation_ref &before : after) {
        if (before && !before->done)
            made->after.push_back(std::move(before));
    }
    made->done = false;
    made->enqueued_at_s = clock_s();
    q.waiting.push_back(made);
    q.undone++;
    if (q.waiting.size() > 2 * MAX_WAITING)
        compact();
    if (q.schedule.word == "eager")
        complete(made);
    while (q.undone > MAX_WAITING)
        run_oldest();
    return made;
}

/* Under the random schedule: none to three operations, each towards one drawn from all that wait. */
static void run_some()
{
    queue &q = all();
    if (q.schedule.word != "random")
        return;
    for (size_t count = q.drawn.below(4); count > 0 && q.undone > 0; count--) {
        operation_ref drawn = q.waiting[q.drawn.below(q.waiting.size())];
        if (!drawn->done)
            run(runnable(drawn.get(), true));
    }
}

/* --- work that runs by itself --- */

static void watch()
{
    queue &q = all();
    for (;;) {
        struct timespec pause = {0, 2000000};
        nanosleep(&pause, NULL);
        std::lock_guard<std::mutex> hold(q.lock);
        double before_s = clock_s() - 1e-3 * (double)q.patience_ms;
        while (!q.waiting.empty() && q.waiting.front()->enqueued_at_s < before_s)
            run_oldest();
        close_memory();
    }
}

void run_without_call()
{
    queue &q = all();
    if (q.watched)
        return;
    q.watched = true;
    if (q.patience_ms == 0)
        q.patience_ms = 20;
    std::thread(watch).detach();
}

/* --- calls --- */

static thread_local int this_thread_error = 0;

int last_error()
{
    return this_thread_error;
}

int take_last_error()
{
    int taken = this_thread_error;
    this_thread_error = 0;
    return taken;
}

int remember_error(int error)
{
    if (error)
        this_thread_error = error;
    return error;
}

void call_if_free(const std::function<void()> &body)
{
    if (all().lock.try_lock()) {
        body();
        all().lock.unlock();
    }
}

locked::locked()
{
    queue &q = all();
    if (this_thread_runs)
        fail("a call of CUDA from inside a kernel or a host function of a stream");
    q.lock.lock();
    if (q.patience_ms > 0)
        run_without_call();
    run_some();
}

locked::~locked()
{
    close_memory();
    all().lock.unlock();
}

int call(const std::function<int()> &body)
{
    if (this_thread_runs)
        return remember_error(ERROR_NOT_PERMITTED);
    if (device_count() == 0)
        return remember_error(ERROR_NO_DEVICE);
    locked hold;
    return remember_error(body());
}

} // namespace emulator

void emulator_progress(void)
{
    emulator::locked hold;
    emulator::run_oldest();
}
