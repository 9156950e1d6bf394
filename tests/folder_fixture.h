/* A folder for each test, removed after it with all that is in it. */
#ifndef GRAPEVINE_TESTS_FOLDER_FIXTURE_H
#define GRAPEVINE_TESTS_FOLDER_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/grapevine-test-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

#endif
