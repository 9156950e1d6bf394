/* Labels of photographs that lie in one folder, from a list as it is published. Private to data/.
 *
 * What a list says is told by its first line:
 *
 *     ImageId,PredictionString    a NAME,CLASS and more in each line after it, NAME without its ending (Kaggle's
 *                                 LOC_val_solution.csv)
 *     a class                     one class in each line, in the order of the sorted names of the files (TensorFlow's
 *                                 imagenet_2012_validation_synset_labels.txt)
 *     NAME CLASS, NAME NUMBER     so in each line; the number counts the classes, sorted, from 0 (Caffe's val.txt)
 *     a number                    one in each line, in the order of the names; it counts the lines of the file of
 *                                 synsets from 1 (ILSVRC2012_validation_ground_truth.txt)
 *
 * NAME may have folders before it, which are not looked at. Empty lines count for nothing. */
#ifndef GRAPEVINE_SRC_DATA_PACK_PHOTO_LABELS_H
#define GRAPEVINE_SRC_DATA_PACK_PHOTO_LABELS_H

#include "data/photos/photo_index.h"

/* Set labels and classes of `flat` (photo_folder_flat) from the list in the file `labels`. `synsets`: a file with the
 * class of each number, the first word of a line; NULL where no list of numbers alone is given. `classes`: whose
 * numbers are to be used; NULL: those that the list, or `synsets`, names. STATUS_DATA (logged, with file and line): a
 * file that cannot be read, a line that cannot be understood, a class that is not known, a photograph without a label,
 * more or fewer lines than photographs where their order is what counts. */
enum status photo_labels_apply(const char *labels, const char *synsets, const struct photo_index *classes,
                               struct photo_index *flat);

#endif
