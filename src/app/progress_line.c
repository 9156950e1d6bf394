/* How a run is doing, for people. */
#include "app/progress_line.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/quantity.h"

static const double REDRAW_S = 0.1; /* on a terminal: between two drawings */
static const double PLAIN_S = 10;   /* in a log: between two lines */

enum { COLUMNS_UNKNOWN = 100, COLUMNS_FOR_BAR = 120, BAR_CELLS = 20, LINE_BYTES = 512 };

/* The parent of a process, 0 when it cannot be told. */
static long parent_of(long process)
{
    char path[64], name[256];
    long parent = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", process);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return 0;
    /* "pid (name) state parent ...": the name may have anything in it, so it ends at the last parenthesis */
    size_t count = fread(name, 1, sizeof name - 1, in);
    name[count] = '\0';
    fclose(in);
    const char *end = strrchr(name, ')');
    if (end != NULL && sscanf(end, ") %*c %ld", &parent) != 1)
        parent = 0;
    return parent;
}

/* Standard output of the nearest ancestor that has another one than we: the launcher's. −1 where there is none. */
static int open_launcher_output(void)
{
    struct stat ours, theirs;
    if (fstat(STDOUT_FILENO, &ours) != 0)
        return -1;
    for (long process = getppid(); process > 1; process = parent_of(process)) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%ld/fd/1", process);
        if (stat(path, &theirs) != 0)
            return -1;
        if (theirs.st_rdev != ours.st_rdev || theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev)
            return open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    }
    return -1;
}

static int columns_of(int file)
{
    struct winsize size;
    if (file < 0 || !isatty(file))
        return 0;
    return ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS_UNKNOWN;
}

int progress_line_columns(void)
{
    const char *kind = getenv("TERM");
    if (!isatty(STDOUT_FILENO) || (kind != NULL && strcmp(kind, "dumb") == 0))
        return 0;
    if (getenv("OMPI_COMM_WORLD_RANK") == NULL)
        return columns_of(STDOUT_FILENO);
    int launcher = open_launcher_output();
    int columns = columns_of(launcher);
    if (launcher >= 0)
        close(launcher);
    return columns;
}

/* Bytes of the longest head of `text` that takes at most `columns` columns: our lines have no wide characters. */
static int head_bytes(const char *text, int columns)
{
    int bytes = 0;
    for (int shown = 0; text[bytes] != '\0'; bytes++) {
        if (((unsigned char)text[bytes] & 0xc0) != 0x80 && ++shown > columns)
            break;
    }
    return bytes;
}

static void draw(struct progress_line *line, const char *text)
{
    if (line->columns > 0)
        fprintf(line->out, "\r%.*s\033[K", head_bytes(text, line->columns - 1), text);
    else
        fprintf(line->out, "%s\n", text);
    fflush(line->out);
    line->pending = line->columns > 0;
}

const char *progress_line_bar(const struct progress_line *line, double progress, char text[64])
{
    int full = (int)(progress * BAR_CELLS);
    text[0] = '\0';
    if (line->columns >= COLUMNS_FOR_BAR)
        snprintf(text, 64, "[%.*s%.*s] ", full, "====================", BAR_CELLS - full, "                    ");
    return text;
}

/* "  3 min 12 s left", as far as this session tells; "" where it does not. */
static const char *format_left(const struct progress_line *line, double time_s, double progress, char text[64])
{
    char left[32];
    double share = progress - line->begin_progress;
    text[0] = '\0';
    if (share > 0)
        snprintf(text, 64, "  %s left", quantity_duration(left, (time_s - line->begin_s) * (1 - progress) / share));
    return text;
}

/* "[===>  ] 42 %  epoch 1.3  loss 1.234  accuracy 56.1 %  812 samples/s  0.98 exchanges/gradient  3 min 12 s left" */
static void format_step(const struct progress_line *line, const struct step_report *report, char text[LINE_BYTES])
{
    double progress = report->progress < 0 ? 0 : report->progress > 1 ? 1 : report->progress;
    double exchanges = report->step > 0 ? (double)report->exchanges / (double)report->step : 0;
    char bar[64], rate[64] = "", left[64];
    if (line->samples_per_second > 0 || !line->goes_on)
        snprintf(rate, sizeof rate, "  %.0f samples/s", line->samples_per_second);
    snprintf(text, LINE_BYTES, "%s%3.0f %%  epoch %.1f  loss %.4f  accuracy %.1f %%%s  %.2f exch/grad%s",
             progress_line_bar(line, progress, bar), 100 * progress, report->epoch, report->loss,
             100 * report->accuracy, rate, exchanges, format_left(line, report->time_s, progress, left));
}

