"""One ResNet-18/CIFAR training step in PyTorch, for step_bench: prints images per second and peak memory.

    python3 step_torch.py {contiguous_format|channels_last} BATCH THREADS STEPS

Prints "images_per_second peak_bytes" (the fastest step after the first two; the process's largest resident size).
Exit status 77 where PyTorch or torchvision is not installed.
"""
import resource
import sys
import time

try:
    import torch
    import torchvision
except ImportError:
    sys.exit(77)


def main():
    memory_format = getattr(torch, sys.argv[1])
    batch, threads, steps = (int(word) for word in sys.argv[2:5])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = torchvision.models.resnet18(num_classes=10)
    model.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = torch.nn.Identity()
    model = model.to(memory_format=memory_format)
    images = torch.randn(batch, 3, 32, 32).to(memory_format=memory_format)
    labels = torch.randint(0, 10, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    criterion = torch.nn.CrossEntropyLoss()
    seconds = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        optimizer.zero_grad()
        criterion(model(images), labels).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(batch / min(seconds[2:]), peak)


main()
