"""ResNet-18/CIFAR in PyTorch's DistributedDataParallel over gloo, for peer_bench: prints images per second.

    peer_torch.py --version
    peer_torch.py PRECISION RANKS BATCH STEPS SLOWER

As many processes as RANKS, of one thread each, on random images, in channels_last, PyTorch's faster format on CPUs;
PRECISION is fp32 or bf16 (autocast). After one step that is not measured come STEPS with all ranks alike, then STEPS in
which rank 1 also sleeps so long that it is SLOWER times slower: (SLOWER - 1) times a step of the first kind. Prints
"alike slow", images per second of all ranks together. Exit status 77 where there is no PyTorch with torchvision or
gloo.
"""
import contextlib
import os
import subprocess
import sys
import time

try:
    import torch
    import torch.distributed as dist
except ImportError:
    sys.exit(77)
try:
    from torchvision.models import resnet18
except ImportError:
    resnet18 = None


class Block(torch.nn.Module):
    """torchvision's BasicBlock, for a PyTorch that came without torchvision."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        conv, norm = torch.nn.Conv2d, torch.nn.BatchNorm2d
        self.conv1, self.bn1 = conv(channels_in, channels, 3, stride, 1, bias=False), norm(channels)
        self.conv2, self.bn2 = conv(channels, channels, 3, 1, 1, bias=False), norm(channels)
        self.relu, self.downsample = torch.nn.ReLU(inplace=True), None
        if stride != 1 or channels_in != channels:
            self.downsample = torch.nn.Sequential(conv(channels_in, channels, 1, stride, bias=False), norm(channels))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def build():
    """ResNet-18 with the stem that CIFAR's images want: 3 × 3, stride 1, no pooling."""
    if resnet18 is not None:
        model = resnet18(num_classes=10)
        model.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
        model.maxpool = torch.nn.Identity()
        return model
    blocks, channels = [], 64
    for width in 64, 128, 256, 512:
        blocks += [Block(channels, width, 1 if width == channels else 2), Block(width, width, 1)]
        channels = width
    return torch.nn.Sequential(torch.nn.Conv2d(3, 64, 3, padding=1, bias=False), torch.nn.BatchNorm2d(64),
                               torch.nn.ReLU(inplace=True), *blocks, torch.nn.AdaptiveAvgPool2d(1),
                               torch.nn.Flatten(), torch.nn.Linear(512, 10))


class Trainer:
    def __init__(self, precision, batch):
        torch.set_num_threads(1)
        torch.manual_seed(1)
        model = build().to(memory_format=torch.channels_last)
        self.model = torch.nn.parallel.DistributedDataParallel(model)
        self.images = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
        self.labels = torch.randint(0, 10, (batch,))
        self.optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
        self.criterion = torch.nn.CrossEntropyLoss()
        self.cast = (lambda: torch.autocast("cpu", dtype=torch.bfloat16)) if precision == "bf16" else \
            contextlib.nullcontext

    def steps(self, count, sleep_s):
        """Seconds that the steps take, from barrier to barrier."""
        dist.barrier()
        start = time.perf_counter()
        for _ in range(count):
            self.optimizer.zero_grad()
            with self.cast():
                loss = self.criterion(self.model(self.images), self.labels)
            time.sleep(sleep_s)
            loss.backward()
            self.optimizer.step()
        dist.barrier()
        return time.perf_counter() - start


def run_rank(precision, ranks, batch, steps, slower):
    dist.init_process_group("gloo", rank=int(os.environ["RANK"]), world_size=ranks)
    trainer = Trainer(precision, batch)
    trainer.steps(1, 0)
    alike_s = trainer.steps(steps, 0)
    sleep_s = (slower - 1) * alike_s / steps if dist.get_rank() == 1 else 0
    slow_s = trainer.steps(steps, sleep_s)
    if dist.get_rank() == 0:
        print(*(ranks * batch * steps / seconds for seconds in (alike_s, slow_s)))
    dist.destroy_process_group()


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    if sys.argv[1] == "--version":
        print(torch.__version__)
        return 0 if dist.is_available() else 77
    precision, (ranks, batch, steps), slower = sys.argv[1], map(int, sys.argv[2:5]), float(sys.argv[5])
    if "RANK" in os.environ:
        run_rank(precision, ranks, batch, steps, slower)
        return 0
    place = dict(os.environ, MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()), OMP_NUM_THREADS="1",
                 GLOO_SOCKET_IFNAME="lo")
    processes = [subprocess.Popen([sys.executable] + sys.argv, env=dict(place, RANK=str(rank)))
                 for rank in range(ranks)]
    return max(process.wait() for process in processes)


sys.exit(main())