/* The rate of all workers: the gradients that became known since the last report, times this worker's batch. */
static void measure_rate(struct progress_line *line, const struct step_report *report)
{
    double span_s = report->time_s - line->rate_s;
    if (span_s > 0 && report->step > 0 && report->global_step > line->rate_step) {
        double batch = (double)report->samples / (double)report->step;
        line->samples_per_second = (double)(report->global_step - line->rate_step) * batch / span_s;
        line->rate_s = report->time_s;
        line->rate_step = report->global_step;
    }
}

bool progress_line_due(const struct progress_line *line, double time_s)
{
    return !line->shown || time_s - line->shown_s >= (line->columns > 0 ? REDRAW_S : PLAIN_S);
}

void progress_line_show(struct progress_line *line, double time_s, const char *text)
{
    draw(line, text);
    line->shown = true;
    line->shown_s = time_s;
}

static void clear(struct progress_line *line)
{
    if (line->pending)
        fputs("\r\033[K", line->out);
    line->pending = false;
}

static void print_evaluation(const struct progress_line *line, const struct evaluation_report *report,
                             const char *spread, const char *whose)
{
    char time[32], top5[32] = "";
    if (isfinite(report->accuracy_top5))
        snprintf(top5, sizeof top5, "  top-5 %.2f %%", 100 * report->accuracy_top5);
    fprintf(line->out, "%s: accuracy %.2f %%%s%s  loss %.4f  (%s, %zu pictures, epoch %.1f, %s)\n", report->set,
            100 * report->accuracy, spread, top5, report->loss, whose, report->count, report->epoch,
            quantity_duration(time, report->time_s));
    fflush(line->out);
}

static void add_test(struct progress_tests *tests, const struct evaluation_report *report)
{
    bool first = tests->workers == 0;
    tests->last = *report;
    tests->low = first ? report->accuracy : fmin(tests->low, report->accuracy);
    tests->high = first ? report->accuracy : fmax(tests->high, report->accuracy);
    tests->accuracy += report->accuracy;
    tests->square += report->accuracy * report->accuracy;
    tests->top5 += report->accuracy_top5;
    tests->loss += report->loss;
    tests->pictures += report->count;
    tests->workers++;
}

/* "test: accuracy 56.10 % ± 0.40 (55.20 to 57.00)  loss 1.2340  (mean of 64 workers' models, ...)" */
static void show_mean(struct progress_line *line, struct progress_tests *tests)
{
    char spread[64], whose[64];
    double n = (double)tests->workers, mean = tests->accuracy / n;
    double variance = n > 1 ? fmax(0, tests->square - n * mean * mean) / (n - 1) : 0;
    struct evaluation_report report = tests->last;
    report.accuracy = mean;
    report.accuracy_top5 = tests->top5 / n;
    report.loss = tests->loss / n;
    report.count = tests->pictures;
    snprintf(spread, sizeof spread, " ± %.2f (%.2f to %.2f)", 100 * sqrt(variance), 100 * tests->low,
             100 * tests->high);
    snprintf(whose, sizeof whose, "mean of %zu workers' models", tests->workers);
    print_evaluation(line, &report, spread, whose);
    *tests = (struct progress_tests){.workers = 0};
}

static void show_tests(struct progress_line *line)
{
    for (size_t k = 0; k < sizeof line->tests / sizeof line->tests[0]; k++)
        if (line->tests[k].workers > 0) {
            clear(line);
            show_mean(line, &line->tests[k]);
        }
}

/* The first report of a session that goes on tells only where it begins. */
static void begin_session(struct progress_line *line, const struct step_report *report)
{
    if (!line->goes_on || line->begun)
        return;
    line->begun = true;
    line->begin_s = line->rate_s = report->time_s;
    line->begin_progress = report->progress;
    line->rate_step = report->global_step;
}

void progress_line_step(struct progress_line *line, const struct step_report *report)
{
    show_tests(line);
    begin_session(line, report);
    measure_rate(line, report);
    if (!progress_line_due(line, report->time_s))
        return;
    char text[LINE_BYTES];
    format_step(line, report, text);
    progress_line_show(line, report->time_s, text);
}

void progress_line_evaluation(struct progress_line *line, const struct evaluation_report *report)
{
    struct progress_tests *tests = &line->tests[strcmp(report->set, "test") != 0];
    if (report->averaged || line->workers <= 1) {
        progress_line_end(line);
        print_evaluation(line, report, "", report->averaged ? "averaged model" : "this worker's model");
        return;
    }
    if (tests->workers > 0 && tests->last.global_step != report->global_step)
        show_tests(line);
    add_test(tests, report);
}

void progress_line_end(struct progress_line *line)
{
    show_tests(line);
    clear(line);
    fflush(line->out);
}
