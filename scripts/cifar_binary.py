#!/usr/bin/env python3
"""CIFAR-10 or CIFAR-100 in Python's version, as torchvision downloads it, written anew in the binary version.

    scripts/cifar_binary.py FOLDER      FOLDER: cifar-10-batches-py or cifar-100-python, or the folder that holds it

The files appear beside it, in cifar-10-batches-bin/ or cifar-100-binary/, byte for byte as they are published. Needs
NumPy. Pickles can run programs: only what an array is made of is let in. Exit status: 0, 2 wrong usage, 3 not possible.
"""
import os
import pickle
import sys

import numpy

SETS = {
    "cifar-10-batches-py": ("cifar-10-batches-bin", [b"labels"],
                            [(f"data_batch_{k}", f"data_batch_{k}.bin") for k in range(1, 6)] +
                            [("test_batch", "test_batch.bin")]),
    "cifar-100-python": ("cifar-100-binary", [b"coarse_labels", b"fine_labels"],
                         [("train", "train.bin"), ("test", "test.bin")]),
}
ALLOWED = {"ndarray", "dtype", "_reconstruct", "_frombuffer", "encode"}


class Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if name not in ALLOWED or module.split(".")[0] not in ("numpy", "_codecs"):
            raise pickle.UnpicklingError(f"{module}.{name} has no place in it")
        return super().find_class(module, name)


def fail(status, words):
    print(f"cifar_binary.py: {words}", file=sys.stderr)
    sys.exit(status)


def read_records(path, label_keys):
    """(N, labels and 3072 pixels) bytes."""
    with open(path, "rb") as file:
        batch = Reader(file, encoding="bytes").load()
    batch = {key if isinstance(key, bytes) else key.encode(): value for key, value in batch.items()}
    columns = [numpy.asarray(batch[key], dtype=numpy.uint8)[:, None] for key in label_keys]
    pixels = numpy.asarray(batch[b"data"])
    if pixels.dtype != numpy.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3072:
        raise ValueError(f"its data are {pixels.dtype} {pixels.shape}, not uint8 (N, 3072)")
    return numpy.hstack(columns + [pixels])


def find(folder):
    for name, (_, _, files) in SETS.items():
        for place in (folder, os.path.join(folder, name)):
            if all(os.path.isfile(os.path.join(place, source)) for source, _ in files):
                return name, place
    return fail(3, f"{folder}: neither cifar-10-batches-py nor cifar-100-python with all of its files")


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if len(sys.argv) == 2 else 2)
    name, place = find(sys.argv[1])
    folder, label_keys, files = SETS[name]
    target = os.path.join(os.path.dirname(os.path.abspath(place)), folder)
    os.makedirs(target, exist_ok=True)
    for source, written in files:
        path = os.path.join(place, source)
        try:
            records = read_records(path, label_keys)
        except (pickle.UnpicklingError, ValueError, KeyError, TypeError, EOFError) as error:
            fail(3, f"{path}: cannot be read: {error!r}")
        part = os.path.join(target, written + ".part")
        records.tofile(part)
        os.replace(part, os.path.join(target, written))
    print(f"{target}: written; train with data.path={os.path.dirname(target)}")


if __name__ == "__main__":
    main()
