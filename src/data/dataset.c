/* The list of data sets with the constants of each, and the choice among them. Readers are in files of their own.
 *
 * mean and deviation are those in general use: CIFAR-10's as in the reference configuration (its deviation is the mean
 * of the pictures' own deviations), CIFAR-100's, MNIST's and Fashion-MNIST's over all training pixels, ImageNet's as
 * torchvision's models have them (for `photos` too, so that these can start from such models); those of
 * `shapes` were measured on its default training split of seed 1 (.501 and .249). */
#include "data/dataset.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "data/memory_set.h"

static const char *const shapes_classes[] = {"disc",  "ring", "square",   "frame",   "triangle",
                                             "cross", "star", "crescent", "stripes", "diamond"};

static const char *const cifar10_classes[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                              "dog",      "frog",       "horse", "ship", "truck"};

static const char *const cifar100_classes[] = {
    "apple",      "aquarium_fish", "baby",         "bear",       "beaver",      "bed",         "bee",
    "beetle",     "bicycle",       "bottle",       "bowl",       "boy",         "bridge",      "bus",
    "butterfly",  "camel",         "can",          "castle",     "caterpillar", "cattle",      "chair",
    "chimpanzee", "clock",         "cloud",        "cockroach",  "couch",       "crab",        "crocodile",
    "cup",        "dinosaur",      "dolphin",      "elephant",   "flatfish",    "forest",      "fox",
    "girl",       "hamster",       "house",        "kangaroo",   "keyboard",    "lamp",        "lawn_mower",
    "leopard",    "lion",          "lizard",       "lobster",    "man",         "maple_tree",  "motorcycle",
    "mountain",   "mouse",         "mushroom",     "oak_tree",   "orange",      "orchid",      "otter",
    "palm_tree",  "pear",          "pickup_truck", "pine_tree",  "plain",       "plate",       "poppy",
    "porcupine",  "possum",        "rabbit",       "raccoon",    "ray",         "road",        "rocket",
    "rose",       "sea",           "seal",         "shark",      "shrew",       "skunk",       "skyscraper",
    "snail",      "snake",         "spider",       "squirrel",   "streetcar",   "sunflower",   "sweet_pepper",
    "table",      "tank",          "telephone",    "television", "tiger",       "tractor",     "train",
    "trout",      "tulip",         "turtle",       "wardrobe",   "whale",       "willow_tree", "wolf",
    "woman",      "worm"};

static const char *const mnist_classes[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

static const char *const fashion_classes[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                              "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

/* The folders of torchvision and Kaggle. */
static const char *const mnist_folders[] = {"MNIST/raw", "MNIST", "raw", NULL};
static const char *const fashion_folders[] = {
    "FashionMNIST/raw", "FashionMNIST", "fashion_mnist", "fashionmnist", "fashion", "raw", NULL};
static const char *const cifar10_folders[] = {"cifar10", "cifar-10", "CIFAR10", NULL};
static const char *const cifar100_folders[] = {"cifar100", "cifar-100", "CIFAR100", NULL};

/* The data sets, one line each:
 * name, reader, folder, channels, height, width, classes, class names, flip, mean, deviation, other folders, and the
 * folder of a version that is not read */
#define DATASETS(ENTRY)                                                                                                \
    ENTRY("shapes", shapes_open, NULL, 3, 32, 32, 10, shapes_classes, true, {.5, .5, .5}, {.25, .25, .25}, NULL, NULL) \
    ENTRY("gaussian", gaussian_open, NULL, 1, 1, 0, 0, NULL, false, {0}, {1}, NULL, NULL)                              \
    ENTRY("cifar10", cifar10_open, "cifar-10-batches-bin", 3, 32, 32, 10, cifar10_classes, true,                       \
          {.4914, .4822, .4465}, {.2023, .1994, .2010}, cifar10_folders, "cifar-10-batches-py")                        \
    ENTRY("cifar100", cifar100_open, "cifar-100-binary", 3, 32, 32, 100, cifar100_classes, true,                       \
          {.5071, .4865, .4409}, {.2673, .2564, .2762}, cifar100_folders, "cifar-100-python")                          \
    ENTRY("mnist", idx_open, "mnist", 1, 28, 28, 10, mnist_classes, false, {.1307}, {.3081}, mnist_folders, NULL)      \
    ENTRY("fashion-mnist", idx_open, "fashion-mnist", 1, 28, 28, 10, fashion_classes, true, {.2860}, {.3530},          \
          fashion_folders, NULL)                                                                                       \
    ENTRY("imagenet", photos_open, "imagenet", 3, 224, 224, 0, NULL, true, {.485, .456, .406}, {.229, .224, .225},     \
          NULL, NULL)                                                                                                  \
    ENTRY("photos", photos_open, "photos", 3, 224, 224, 0, NULL, true, {.485, .456, .406}, {.229, .224, .225}, NULL,   \
          NULL)                                                                                                        \
    ENTRY("npy", arrays_open, "npy", 0, 0, 0, 0, NULL, false, {0}, {1}, NULL, NULL)

#define KIND(...) {__VA_ARGS__},
#define NAME(name, ...) name,

static const struct dataset_kind kinds[] = {DATASETS(KIND)};
static const char *const names[] = {DATASETS(NAME) NULL};

enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

static enum status report_unknown(const char *name)
{
    struct text known = {0};
    text_add_list(&known, names, KIND_COUNT);
    const char *nearest = text_nearest(name, names, KIND_COUNT);
    if (nearest != NULL)
        log_error("data.name: there is no data set \"%s\"; did you mean \"%s\"? Known are %s", name, nearest,
                  text_view(&known));
    else
        log_error("data.name: there is no data set \"%s\"; known are %s", name, text_view(&known));
    text_release(&known);
    return STATUS_USAGE;
}

enum status dataset_open(const struct dataset_params *params, struct dataset **out)
{
    const struct dataset_kind *kind = NULL;
    for (int i = 0; i < KIND_COUNT; i++)
        if (strcmp(params->name, kinds[i].name) == 0)
            kind = &kinds[i];
    if (kind == NULL)
        return report_unknown(params->name);
    bool own = strcmp(kind->name, "photos") == 0 || strcmp(kind->name, "npy") == 0; /* the user's */
    if (kind->folder != NULL && (params->path == NULL || params->path[0] == '\0')) {
        log_error("data set %s: its folder is not known; set data.path or $GRAPEVINE_DATA to the folder that holds "
                  "%s/%s%s%s",
                  kind->name, kind->folder, own ? "" : ", and get it with: scripts/get_data.sh ", own ? "" : kind->name,
                  own ? "" : " DIR");
        return STATUS_DATA;
    }
    TRY(kind->open(kind, params, out));
    bool usual = (*out)->mean == NULL && kind->width > 0; /* gaussian has neither: its samples are no pixels */
    (*out)->input_mean = usual ? kind->mean : (*out)->mean;
    (*out)->input_deviation = usual ? kind->deviation : (*out)->deviation;
    return STATUS_OK;
}

void dataset_close(struct dataset *set)
{
    if (set != NULL)
        set->ops->destroy(set);
}

bool dataset_has_files(const char *name)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(name, kinds[i].name) == 0)
            return kinds[i].folder != NULL;
    return false;
}

const char *const *dataset_names(void)
{
    return names;
}
