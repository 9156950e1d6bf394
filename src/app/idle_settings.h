/* Settings that were given and have no effect under the others: an experiment whose author believes otherwise is none.
 *
 * A rule names a key, when it is idle, and which key decides that. It is said of every argument, and of a file's key
 * unless that stands for another command, has the default's value, or was switched off on the command line: one file
 * serves many command lines. A value that switches something off has been obeyed anyway. */
#ifndef GRAPEVINE_SRC_APP_IDLE_SETTINGS_H
#define GRAPEVINE_SRC_APP_IDLE_SETTINGS_H

#include "app/plan.h"

enum config_reader { READER_TRAIN = 1, READER_SIMULATE = 2, READER_EVAL = 4, READER_BENCH = 8 };

/* One warning for each such key. `plan` is what `reader` has made of its configuration. */
void idle_settings_warn(const struct plan *plan, enum config_reader reader);

#endif
