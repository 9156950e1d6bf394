/* Checkpoints: read back bit for bit; another model's is refused by name; a fresh head on request. */
#include "app/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/class_names.h"
#include "app/safetensors.h"
#include "base/memory.h"
#include "base/random.h"
#include "nn/model.h"

static char path[64];

static int make_path(void **state)
{
    (void)state;
    strcpy(path, "/tmp/grapevine-test-XXXXXX");
    int file = mkstemp(path);
    return file < 0 || close(file) != 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

/* A model with arbitrary values in it. */
struct replica {
    struct net_spec *spec; /* owned */
    float *parameters;     /* owned (spec->parameter_size) */
    float *buffers;        /* owned (spec->buffer_size) */
};

static struct replica make_replica(const char *name, int class_count, uint64_t seed)
{
    const struct model_params params = {
        .name = name, .channels = 3, .height = 32, .width = 32, .class_count = class_count};
    struct replica replica = {0};
    assert_int_equal(model_build(&params, &replica.spec), STATUS_OK);
    replica.parameters = memory_zalloc(replica.spec->parameter_size, sizeof(float));
    replica.buffers = memory_zalloc(replica.spec->buffer_size, sizeof(float));
    struct random_stream stream = random_stream(seed, RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < replica.spec->parameter_size; i++)
        replica.parameters[i] = (float)random_normal(&stream);
    for (size_t i = 0; i < replica.spec->buffer_size; i++)
        replica.buffers[i] = (float)random_normal(&stream);
    return replica;
}

static void release(struct replica *replica)
{
    model_destroy(replica->spec);
    free(replica->parameters);
    free(replica->buffers);
}

static void write_file(const struct replica *replica)
{
    const struct checkpoint_info info = {
        .data = "shapes", .batch_norm = "recomputed", .epoch = 2.5, .batches_tracked = 123};
    assert_int_equal(checkpoint_write(path, replica->spec, replica->parameters, replica->buffers, &info), STATUS_OK);
}

/* checkpoint_read with standard error in `said`. */
static enum status read_quietly(struct replica *replica, enum checkpoint_mode mode, char said[4096])
{
    FILE *errors = tmpfile();
    assert_non_null(errors);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(errors), STDERR_FILENO);
    enum status status = checkpoint_read(path, replica->spec, NULL, mode, replica->parameters, replica->buffers);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(errors);
    said[fread(said, 1, 4095, errors)] = '\0';
    fclose(errors);
    return status;
}

static void assert_equal_values(const struct replica *a, const struct replica *b)
{
    assert_memory_equal(a->parameters, b->parameters, a->spec->parameter_size * sizeof(float));
    assert_memory_equal(a->buffers, b->buffers, a->spec->buffer_size * sizeof(float));
}

static void reads_what_it_wrote(void **state)
{
    (void)state;
    for (const char *const *name = (const char *const[]){"mlp", "convnet", "resnet20", NULL}; *name != NULL; name++) {
        struct replica written = make_replica(*name, 10, 1), read = make_replica(*name, 10, 2);
        write_file(&written);
        assert_int_equal(checkpoint_read(path, read.spec, NULL, CHECKPOINT_STRICT, read.parameters, read.buffers),
                         STATUS_OK);
        assert_equal_values(&written, &read);
        assert_int_equal(checkpoint_read(path, read.spec, NULL, CHECKPOINT_INIT, read.parameters, read.buffers),
                         STATUS_OK);
        assert_equal_values(&written, &read);
        release(&written);
        release(&read);
    }
}

