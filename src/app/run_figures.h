/* Figures of summary.json as tables show them: which, under what title, in what unit. */
#ifndef GRAPEVINE_SRC_APP_RUN_FIGURES_H
#define GRAPEVINE_SRC_APP_RUN_FIGURES_H

#include "app/ended_run.h"

enum { RUN_FIGURES_MAX = 32 };

struct run_figures {
    char *names[RUN_FIGURES_MAX]; /* owned */
    size_t count;
};

/* Those of a list "test_accuracy,test_loss": numbers, or lists of numbers, of which the mean is meant. STATUS_USAGE
 * (logged, nearest name): no run has it, or there are too many. Release in either case. */
enum status run_figures_parse(const char *command, const char *list, const struct ended_runs *runs,
                              struct run_figures *out);
/* Accuracy, with worker 0's statistics where that differs, loss, consensus distance, and time: virtual where all runs
 * are simulated, both where some are. */
void run_figures_choose(const struct ended_runs *runs, struct run_figures *out);
void run_figures_add(struct run_figures *figures, const char *name);
void run_figures_release(struct run_figures *figures);

/* Accuracies and shares of the time are shown in percent. */
bool run_figure_is_percent(const char *name);
/* "test accuracy, %"; `plain`: "test_accuracy_percent", for programs. Owned by the caller. */
char *run_figure_title(const char *name, bool plain);
/* What the figure is shown as, over what the summary has: 100 or 1. */
double run_figure_scale(const char *name);
/* Decimals of a percentage; −1: as many as are needed. */
int run_figure_decimals(const char *name);

#endif
