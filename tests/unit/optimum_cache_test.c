/* The folder of minimisers: the same bits without a search, and nothing of it is believed that does not hold. */
#include "worker/optimum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "nn/model.h"

enum { PICTURES = 200, FEATURES = 6, CLASSES = 3 };

struct fixture {
    struct dataset *set;   /* owned */
    struct net_spec *spec; /* owned */
    uint32_t indices[PICTURES];
    struct partition partition;
    struct optimum_params params;
    char folder[32];
    int searched; /* calls of progress */
};

static void count_call(void *context, const struct optimum_progress *progress)
{
    (void)progress;
    ((struct fixture *)context)->searched++;
}

static void begin(struct fixture *f, const char *model)
{
    struct dataset_params data = {.name = "gaussian",
                                  .path = "",
                                  .train = true,
                                  .count = PICTURES,
                                  .seed = 1,
                                  .dimension = FEATURES,
                                  .class_count = CLASSES,
                                  .condition = 4};
    struct model_params params = {.name = model, .channels = 1, .height = 1, .width = FEATURES, .class_count = CLASSES};
    *f = (struct fixture){.folder = "/tmp/optimum-XXXXXX"};
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(dataset_open(&data, &f->set), STATUS_OK);
    assert_int_equal(model_build(&params, &f->spec), STATUS_OK);
    for (uint32_t i = 0; i < PICTURES; i++)
        f->indices[i] = i;
    f->partition = (struct partition){.indices = f->indices, .count = PICTURES};
    f->params = (struct optimum_params){.spec = f->spec,
                                        .train = f->set,
                                        .partitions = &f->partition,
                                        .partition_count = 1,
                                        .weight_decay = 0.01,
                                        .threads = 1,
                                        .cache = f->folder,
                                        .progress = count_call,
                                        .context = f};
}

/* The name of file `k` of the folder, owned by the caller, or NULL; *count: of how many. */
static char *file_of(const struct fixture *f, int k, int *count)
{
    DIR *directory = opendir(f->folder);
    char *found = NULL;
    *count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.' && (*count)++ == k)
            found = text_format("%s/%s", f->folder, entry->d_name);
    closedir(directory);
    return found;
}

static int files(const struct fixture *f)
{
    int count;
    free(file_of(f, 0, &count));
    return count;
}

static void end(struct fixture *f)
{
    int count;
    for (char *path; (path = file_of(f, 0, &count)) != NULL; free(path))
        remove(path);
    rmdir(f->folder);
    dataset_close(f->set);
    model_destroy(f->spec);
}

static struct optimum *create(struct fixture *f)
{
    struct optimum *optimum = NULL;
    f->searched = 0;
    assert_int_equal(optimum_create(&f->params, &optimum), STATUS_OK);
    assert_non_null(optimum);
    return optimum;
}

static void assert_same(const struct optimum *one, const struct optimum *other)
{
    float *point = memory_zalloc(one->count, sizeof *point);
    for (size_t k = 0; k < one->count; k++)
        point[k] = one->x[k] + 0.25F * (float)(k % 3);
    assert_int_equal(one->count, other->count);
    assert_memory_equal(one->x, other->x, one->count * sizeof one->x[0]);
    assert_memory_equal(one->exact, other->exact, one->count * sizeof one->exact[0]);
    assert_true(one->value == other->value);
    assert_true(optimum_gap(one, point) == optimum_gap(other, point));
    free(point);
}

static const char *const models[] = {"linear", "logistic"};

static void test_known_from_before(void **state)
{
    (void)state;
    for (int m = 0; m < 2; m++) {
        struct fixture f;
        begin(&f, models[m]);
        struct optimum *first = create(&f);
        assert_true(f.searched > 0);
        assert_int_equal(files(&f), 1);
        struct optimum *second = create(&f);
        assert_int_equal(f.searched, 0);
        assert_same(first, second);
        f.params.cache = NULL;
        struct optimum *without = create(&f);
        assert_true(f.searched > 0);
        assert_same(first, without);
        optimum_destroy(first);
        optimum_destroy(second);
        optimum_destroy(without);
        end(&f);
    }
}

/* The file's bytes change at `place` (from the end where it is negative). */
static void flip(const struct fixture *f, long place)
{
    int count, byte;
    char *path = file_of(f, 0, &count);
    FILE *file = fopen(path, "r+b");
    fseek(file, place, place < 0 ? SEEK_END : SEEK_SET);
    byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 1, file);
    fclose(file);
    free(path);
}

static void test_damaged(void **state)
{
    static const long places[] = {0, 8, 16, 30, -1};
    (void)state;
    for (int m = 0; m < 2; m++) {
        struct fixture f;
        begin(&f, models[m]);
        struct optimum *first = create(&f);
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            flip(&f, places[i]);
            struct optimum *again = create(&f);
            assert_true(f.searched > 0);
            assert_same(first, again);
            optimum_destroy(again);
            again = create(&f); /* it was written again */
            assert_int_equal(f.searched, 0);
            optimum_destroy(again);
        }
        optimum_destroy(first);
        end(&f);
    }
}

/* A whole file with good digests, of a point that is no minimiser. */
static void forge(const struct fixture *f)
{
    int count;
    char *path = file_of(f, 0, &count);
    uint64_t header[3], digest;
    FILE *file = fopen(path, "r+b");
    assert_int_equal(fread(header, sizeof header, 1, file), 1);
    double *numbers = memory_zalloc(header[2], sizeof *numbers);
    assert_int_equal(fread(numbers, sizeof *numbers, header[2], file), header[2]);
    numbers[0] += 1e-3;
    digest = digest_bytes(digest_bytes(0, header, sizeof header), numbers, header[2] * sizeof *numbers);
    fseek(file, sizeof header, SEEK_SET);
    fwrite(numbers, sizeof *numbers, header[2], file);
    fwrite(&digest, sizeof digest, 1, file);
    fclose(file);
    free(numbers);
    free(path);
}

static void test_no_minimiser(void **state)
{
    (void)state;
    for (int m = 0; m < 2; m++) {
        struct fixture f;
        begin(&f, models[m]);
        struct optimum *first = create(&f);
        forge(&f);
        struct optimum *again = create(&f);
        assert_true(f.searched > 0);
        assert_same(first, again);
        optimum_destroy(first);
        optimum_destroy(again);
        end(&f);
    }
}

/* Decay, pictures and their weights make another minimiser, under another name. */
static void test_others(void **state)
{
    (void)state;
    for (int m = 0; m < 2; m++) {
        struct fixture f;
        begin(&f, models[m]);
        optimum_destroy(create(&f));
        f.params.weight_decay = 0.02;
        optimum_destroy(create(&f));
        assert_true(f.searched > 0);
        f.partition.count = PICTURES - 1;
        optimum_destroy(create(&f));
        assert_true(f.searched > 0);
        f.partition.count = PICTURES;
        struct partition halves[] = {{.indices = f.indices, .count = 50},
                                     {.indices = f.indices + 50, .count = PICTURES - 50}};
        f.params.partitions = halves;
        f.params.partition_count = 2;
        optimum_destroy(create(&f));
        assert_true(f.searched > 0);
        assert_int_equal(files(&f), 4);
        end(&f);
    }
}

/* A folder that is not there is no error. */
static void test_no_folder(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, "logistic");
    f.params.cache = "/nowhere/at/all";
    optimum_destroy(create(&f));
    assert_true(f.searched > 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_from_before), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_no_minimiser),      cmocka_unit_test(test_others),
        cmocka_unit_test(test_no_folder),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
