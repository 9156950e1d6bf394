/* How a run is doing, for people: one line rewritten in place on a terminal, else a plain line now and then.
 *
 * Reads no clock: reports carry their time. */
#ifndef GRAPEVINE_APP_PROGRESS_LINE_H
#define GRAPEVINE_APP_PROGRESS_LINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/observer.h"

/* Tests of several workers, until the next one or a step follows: they are one line. */
struct progress_tests {
    struct evaluation_report last;                  /* of them */
    size_t workers, pictures;                       /* workers: 0 where there is nothing to say */
    double accuracy, square, low, high, top5, loss; /* accuracy, its square, the last two: sums over workers */
};

/* Start with the first fields set, up to `goes_on`, and the rest zero. */
struct progress_line {
    FILE *out;    /* borrowed */
    int columns;  /* of the terminal; 0: plain lines */
    int workers;  /* whose reports come here; more than one: their tests are shown together */
    bool goes_on; /* the run was begun before: rates and what is left are those since the first report */
    bool begun;   /* that has come, and these are from it */
    double begin_s, begin_progress;
    struct progress_tests tests[2]; /* of the test set, of the validation set */
    bool shown;                     /* something was shown before */
    bool pending;                   /* the cursor stands in a line that will be rewritten */
    double shown_s, rate_s;         /* time of the last line; of the last report */
    uint64_t rate_step;             /* gradients of all workers at the last report */
    double samples_per_second;      /* of all workers, between the last two reports */
};

/* The width of the terminal that standard output ends up on, 0 where it is none. A launcher may give its ranks a
 * pseudo terminal and write what they say to a file; then the launcher's own standard output decides. */
int progress_line_columns(void);

void progress_line_step(struct progress_line *line, const struct step_report *report);
/* What is no run: any text of one line, where the last one was shown long enough before `time_s`. */
bool progress_line_due(const struct progress_line *line, double time_s);
void progress_line_show(struct progress_line *line, double time_s, const char *text);
/* "[=====     ] " of a share of 1, where there is a terminal with room for it; else "". */
const char *progress_line_bar(const struct progress_line *line, double progress, char text[64]);
void progress_line_evaluation(struct progress_line *line, const struct evaluation_report *report);
/* Show the tests that are not shown yet, and clear what would have been rewritten: the next output starts on a line of
 * its own. */
void progress_line_end(struct progress_line *line);

#endif
