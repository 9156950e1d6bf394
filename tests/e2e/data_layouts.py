#!/usr/bin/env python3
"""Data for tests/e2e/data_layouts_test.sh, drawn with a seed.

    data_layouts.py photos FOLDER COUNT KIND    FOLDER/left and FOLDER/right: COUNT images in each; KIND: jpg, png, webp,
                                                or mixed: all of them in turns, one of each under another's name
"""
import os
import random
import sys

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


if __name__ == "__main__":
    {"photos": photos}[sys.argv[1]](*sys.argv[2:])
