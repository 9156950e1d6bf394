#!/usr/bin/env python3
"""Data for tests/e2e/data_layouts_test.sh, drawn with a seed.

    data_layouts.py photos FOLDER COUNT KIND    FOLDER/left, FOLDER/right: COUNT images in each; KIND: jpg, png, webp,
                                                or mixed: all of them, and one of each under another's name
    data_layouts.py arrays FOLDER COUNT TESTS   FOLDER/npy: arrays of images and labels in three classes, to train and
                                                to test; FOLDER/bare: those to train alone
    data_layouts.py pickles FOLDER              FOLDER/cifar-10-batches-py: four images in each file; FOLDER/expected:
                                                what the binary version of them is
    data_layouts.py evil FILE                   a pickle that would run a program
    data_layouts.py scale FOLDER RUN            the run's record and checkpoint have mean and deviation of FOLDER/npy
"""
import json
import os
import pickle
import random
import struct
import sys

import numpy as np
from PIL import Image

KINDS = {"png": ("PNG", {}), "webp": ("WEBP", {"quality": 80}), "jpg": ("JPEG", {"quality": 90})}


def stripes(draw, left):
    """Bright on one side, noise over all of it."""
    width, height = draw.randrange(48, 90), draw.randrange(48, 90)
    dark, bright = (Image.new("RGB", (width, height), tuple(draw.randrange(low, low + 60) for _ in range(3)))
                    for low in (0, 180))
    noise = Image.frombytes("L", (width, height), draw.randbytes(width * height)).convert("RGB")
    image = dark.copy()
    image.paste(bright.crop((0, 0, width // 2, height)), (0 if left else width - width // 2, 0))
    return Image.blend(image, noise, 0.2)


def photos(folder, count, kind):
    for name in ("left", "right"):
        place = os.path.join(folder, name)
        os.makedirs(place)
        draw = random.Random(f"{os.path.basename(folder)}-{name}")
        for k in range(int(count)):
            ending = list(KINDS)[k % 3] if kind == "mixed" else kind
            image = stripes(draw, name == "left")
            if ending == "png" and k % 2 == 1:
                image.putalpha(100)
            format_name, options = KINDS[ending]
            shown = "jpg" if kind == "mixed" and k >= int(count) - 3 else ending
            image.save(os.path.join(place, f"{k}.{shown}"), format_name, **options)


def arrays(folder, count, tests):
    random_numbers = np.random.default_rng(5)
    for name in ("npy", "bare"):
        os.makedirs(os.path.join(folder, name))
    for split, total in (("train", int(count)), ("test", int(tests))):
        labels = np.arange(total) % 3
        images = random_numbers.integers(0, 120, (total, 12, 10, 3)) + 40 * labels[:, None, None, None]
        places = [("npy", f"x_{split}", f"y_{split}")] + [("bare", "images", "labels")] * (split == "train")
        for place, x, y in places:
            np.save(os.path.join(folder, place, x), images.astype("uint8"))
            np.save(os.path.join(folder, place, y), labels)


def scale(folder, run):
    images = np.load(os.path.join(folder, "npy", "x_train.npy")) / 255
    with open(os.path.join(run, "summary.json")) as file:
        summary = json.load(file)
    with open(os.path.join(run, "final.safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))["__metadata__"]
    for name, wanted in (("mean", images.mean((0, 1, 2))), ("deviation", images.std((0, 1, 2)))):
        assert np.allclose(summary[name], wanted, atol=1e-9), (summary[name], wanted)
        assert np.allclose([float(word) for word in header[name].split()], wanted, atol=1e-9), header[name]


def pickles(folder):
    draw = np.random.default_rng(6)
    python, binary = os.path.join(folder, "cifar-10-batches-py"), os.path.join(folder, "expected")
    os.makedirs(python)
    os.makedirs(binary)
    for name in [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]:
        labels = draw.integers(0, 10, 4).astype("uint8")
        data = draw.integers(0, 256, (4, 3072)).astype("uint8")
        with open(os.path.join(python, name), "wb") as file:
            content = {b"batch_label": b"a batch", b"labels": [int(k) for k in labels], b"data": data}
            pickle.dump(content, file, protocol=2)
        np.hstack([labels[:, None], data]).tofile(os.path.join(binary, name + ".bin"))


class Evil:
    def __reduce__(self):
        return os.system, ("echo run >&2",)


def evil(path):
    with open(path, "wb") as file:
        pickle.dump({b"labels": Evil(), b"data": None}, file)


if __name__ == "__main__":
    {"photos": photos, "arrays": arrays, "scale": scale, "pickles": pickles, "evil": evil}[sys.argv[1]](*sys.argv[2:])