static void has_torchvisions_names(void **state)
{
    (void)state;
    struct replica replica = make_replica("resnet20", 10, 1);
    write_file(&replica);
    struct safetensors_file *file;
    assert_int_equal(safetensors_open(path, &file), STATUS_OK);
    /* 19 convolutions with a norm of five tensors each (the shortcuts too, if there are any), and the head of two */
    assert_int_equal(file->tensor_count, replica.spec->parameter_count + replica.spec->buffer_count / 2 * 3);
    static const char *const names[] = {"conv1.weight",     "bn1.weight",      "bn1.bias",
                                        "bn1.running_mean", "bn1.running_var", "layer3.2.bn2.running_var",
                                        "fc.weight",        "fc.bias"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (safetensors_find(file, names[i]) == NULL)
            fail_msg("%s is missing", names[i]);
    const struct safetensors_tensor *tracked = safetensors_find(file, "bn1.num_batches_tracked");
    assert_non_null(tracked);
    assert_int_equal(tracked->rank, 0);
    int64_t count;
    assert_int_equal(safetensors_read_int64(file, tracked, &count), STATUS_OK);
    assert_int_equal(count, 123);
    assert_string_equal(safetensors_metadata(file, "model"), "resnet20");
    assert_string_equal(safetensors_metadata(file, "data"), "shapes");
    assert_string_equal(safetensors_metadata(file, "epoch"), "2.5");
    assert_string_equal(safetensors_metadata(file, "batch_norm"), "recomputed");
    assert_string_equal(safetensors_metadata(file, "grapevine"), GRAPEVINE_VERSION);
    safetensors_close(file);
    release(&replica);
}

static void refuses_another_model(void **state)
{
    (void)state;
    struct replica small = make_replica("resnet20", 10, 1), large = make_replica("resnet18", 10, 2);
    struct replica before = make_replica("resnet18", 10, 2);
    char said[4096];
    write_file(&small);
    for (int mode = CHECKPOINT_STRICT; mode <= CHECKPOINT_INIT; mode++) {
        assert_int_equal(read_quietly(&large, (enum checkpoint_mode)mode, said), STATUS_DATA);
        assert_non_null(strstr(said, "conv1.weight is F32 (16, 3, 3, 3), expected F32 (64, 3, 3, 3)"));
        assert_non_null(strstr(said, "layer4.0.conv1.weight"));
        assert_non_null(strstr(said, "model.name=resnet20"));
        assert_ptr_equal(strchr(said, '\n') + 1, said + strlen(said)); /* one message */
        assert_equal_values(&large, &before);
    }
    release(&small);
    release(&large);
    release(&before);
}

static void keeps_a_fresh_head_on_request(void **state)
{
    (void)state;
    struct replica written = make_replica("resnet20", 100, 1), read = make_replica("resnet20", 10, 2);
    struct replica fresh = make_replica("resnet20", 10, 2);
    char said[4096];
    write_file(&written);
    assert_int_equal(read_quietly(&read, CHECKPOINT_STRICT, said), STATUS_DATA);
    assert_non_null(strstr(said, "fc.weight is F32 (100, 64), expected F32 (10, 64)"));
    assert_equal_values(&read, &fresh);
    assert_int_equal(read_quietly(&read, CHECKPOINT_INIT, said), STATUS_OK);
    assert_non_null(strstr(said, "100 classes"));
    for (int i = 0; i < read.spec->parameter_count; i++) {
        const struct net_tensor *to = &read.spec->parameters[i], *from = &written.spec->parameters[i];
        bool head = strncmp(to->name, "fc.", 3) == 0;
        const float *wanted = head ? fresh.parameters + to->offset : written.parameters + from->offset;
        assert_memory_equal(read.parameters + to->offset, wanted, to->count * sizeof(float));
    }
    assert_memory_equal(read.buffers, written.buffers, read.spec->buffer_size * sizeof(float));
    release(&written);
    release(&read);
    release(&fresh);
}

/* A file as others write it: without num_batches_tracked, without metadata; then with a tensor too many. */
static void judges_files_of_others(void **state)
{
    (void)state;
    struct replica replica = make_replica("resnet20", 10, 1), read = make_replica("resnet20", 10, 2);
    const struct net_spec *spec = replica.spec;
    size_t count = 0;
    struct safetensors_entry *entries =
        memory_zalloc((size_t)spec->parameter_count + (size_t)spec->buffer_count + 1, sizeof *entries);
    for (int i = 0; i < spec->parameter_count + spec->buffer_count; i++) {
        bool buffer = i >= spec->parameter_count;
        const struct net_tensor *tensor = buffer ? &spec->buffers[i - spec->parameter_count] : &spec->parameters[i];
        entries[count++] = (struct safetensors_entry){tensor->name,
                                                      SAFETENSORS_F32,
                                                      tensor->rank,
                                                      tensor->shape,
                                                      (buffer ? replica.buffers : replica.parameters) + tensor->offset,
                                                      NULL,
                                                      NULL};
    }
    char said[4096];
    assert_int_equal(safetensors_write(path, entries, count, NULL, 0, LOG_ERROR), STATUS_OK);
    assert_int_equal(read_quietly(&read, CHECKPOINT_STRICT, said), STATUS_OK);
    assert_string_equal(said, "");
    assert_equal_values(&read, &replica);
    entries[count] = entries[0];
    entries[count++].name = "stray";
    assert_int_equal(safetensors_write(path, entries, count, NULL, 0, LOG_ERROR), STATUS_OK);
    assert_int_equal(read_quietly(&read, CHECKPOINT_STRICT, said), STATUS_DATA);
    assert_non_null(strstr(said, "1 unexpected: stray"));
    struct replica large = make_replica("resnet18", 10, 3);
    assert_int_equal(read_quietly(&large, CHECKPOINT_STRICT, said), STATUS_DATA);
    assert_non_null(strstr(said, "model.name=resnet20")); /* told from the blocks */
    free(entries);
    release(&large);
    release(&replica);
    release(&read);
}

/* Classes that the file names are those of the data set, or the message says which are not. */
static void classes_are_known_by_name(void **state)
{
    static const char *const own[] = {"ape", "cat", "dog"}, *const swapped[] = {"cat", "ape", "dog"},
                             *const renamed[] = {"ape", "cat", "wolf"}, *const more[] = {"ape", "bee", "cat", "dog"};
    static const struct {
        const char *const *names;
        int count;
        const char *how;
    } others[] = {{swapped, 3, "class 0 is \"ape\" there and \"cat\" here; they are the same in another order"},
                  {renamed, 3, "class 2 is \"dog\" there and \"wolf\" here; only there: \"dog\"; only here: \"wolf\""},
                  {more, 4, "there are 3 classes there and 4 here; only here: \"bee\""}};
    struct class_names classes = {.names = own, .count = 3};
    struct text kept = {0};
    (void)state;
    class_names_write(&classes, &kept);
    assert_string_equal(text_view(&kept), "[\"ape\",\"cat\",\"dog\"]");
    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
        struct class_names here = {.names = others[k].names, .count = others[k].count};
        struct text how = {0};
        assert_true(class_names_differ(text_view(&kept), &here, &how));
        assert_string_equal(text_view(&how), others[k].how);
        text_release(&how);
    }
    assert_false(class_names_differ(text_view(&kept), &classes, &kept));
    assert_false(class_names_differ(NULL, &classes, &kept));
    assert_false(class_names_differ("", &classes, &kept));
    assert_false(class_names_differ("{broken", &classes, &kept));
    classes.names = NULL;
    assert_false(class_names_differ(text_view(&kept), &classes, &kept));
    text_release(&kept);
}

