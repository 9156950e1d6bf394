/* Lists of labels: the first byte says whether classes and synsets are known, the second how much of the input is the
 * list of synsets. */
#include "data/photos/photo_builder.h"
#include "data/pack/photo_labels.h"
#include "fuzz/fuzz_fixture.h"

static struct photo_index make_photographs(void)
{
    static const char *const names[] = {"a.JPEG", "a.jpg", "b 1.jpg", "c.jpeg"};
    struct photo_builder builder = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        photo_builder_add(&builder, NULL, names[i])->label = -1;
    builder.index.folder = strdup("val");
    return builder.index;
}

static struct photo_index make_classes(void)
{
    const char *names[] = {"n1", "n2", "n3 n4", "5"};
    struct photo_builder builder = {0};
    photo_builder_set_classes(&builder, names, sizeof names / sizeof names[0]);
    builder.index.folder = strdup("train");
    return builder.index;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char labels[128], synsets[128];
    const char *folder = fuzz_folder(NULL);
    if (size < 2)
        return 0;
    size_t left = size - 2, split = (data[0] & 2) != 0 ? data[1] % (left + 1) : 0;
    fuzz_write(folder, "labels", data + 2 + split, left - split);
    fuzz_write(folder, "synsets", data + 2, split);
    snprintf(labels, sizeof labels, "%s/labels", folder);
    snprintf(synsets, sizeof synsets, "%s/synsets", folder);
    struct photo_index flat = make_photographs(), classes = make_classes();
    if (photo_labels_apply(labels, (data[0] & 2) != 0 ? synsets : NULL, (data[0] & 1) != 0 ? &classes : NULL, &flat) ==
        STATUS_OK)
        for (size_t i = 0; i < flat.count; i++)
            if (flat.photos[i].label < 0 || flat.photos[i].label >= flat.class_count)
                abort();
    photo_index_release(&flat);
    photo_index_release(&classes);
    return 0;
}
