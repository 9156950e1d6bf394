/* Memory: zeroed, aligned, whole, and one message with exit status 4 when there is none. */
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/status.h"
#include "capture.h"

static bool is_zero(const void *from, size_t bytes)
{
    const unsigned char *byte = from;
    for (size_t i = 0; i < bytes; i++)
        if (byte[i] != 0)
            return false;
    return true;
}

static void test_heap_memory(void **state)
{
    (void)state;
    int *items = memory_zalloc(1000, sizeof *items);
    assert_true(is_zero(items, 1000 * sizeof *items));
    for (int i = 0; i < 1000; i++)
        items[i] = i;
    items = memory_realloc(items, 100000, sizeof *items);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    items = memory_realloc(items, 0, sizeof *items);
    assert_non_null(items);
    free(items);
    void *nothing = memory_zalloc(0, 0);
    assert_non_null(nothing);
    free(nothing);
}

static void test_copy_text(void **state)
{
    char word[] = "grape";
    (void)state;
    assert_null(memory_copy_text(NULL));
    char *copy = memory_copy_text(word);
    word[0] = 'G';
    assert_string_equal(copy, "grape");
    free(copy);
}

static void test_alignment(void **state)
{
    static const size_t sizes[] = {0, 1, 64, 65, 100000, (size_t)4 << 20, ((size_t)4 << 20) + 1};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t alignment = sizes[i] >= (size_t)4 << 20 ? (size_t)2 << 20 : MEMORY_ALIGNMENT;
        void *memory = memory_alloc_aligned(sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % alignment, 0);
        assert_true(is_zero(memory, sizes[i]));
        memset(memory, 0xFF, sizes[i]);
        memory_free_aligned(memory);
    }
    memory_free_aligned(NULL);
}

/* How a child ends that asks for more than there can be. */
static int status_of_child(int kind, const char **text, struct capture *capture)
{
    volatile size_t count = SIZE_MAX / 4;
    int how;
    capture_begin(capture);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        if (kind == 0)
            free(memory_zalloc(count, 16));
        else if (kind == 1)
            free(memory_realloc(NULL, count, 16));
        else if (kind == 2)
            memory_free_aligned(memory_alloc_aligned(count));
        else if (kind == 3)
            memory_free_aligned(memory_alloc_aligned(count * 4 + 1));
        _exit(0);
    }
    waitpid(child, &how, 0);
    *text = capture_end(capture);
    return how;
}

static void test_out_of_memory(void **state)
{
    struct capture capture;
    const char *text;
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        int how = status_of_child(kind, &text, &capture);
        assert_true(WIFEXITED(how));
        assert_int_equal(WEXITSTATUS(how), STATUS_MACHINE);
        assert_memory_equal(text, "grapevine: error: out of memory: ", 33);
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap_memory),
        cmocka_unit_test(test_copy_text),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
