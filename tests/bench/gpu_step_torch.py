#!/usr/bin/env python3
"""A training step in PyTorch on a GPU: bf16 autocast, channels_last, SGD with momentum (fused), data on the GPU.

    gpu_step_torch.py MODEL BATCH [--size PIXELS] [--classes N] [--mode MODE] [--device cuda|cpu]
                      [--once ARM ... | --warm ARM ...]

MODEL is resnet18 or resnet50, as torchvision has them; pictures of up to 64 pixels get the CIFAR stem. An ARM is one of

    eager, compile                         the same batch again and again, in the GPU's memory
    eager-augmented, compile-augmented     each batch gathered, cropped, mirrored and normalised from bytes there

compile is torch.compile(mode=MODE), max-autotune by default. --once measures the arms and prints a table; --warm only
compiles, for the caches. Otherwise it serves gpu_step_bench: a line "prepare ARM" or "run ARM SECONDS" on standard
input is answered by one line on standard output: "ok ...", for a run "ok IMAGES_PER_SECOND FIRST_LOSS LAST_LOSS
PEAK_BYTES", or "failed REASON". Exit status 77 where there is no PyTorch.
"""
import argparse
import os
import sys
import time

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ImportError:
    print("failed PyTorch is not installed here", flush=True)
    sys.exit(77)

ARMS = ["eager", "compile", "eager-augmented", "compile-augmented"]
SMALL = 64  # pixels: up to here the CIFAR stem
PADDING = 4
WARM_UP = 10  # steps


# --- the models, with torchvision's shapes and initialisation ---

def conv(inputs, outputs, kernel, stride=1):
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


class Block(nn.Module):
    """Basic (3×3, 3×3) or bottleneck (1×1, 3×3 with the stride, 1×1 to four times the channels)."""

    def __init__(self, inputs, channels, stride, bottleneck):
        super().__init__()
        outputs = 4 * channels if bottleneck else channels
        shapes = [(inputs, channels, 3, stride), (channels, channels, 3, 1)]
        if bottleneck:
            shapes = [(inputs, channels, 1, 1), (channels, channels, 3, stride), (channels, outputs, 1, 1)]
        layers = []
        for shape in shapes:
            layers += [conv(*shape), nn.BatchNorm2d(shape[1]), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers[:-1])
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.body(x) + self.shortcut(x))


