#!/usr/bin/env python3
"""Pictures per second of FFCV with one thread: JPEG bytes as they are, random crops resized to 224, flipped, normalised
to fp32. Usage: data_ffcv.py FOLDER SECONDS; FOLDER has class folders. Prints one number."""
import os
import sys
import tempfile
import time

import numpy as np
from ffcv.fields import IntField, RGBImageField
from ffcv.fields.decoders import IntDecoder
from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.transforms import NormalizeImage, RandomHorizontalFlip, Squeeze, ToTensor, ToTorchImage
from ffcv.writer import DatasetWriter
from torchvision.datasets import ImageFolder


def write(folder, path):
    data = ImageFolder(folder, is_valid_file=lambda name: name.lower().endswith((".jpg", ".jpeg")))
    fields = {"image": RGBImageField(write_mode="jpg", jpeg_quality=95), "label": IntField()}
    DatasetWriter(path, fields, num_workers=1).from_indexed_dataset(data)


def main():
    folder, seconds = sys.argv[1], float(sys.argv[2])
    kept = os.environ.get("FFCV_FILE", "")
    path = kept or os.path.join(tempfile.mkdtemp(), "set.beton")
    if not os.path.exists(path):
        write(folder, path)
    mean, deviation = np.array([0.485, 0.456, 0.406]) * 255, np.array([0.229, 0.224, 0.225]) * 255
    loader = Loader(path, batch_size=128, num_workers=1, order=OrderOption.RANDOM, os_cache=True, drop_last=True,
                    pipelines={"image": [RandomResizedCropRGBImageDecoder((224, 224)), RandomHorizontalFlip(),
                                         NormalizeImage(mean, deviation, np.float32), ToTensor(), ToTorchImage()],
                               "label": [IntDecoder(), ToTensor(), Squeeze()]})
    for _ in loader:  # compiles
        break
    begin, count = time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        for _, labels in loader:
            count += len(labels)
            if time.monotonic() - begin >= seconds:
                break
    print(f"{count / (time.monotonic() - begin):.1f}", flush=True)


if __name__ == "__main__":
    main()
