/* By class, as a confusion matrix, image by image. */
#include "app/test_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { CLASSES_PRINTED = 20, NAME_BYTES = 32 };

void test_report_init(struct test_report *report, const struct dataset *set, const struct prediction *predictions)
{
    size_t classes = (size_t)set->class_count;
    *report = (struct test_report){.set = set, .predictions = predictions};
    report->confusion = memory_zalloc(classes * classes, sizeof report->confusion[0]);
    report->images = memory_zalloc(classes, sizeof report->images[0]);
    for (size_t i = 0; i < set->count; i++) {
        const struct prediction *of = &predictions[i];
        report->images[of->label]++;
        if (of->predicted >= 0)
            report->confusion[(size_t)of->label * classes + (size_t)of->predicted]++;
    }
}

void test_report_release(struct test_report *report)
{
    free(report->confusion);
    free(report->images);
    *report = (struct test_report){0};
}

static size_t classes_of(const struct test_report *report)
{
    return (size_t)report->set->class_count;
}

static size_t confused(const struct test_report *report, size_t label, size_t predicted)
{
    return report->confusion[label * classes_of(report) + predicted];
}

static const char *name_of(const struct test_report *report, size_t class, char number[NAME_BYTES])
{
    if (report->set->class_names != NULL)
        return report->set->class_names[class];
    snprintf(number, NAME_BYTES, "%zu", class);
    return number;
}

static double accuracy_of(const struct test_report *report, size_t class)
{
    return report->images[class] > 0 ? (double)confused(report, class, class) / (double)report->images[class]
                                     : (double)NAN;
}

/* How many images of all classes the network puts into this one. */
static size_t predicted_as(const struct test_report *report, size_t class)
{
    size_t sum = 0;
    for (size_t label = 0; label < classes_of(report); label++)
        sum += confused(report, label, class);
    return sum;
}

/* The other class that images of this one are most often taken for. */
static size_t most_confused(const struct test_report *report, size_t class)
{
    size_t most = class == 0 ? 1 : 0;
    for (size_t other = 0; other < classes_of(report); other++)
        if (other != class && confused(report, class, other) > confused(report, class, most))
            most = other;
    return most;
}

/* The class of the smallest accuracy that is not yet done; classes without images come last. */
static size_t worst_left(const struct test_report *report, const bool *done)
{
    size_t worst = SIZE_MAX;
    for (size_t c = 0; c < classes_of(report); c++)
        if (!done[c] && (worst == SIZE_MAX || isnan(accuracy_of(report, worst)) ||
                         accuracy_of(report, c) < accuracy_of(report, worst)))
            worst = c;
    return worst;
}

static void print_class(const struct test_report *report, size_t class, FILE *out)
{
    char number[NAME_BYTES], other[NAME_BYTES];
    fprintf(out, "%-24s  %6zu  ", name_of(report, class, number), report->images[class]);
    if (report->images[class] == 0)
        fprintf(out, "%8s\n", "-");
    else if (classes_of(report) < 2 || confused(report, class, most_confused(report, class)) == 0)
        fprintf(out, "%8.4f\n", accuracy_of(report, class));
    else
        fprintf(out, "%8.4f  %s (%zu)\n", accuracy_of(report, class),
                name_of(report, most_confused(report, class), other),
                confused(report, class, most_confused(report, class)));
}

void test_report_print(const struct test_report *report, FILE *out)
{
    size_t classes = classes_of(report);
    bool *done = memory_zalloc(classes, sizeof done[0]);
    fprintf(out, "%-24s  %6s  %8s  %s\n", "class", "images", "accuracy", "most often taken for");
    for (size_t k = 0; k < classes && k < CLASSES_PRINTED; k++) {
        size_t worst = worst_left(report, done);
        print_class(report, worst, out);
        done[worst] = true;
    }
    if (classes > CLASSES_PRINTED)
        fprintf(out, "and %zu more (all of them: --json)\n", classes - CLASSES_PRINTED);
    free(done);
}

static void write_text(const char *text, FILE *out)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void write_name(const struct test_report *report, size_t class, FILE *out)
{
    char number[NAME_BYTES];
    write_text(name_of(report, class, number), out);
}

void test_report_write_confusion(const struct test_report *report, FILE *out)
{
    fputs("label", out);
    for (size_t c = 0; c < classes_of(report); c++) {
        putc(',', out);
        write_name(report, c, out);
    }
    putc('\n', out);
    for (size_t label = 0; label < classes_of(report); label++) {
        write_name(report, label, out);
        for (size_t c = 0; c < classes_of(report); c++)
            fprintf(out, ",%zu", confused(report, label, c));
        putc('\n', out);
    }
}

static void write_class(const struct test_report *report, int32_t class, FILE *out)
{
    if (class >= 0)
        fprintf(out, ",%d", (int)class);
    else
        putc(',', out);
    if (report->set->class_names == NULL)
        return;
    putc(',', out);
    if (class >= 0)
        write_name(report, (size_t) class, out);
}

static void write_number(double value, FILE *out)
{
    putc(',', out);
    if (isfinite(value))
        fprintf(out, "%.9g", value);
}

void test_report_write_predictions(const struct test_report *report, FILE *out)
{
    const struct dataset *set = report->set;
    bool named = set->class_names != NULL, files = set->ops->file != NULL;
    fprintf(out, "index,label%s,predicted%s,probability,loss%s\n", named ? ",label_name" : "",
            named ? ",predicted_name" : "", files ? ",file" : "");
    for (size_t i = 0; i < set->count; i++) {
        const struct prediction *of = &report->predictions[i];
        fprintf(out, "%zu", i);
        write_class(report, of->label, out);
        write_class(report, of->predicted, out);
        write_number(of->probability, out);
        write_number(of->loss, out);
        if (files) {
            putc(',', out);
            write_text(set->ops->file(set, i), out);
        }
        putc('\n', out);
    }
}

static void add_number(cJSON *object, const char *name, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

static cJSON *class_json(const struct test_report *report, size_t class)
{
    char number[NAME_BYTES];
    cJSON *row = cJSON_CreateObject();
    cJSON_AddNumberToObject(row, "class", (double)class);
    cJSON_AddStringToObject(row, "name", name_of(report, class, number));
    cJSON_AddNumberToObject(row, "images", (double)report->images[class]);
    cJSON_AddNumberToObject(row, "correct", (double)confused(report, class, class));
    add_number(row, "accuracy", accuracy_of(report, class));
    cJSON_AddNumberToObject(row, "predicted", (double)predicted_as(report, class));
    return row;
}

void test_report_add_json(const struct test_report *report, cJSON *object)
{
    double sum = 0;
    size_t with_images = 0;
    cJSON *rows = cJSON_AddArrayToObject(object, "classes"), *matrix = cJSON_AddArrayToObject(object, "confusion");
    for (size_t label = 0; label < classes_of(report); label++) {
        cJSON *row = cJSON_CreateArray();
        for (size_t c = 0; c < classes_of(report); c++)
            cJSON_AddItemToArray(row, cJSON_CreateNumber((double)confused(report, label, c)));
        cJSON_AddItemToArray(matrix, row);
        cJSON_AddItemToArray(rows, class_json(report, label));
        sum += report->images[label] > 0 ? accuracy_of(report, label) : 0;
        with_images += report->images[label] > 0;
    }
    add_number(object, "mean_class_accuracy", with_images > 0 ? sum / (double)with_images : (double)NAN);
}