def resnet(depths, bottleneck, size, classes):
    stem = [conv(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    if size > SMALL:
        stem = [conv(3, 64, 7, 2), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    layers, inputs = stem, 64
    for stage, depth in enumerate(depths):
        for k in range(depth):
            layers.append(Block(inputs, 64 << stage, 2 if stage > 0 and k == 0 else 1, bottleneck))
            inputs = (64 << stage) * (4 if bottleneck else 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def build(name, size, classes):
    if name == "resnet18":
        return resnet([2, 2, 2, 2], False, size, classes)
    if name == "resnet50":
        return resnet([3, 4, 6, 3], True, size, classes)
    raise SystemExit(f"gpu_step_torch: no model {name}; there are resnet18 and resnet50")


# --- pictures on the device ---

class Pictures:
    """Bytes on the device with a border of zeros; every class has a colour, so that there is something to learn."""

    def __init__(self, count, size, classes, device):
        generator = torch.Generator().manual_seed(1)
        self.size, self.count, self.device = size, count, device
        self.labels = torch.arange(count) % classes
        colors = torch.randint(0, 256, (classes, 3, 1, 1), generator=generator, dtype=torch.uint8)
        noise = torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
        pixels = torch.where(noise % 2 == 0, noise, colors[self.labels])
        self.padded = functional.pad(pixels, [PADDING] * 4).to(device)
        self.labels = self.labels.to(device)
        self.range = torch.arange(size, device=device)

    def draw(self, batch):
        index = torch.randint(self.count, (batch,), device=self.device)
        rows = torch.randint(2 * PADDING + 1, (batch, 1), device=self.device) + self.range
        columns = torch.randint(2 * PADDING + 1, (batch, 1), device=self.device) + self.range
        mirrored = torch.rand(batch, 1, device=self.device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
        pixels = self.padded[index[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (batch, size, size, 3)
        images = (pixels.to(torch.bfloat16) * (1 / 255) - 0.5) * 4
        return images.permute(0, 3, 1, 2), self.labels[index]


# --- a step ---

class Trainer:
    """One network, its optimizer, and a fixed batch."""

    def __init__(self, options, compiled):
        torch.manual_seed(1)
        self.options, self.device = options, torch.device(options.device)
        self.model = build(options.model, options.size, options.classes)
        self.model = self.model.to(self.device, memory_format=torch.channels_last)
        self.network = torch.compile(self.model, mode=options.mode) if compiled else self.model
        self.optimizer = self.make_optimizer()
        count = 4 * options.batch if options.size > SMALL else 8192
        self.pictures = Pictures(count, options.size, options.classes, self.device)
        self.fixed = self.pictures.draw(options.batch)
        self.step_s = self.first = None

    def make_optimizer(self):
        arguments = {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}
        try:
            return torch.optim.SGD(self.model.parameters(), fused=self.device.type == "cuda", **arguments)
        except TypeError:  # before 2.3
            return torch.optim.SGD(self.model.parameters(), **arguments)

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def step(self, augmented):
        images, labels = self.pictures.draw(self.options.batch) if augmented else self.fixed
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            loss = functional.cross_entropy(self.network(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def prepare(self, augmented):
        begin = time.perf_counter()
        for _ in range(WARM_UP):
            loss = self.step(augmented).item()
            self.first = loss if self.first is None else self.first
        timed = time.perf_counter()
        for _ in range(WARM_UP):
            self.step(augmented)
        self.synchronize()
        self.step_s = (time.perf_counter() - timed) / WARM_UP
        return f"ready after {timed - begin:.1f} s, loss {loss:.3f}, {1e3 * self.step_s:.2f} ms a step"

    def run(self, augmented, seconds):
        steps = max(2, round(seconds / self.step_s))
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        self.synchronize()
        begin = time.perf_counter()
        for _ in range(steps):
            loss = self.step(augmented)
        last = loss.item()
        self.synchronize()
        elapsed = time.perf_counter() - begin
        self.step_s = elapsed / steps
        peak = torch.cuda.max_memory_allocated() if self.device.type == "cuda" else 0
        return self.options.batch * steps / elapsed, self.first, last, peak


# --- answers ---

class Server:
    """The trainers, made when they are first asked for. Eager and compiled networks live side by side."""

    def __init__(self, options):
        self.options, self.trainers = options, {}

    def trainer(self, arm):
        kind = arm.split("-")[0]
        if kind not in self.trainers:
            self.trainers[kind] = Trainer(self.options, kind == "compile")
        return self.trainers[kind]

    def answer(self, words):
        arm = words[1]
        augmented = arm.endswith("-augmented")
        if words[0] == "prepare":
            return f"ok {self.trainer(arm).prepare(augmented)}"
        rate, first, last, peak = self.trainer(arm).run(augmented, float(words[2]))
        return f"ok {rate:.6g} {first:.6g} {last:.6g} {peak}"

    def try_answer(self, words):
        try:
            return self.answer(words)
        except Exception as error:  # pylint: disable=broad-except  # whatever it is: the answer is that it failed
            print(f"gpu_step_torch: {' '.join(words)}: {error!r}", file=sys.stderr, flush=True)
            return "failed " + " ".join(repr(error).split())[:200]


def serve(server):
    """Libraries may print: standard output is kept for the answers."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        words = line.split()
        if len(words) >= 2 and words[1] in ARMS:
            answers.write(server.try_answer(words) + "\n")
        else:
            answers.write(f"failed not understood: {line.strip()[:80]}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("batch", type=int)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--mode", default="max-autotune")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--once", nargs="+", choices=ARMS)
    parser.add_argument("--warm", nargs="+", choices=ARMS)
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    server = Server(options)
    for arm in options.warm or options.once or []:
        print(f"{options.model}, batch {options.batch}, {arm}: {server.try_answer(['prepare', arm])}", flush=True)
    for arm in options.once or []:
        print(f"{options.model}, batch {options.batch}, {arm}: {server.try_answer(['run', arm, '2'])}", flush=True)
    if not options.warm and not options.once:
        serve(server)


if __name__ == "__main__":
    main()
