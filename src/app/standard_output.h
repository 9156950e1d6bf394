/* Standard output as a whole: what could not be written is found at the end, once for every command. */
#ifndef GRAPEVINE_SRC_APP_STANDARD_OUTPUT_H
#define GRAPEVINE_SRC_APP_STANDARD_OUTPUT_H

#include <stdbool.h>

#include "base/status.h"

/* At the start: a standard descriptor that is closed is opened such that its use fails, so that no file of the program
 * takes its number and receives what is printed. */
void standard_output_open(void);

/* At the end: flush standard output. Where all of it was written, `status`; else STATUS_MACHINE (logged) instead of
 * STATUS_OK. `lost_reader_is_fine`: nobody reads it any more (a closed pipe, terminal or descriptor): no error.
 * `command`: for the message. */
enum status standard_output_finish(const char *command, enum status status, bool lost_reader_is_fine);

#endif
