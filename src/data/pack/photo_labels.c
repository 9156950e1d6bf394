/* Labels of photographs that lie in one folder. Each is given the name of a class first, then all are numbered. */
#include "data/pack/photo_labels.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/photos/photo_builder.h"
#include "data/photos/photo_folder.h"
#include "data/pack/text_lines.h"

static const char kaggle_header[] = "ImageId,PredictionString";

enum form { FORM_KAGGLE, FORM_CLASSES, FORM_PAIRS, FORM_NUMBERS };

/* A photograph's name without its ending. */
struct stem {
    const char *name; /* borrowed: the whole name */
    size_t length;
    size_t photo;
};

/* What the list says of a photograph. */
struct given {
    const char *class; /* borrowed from the lists; NULL: nothing yet */
    size_t line;
};

struct task {
    const struct text_lines *list;
    const struct text_lines *synsets;  /* NULL: none */
    const struct photo_index *classes; /* NULL: the list's own */
    struct photo_index *flat;
    struct given *given; /* owned (photographs) */
    struct stem *stems;  /* owned (photographs), sorted */
    size_t unknown;      /* names in the list that are no photograph's */
    const char *unknown_name;
};

static enum status __attribute__((format(printf, 3, 4)))
wrong_line(const struct text_lines *list, size_t line, const char *format, ...)
{
    char trouble[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(trouble, sizeof trouble, format, arguments);
    va_end(arguments);
    log_error("%s:%zu: %s", list->path, list->lines[line].number, trouble);
    return STATUS_DATA;
}

/* --- which photograph a name means --- */

static size_t stem_length(const char *name)
{
    return photo_folder_is_name(name) ? (size_t)(strrchr(name, '.') - name) : strlen(name);
}

static int compare_stems(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

static int by_stem(const void *a, const void *b)
{
    const struct stem *x = a, *y = b;
    int order = compare_stems(x->name, x->length, y->name, y->length);
    return order != 0 ? order : strcmp(x->name, y->name);
}

static void sort_stems(struct task *task)
{
    size_t count = task->flat->count;
    task->stems = memory_zalloc(count, sizeof *task->stems);
    for (size_t i = 0; i < count; i++) {
        const char *name = photo_name(task->flat, i);
        task->stems[i] = (struct stem){.name = name, .length = stem_length(name), .photo = i};
    }
    qsort(task->stems, count, sizeof *task->stems, by_stem);
}

/* The first stem that is not before `name`'s. */
static size_t lower_bound(const struct task *task, const char *name, size_t length)
{
    size_t low = 0, high = task->flat->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct stem *stem = &task->stems[middle];
        if (compare_stems(stem->name, stem->length, name, length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The photograph of this name; the ending may be missing where that leaves one alone. SIZE_MAX: none. */
static size_t find_photo(const struct task *task, const char *name)
{
    size_t length = stem_length(name), count = task->flat->count, first = lower_bound(task, name, length), k = first;
    bool whole = name[length] != '\0';
    for (; k < count && compare_stems(task->stems[k].name, task->stems[k].length, name, length) == 0; k++)
        if (whole && strcmp(task->stems[k].name, name) == 0)
            return task->stems[k].photo;
    return !whole && k == first + 1 ? task->stems[first].photo : SIZE_MAX;
}

/* --- what a line says --- */

/* The whole number that is all of `word`, −1 if it is none. */
static long number_of(const char *word)
{
    char *end;
    if (word[0] < '0' || word[0] > '9')
        return -1;
    errno = 0;
    long value = strtol(word, &end, 10);
    return *end == '\0' && errno == 0 ? value : -1;
}

static enum status give(struct task *task, size_t line, const char *name, const char *class)
{
    const char *slash = strrchr(name, '/');
    size_t photo = find_photo(task, slash != NULL ? slash + 1 : name);
    if (photo == SIZE_MAX) {
        task->unknown_name = task->unknown++ == 0 ? name : task->unknown_name;
        return STATUS_OK;
    }
    if (task->given[photo].class != NULL)
        return wrong_line(task->list, line, "%s has a label already: a list names each photograph once", name);
    task->given[photo] = (struct given){class, line};
    return STATUS_OK;
}

/* "NAME,CLASS x y x y ..." */
static enum status take_kaggle_line(struct task *task, size_t line)
{
    char *name = task->list->lines[line].text, *class = strchr(name, ',');
    if (class == NULL || class == name || class[1] == '\0' || class[1] == ' ')
        return wrong_line(task->list, line, "found \"%s\", expected NAME,CLASS as below %s", name, kaggle_header);
    *class ++ = '\0';
    class[strcspn(class, " ")] = '\0';
    return give(task, line, name, class);
}

/* "NAME CLASS" or "NAME NUMBER": the last word is the label, a class's name before a number. */
static enum status take_pair(struct task *task, size_t line)
{
    const struct photo_index *classes = task->classes;
    char *name = task->list->lines[line].text, *class = name + strlen(name);
    while (class > name && class[-1] != ' ' && class[-1] != '\t')
        class --;
    if (class == name)
        return wrong_line(task->list, line, "found \"%s\", expected a photograph's name and its label", name);
    char *end = class - 1;
    while (end > name && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    long number = number_of(class);
    if (number < 0 || (classes != NULL && photo_class(classes, class) >= 0))
        return give(task, line, name, class);
    if (classes == NULL)
        return wrong_line(task->list, line,
                          "label %ld is a number, and counts the classes of a training split: none is known here; pack "
                          "that first, or both together",
                          number);
    if (number >= classes->class_count)
        return wrong_line(task->list, line, "label %ld, allowed are 0 to %d (the classes of %s)", number,
                          classes->class_count - 1, classes->folder);
    return give(task, line, name, classes->class_names[number]);
}

static enum status take_number(struct task *task, size_t line)
{
    const char *text = task->list->lines[line].text;
    long number = number_of(text);
    if (number < 1 || (size_t)number > task->synsets->count)
        return wrong_line(task->list, line, "found \"%s\", expected a number from 1 to %zu, the lines of %s", text,
                          task->synsets->count, task->synsets->path);
    task->given[line] = (struct given){task->synsets->lines[number - 1].text, line};
    return STATUS_OK;
}

static enum status take_class(struct task *task, size_t line)
{
    task->given[line] = (struct given){task->list->lines[line].text, line};
    return STATUS_OK;
}

/* --- the whole list --- */

static enum status find_form(const struct task *task, enum form *out)
{
    const char *first = task->list->lines[0].text;
    bool class = task->classes != NULL && photo_class(task->classes, first) >= 0, number = number_of(first) >= 0;
    if (number && !class && task->synsets == NULL)
        return wrong_line(task->list, 0,
                          "found \"%s\", a number alone: such numbers count the lines of a file of synsets, from 1; "
                          "give it with --synsets",
                          first);
    if (strcmp(first, kaggle_header) == 0)
        *out = FORM_KAGGLE;
    else if (task->synsets != NULL && number)
        *out = FORM_NUMBERS;
    else if (!class && strpbrk(first, " \t") != NULL)
        *out = FORM_PAIRS;
    else
        *out = FORM_CLASSES;
    return STATUS_OK;
}

static enum status expect_one_line_each(const struct task *task)
{
    if (task->list->count == task->flat->count)
        return STATUS_OK;
    log_error("%s: %zu lines for the %zu photographs in %s, in the order of their names; expected one for each",
              task->list->path, task->list->count, task->flat->count, task->flat->folder);
    return STATUS_DATA;
}

static enum status take_lines(struct task *task)
{
    static enum status (*const take_line[])(struct task *, size_t) = {take_kaggle_line, take_class, take_pair,
                                                                      take_number};
    enum form form = FORM_CLASSES;
    TRY(find_form(task, &form));
    if (form == FORM_CLASSES || form == FORM_NUMBERS)
        TRY(expect_one_line_each(task));
    else
        sort_stems(task);
    for (size_t line = form == FORM_KAGGLE ? 1 : 0; line < task->list->count; line++)
        TRY(take_line[form](task, line));
    return STATUS_OK;
}

static enum status expect_all_labelled(const struct task *task)
{
    size_t missing = 0, first = 0;
    for (size_t i = task->flat->count; i-- > 0;)
        if (task->given[i].class == NULL) {
            missing++;
            first = i;
        }
    if (missing > 0) {
        log_error("%s: no label for %zu of the %zu photographs in %s; the first is %s", task->list->path, missing,
                  task->flat->count, task->flat->folder, photo_name(task->flat, first));
        return STATUS_DATA;
    }
    if (task->unknown > 0)
        log_warning("%s: %zu of its names are no photographs in %s; the first is %s", task->list->path, task->unknown,
                    task->flat->folder, task->unknown_name);
    return STATUS_OK;
}

static void set_classes(const struct task *task, struct photo_builder *builder)
{
    if (task->classes != NULL) {
        photo_builder_copy_classes(builder, task->classes);
        return;
    }
    size_t count = task->synsets != NULL ? task->synsets->count : task->flat->count;
    const char **names = memory_zalloc(count, sizeof *names);
    for (size_t k = 0; k < count; k++)
        names[k] = task->synsets != NULL ? task->synsets->lines[k].text : task->given[k].class;
    photo_builder_set_classes(builder, names, count);
    free(names);
}

static enum status unknown_class(const struct task *task, const struct given *given)
{
    if (task->classes == NULL && task->synsets != NULL)
        return wrong_line(task->list, given->line, "class \"%s\" is not in %s", given->class, task->synsets->path);
    char *where = text_format("%s:%zu", task->list->path, task->list->lines[given->line].number);
    enum status status = photo_class_missing(task->classes, given->class, where);
    free(where);
    return status;
}

static enum status number_all(const struct task *task)
{
    struct photo_builder builder = {0};
    set_classes(task, &builder);
    struct photo_index *index = task->flat;
    index->class_count = builder.index.class_count;
    index->class_names = builder.index.class_names;
    for (size_t i = 0; i < index->count; i++) {
        index->photos[i].label = photo_class(index, task->given[i].class);
        if (index->photos[i].label < 0)
            return unknown_class(task, &task->given[i]);
    }
    return STATUS_OK;
}

/* A synset is the first word of its line, unless the whole line is a class. */
static void cut_synsets(struct text_lines *synsets, const struct photo_index *classes)
{
    for (size_t k = 0; k < synsets->count; k++) {
        char *text = synsets->lines[k].text;
        if (classes == NULL || photo_class(classes, text) < 0)
            text[strcspn(text, " \t")] = '\0';
    }
}

enum status photo_labels_apply(const char *labels, const char *synsets, const struct photo_index *classes,
                               struct photo_index *flat)
{
    struct text_lines list = {0}, synset_list = {0};
    struct task task = {.list = &list, .classes = classes, .flat = flat};
    enum status status;
    TRY_GOTO(text_lines_read(labels, &list), release);
    if (synsets != NULL) {
        TRY_GOTO(text_lines_read(synsets, &synset_list), release);
        cut_synsets(&synset_list, classes);
        task.synsets = &synset_list;
    }
    task.given = memory_zalloc(flat->count, sizeof *task.given);
    TRY_GOTO(take_lines(&task), release);
    TRY_GOTO(expect_all_labelled(&task), release);
    status = number_all(&task);
release:
    free(task.given);
    free(task.stems);
    text_lines_release(&list);
    text_lines_release(&synset_list);
    return status;
}
