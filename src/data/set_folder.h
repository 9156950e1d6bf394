/* Where the files of a published set lie below data.path: torchvision, Kaggle and the publishers each have folders and
 * names of their own. Private to data/. */
#ifndef GRAPEVINE_SRC_DATA_SET_FOLDER_H
#define GRAPEVINE_SRC_DATA_SET_FOLDER_H

#include "data/memory_set.h"

/* The folder that has a file `name` in it, in any of its forms (set_file_find): data.path with kind->folder, with each
 * of kind->folders, itself; then any folder called kind->folder a few levels below. Where there is none: data.path
 * with kind->folder, for the message. Owned by the caller. */
char *set_folder_find(const struct dataset_kind *kind, const struct dataset_params *params, const char *name);

/* "FOLDER/FILE" as the file `name` is called there: NAME.gz, NAME; with a dot in place of the last dash but one
 * (train-images.idx3-ubyte); in a folder of its own name; "FOLDER/NAME.gz" where none is there, or "FOLDER/NAME" of one
 * that ends in .bin. Owned by the caller. */
char *set_file_find(const char *folder, const char *name);

#endif