/* As a start a file of other classes gives all but its last layer. */
static void other_classes_start_with_a_fresh_head(void **state)
{
    static const char *const here[] = {"cat", "ape", "dog"};
    const struct class_names classes = {.names = here, .count = 3};
    const struct checkpoint_info info = {
        .data = "photos", .class_names = "[\"ape\",\"cat\",\"dog\"]", .batch_norm = "own", .epoch = 1};
    struct replica written = make_replica("mlp", 3, 1), read = make_replica("mlp", 3, 2),
                   fresh = make_replica("mlp", 3, 2);
    (void)state;
    assert_int_equal(checkpoint_write(path, written.spec, written.parameters, written.buffers, &info), STATUS_OK);
    assert_int_equal(checkpoint_read(path, read.spec, &classes, CHECKPOINT_STRICT, read.parameters, read.buffers),
                     STATUS_DATA);
    assert_equal_values(&read, &fresh);
    assert_int_equal(checkpoint_read(path, read.spec, &classes, CHECKPOINT_INIT, read.parameters, read.buffers),
                     STATUS_OK);
    const struct net_node *head = &read.spec->nodes[read.spec->node_count - 1];
    for (int i = 0; i < read.spec->parameter_count; i++) {
        const struct net_tensor *tensor = &read.spec->parameters[i];
        const struct replica *from = i == head->weight || i == head->bias ? &fresh : &written;
        assert_memory_equal(read.parameters + tensor->offset, from->parameters + tensor->offset,
                            tensor->count * sizeof(float));
    }
    release(&written);
    release(&read);
    release(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_it_wrote, make_path, remove_path),
        cmocka_unit_test_setup_teardown(classes_are_known_by_name, make_path, remove_path),
        cmocka_unit_test_setup_teardown(other_classes_start_with_a_fresh_head, make_path, remove_path),
        cmocka_unit_test_setup_teardown(has_torchvisions_names, make_path, remove_path),
        cmocka_unit_test_setup_teardown(refuses_another_model, make_path, remove_path),
        cmocka_unit_test_setup_teardown(keeps_a_fresh_head_on_request, make_path, remove_path),
        cmocka_unit_test_setup_teardown(judges_files_of_others, make_path, remove_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
