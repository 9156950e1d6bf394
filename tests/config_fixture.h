/* A config, a temporary file to load it from, and what it writes: for the tests of the config layer. */
#ifndef GRAPEVINE_TESTS_CONFIG_FIXTURE_H
#define GRAPEVINE_TESTS_CONFIG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"
#include "config/config.h"

struct fixture {
    struct config *config; /* owned */
    char path[64];         /* of a temporary file */
    struct capture capture;
    char *written; /* owned: what config_write gave */
};

static inline int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    strcpy(fixture->path, "/tmp/grapevine-config-XXXXXX");
    close(mkstemp(fixture->path));
    fixture->config = config_create();
    *state = fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;
    config_destroy(fixture->config);
    unlink(fixture->path);
    free(fixture->written);
    free(fixture);
    return 0;
}

static inline enum status load_bytes(struct fixture *fixture, const char *bytes, size_t length)
{
    FILE *file = fopen(fixture->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
    return config_load(fixture->config, fixture->path);
}

static inline enum status load(struct fixture *fixture, const char *yaml)
{
    return load_bytes(fixture, yaml, strlen(yaml));
}

/* The config as config_write gives it; owned by the fixture. */
static inline const char *write_config(struct fixture *fixture)
{
    size_t length;
    free(fixture->written);
    FILE *out = open_memstream(&fixture->written, &length);
    config_write(fixture->config, out);
    fclose(out);
    return fixture->written;
}

#define CONFIG_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
