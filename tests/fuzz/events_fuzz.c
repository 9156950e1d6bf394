/* The event log of a recorded run. */
#include "app/event_log.h"
#include "fuzz/fuzz_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event_log_content content = {0};
    const char *folder = fuzz_folder(NULL);
    fuzz_write(folder, "events-0.jsonl", data, size);
    if (event_log_read(folder, 0, &content) == STATUS_OK)
        event_log_content_release(&content);
    return 0;
}
