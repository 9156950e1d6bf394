/* The file of measured engines. */
#include "device/cuda/cudnn_choice.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

enum { LINE_MOST = 1024 };

/* Owned by the caller; NULL where there is no home. */
static char *folder(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache != NULL && cache[0] == '/')
        return text_format("%s/grapevine", cache);
    return home != NULL ? text_format("%s/.cache/grapevine", home) : NULL;
}

static char *file_path(void)
{
    char *in = folder();
    char *path = in != NULL ? text_format("%s/cudnn-engines.txt", in) : NULL;
    free(in);
    return path;
}

bool cudnn_choice_find(const char *key, int engine_count, struct cudnn_choice *out)
{
    char line[LINE_MOST];
    bool found = false;
    char *path = file_path();
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    free(path);
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        struct cudnn_choice choice;
        int begin = 0;
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%d %lf %n", &choice.engine, &choice.seconds, &begin) < 2 || begin == 0 ||
            strcmp(line + begin, key) != 0 || choice.engine < 0 || choice.engine >= engine_count)
            continue;
        *out = choice;
        found = true;
    }
    if (file != NULL)
        fclose(file);
    return found;
}

static void make_folders(void)
{
    char *path = folder();
    for (char *end = path; end != NULL && (end = strchr(end + 1, '/')) != NULL;) {
        *end = '\0';
        mkdir(path, 0777); /* one that is there is fine; what is not is seen when the file is opened */
        *end = '/';
    }
    if (path != NULL)
        mkdir(path, 0777);
    free(path);
}

/* One write to the end of the file: lines of several processes do not mix. */
void cudnn_choice_keep(const char *key, const struct cudnn_choice *choice)
{
    char line[LINE_MOST];
    int length = snprintf(line, sizeof line, "%d %.9g %s\n", choice->engine, choice->seconds, key);
    make_folders();
    char *path = file_path();
    int file = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    free(path);
    if (file < 0)
        return;
    bool kept = length < LINE_MOST && write(file, line, (size_t)length) == length;
    close(file);
    if (!kept)
        log_debug("the choice of an engine could not be kept: it is measured again next time");
}
