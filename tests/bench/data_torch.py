#!/usr/bin/env python3
"""Pictures per second of PyTorch's DataLoader with torchvision and Pillow, one worker: the training pipeline of
torchvision's ImageNet recipe. Usage: data_torch.py FOLDER SECONDS [BATCH]; FOLDER has class folders. Prints one
number."""
import sys
import time

import torch
from torchvision import datasets, transforms


def main():
    folder, seconds = sys.argv[1], float(sys.argv[2])
    batch = int(sys.argv[3]) if len(sys.argv) > 3 else 128
    torch.manual_seed(1)
    torch.set_num_threads(1)
    data = datasets.ImageFolder(folder, transforms.Compose([
        transforms.RandomResizedCrop(224),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]), is_valid_file=lambda path: path.lower().endswith((".jpg", ".jpeg")))
    sampler = torch.utils.data.RandomSampler(data, replacement=True, num_samples=1 << 30)
    loader = iter(torch.utils.data.DataLoader(data, batch_size=batch, sampler=sampler, num_workers=1))
    for _ in range(2):
        next(loader)
    begin, count = time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        count += len(next(loader)[1])
    print(f"{count / (time.monotonic() - begin):.1f}", flush=True)


if __name__ == "__main__":
    main()
