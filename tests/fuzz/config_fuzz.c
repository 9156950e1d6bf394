/* A configuration file, and the first line of it as an argument. */
#include "config/config.h"
#include "fuzz/fuzz_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = config_create();
    char argument[256];
    size_t length = size < sizeof argument - 1 ? size : sizeof argument - 1;
    memcpy(argument, data, length);
    argument[length] = '\0';
    argument[strcspn(argument, "\n")] = '\0';
    (void)config_load(config, fuzz_file(data, size));
    (void)config_set(config, argument);
    config_destroy(config);
    return 0;
}
