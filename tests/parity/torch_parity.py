"""Whole networks against PyTorch: the same weights and batch must give the same logits, loss and gradients.

    python3 tests/parity/torch_parity.py build/tests/parity/net_dump [MODEL ...]

Each network runs in fp32 with batch norm in training mode and dropout off, in PyTorch and in Grapevine's CPU backend
(by way of net_dump). Names, order and shapes of parameters and buffers must be equal; logits, loss and running
statistics agree to 1e-4, each gradient to 1e-3 of its own norm, or of 1e-6 of the whole gradient's. Then the running
statistics are used: logits in evaluation mode agree to 1e-4.

Two things would make any two fp32 programs differ by more (PyTorch from its own float64 result too):
* A bias before batch norm has gradient zero in exact arithmetic, and rounding alone in fp32: about 1e-7 of the whole
  gradient. Where float64 says that a gradient is zero, both must be below 1e-6 of the whole gradient's norm.
* ReLU's derivative jumps at zero. Among millions of activations some lie closer to it than rounding, and each that
  falls on the other side moves gradients by about 1e-2. `settle` shifts every norm's (or linear layer's) bias by a
  little, channel by channel, so that zero lies in a gap between the activations. Nothing is removed from the network.

Prints one row per model with its worst tensors: the deviation over what is allowed, and PyTorch's own deviation from
float64 on the same scale. Exit status 0, 1 (some model failed), 77 (no PyTorch here).
"""
import collections
import copy
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torchvision
except ImportError as error:
    print(f"skipped: {error} (Debian: python3-torch python3-torchvision)")
    sys.exit(77)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts"))
import torch_models  # noqa: E402  (it ends the program where there is no PyTorch)

CLASSES = 10
RELATIVE = 1e-4
GRADIENT = 1e-3
GRADIENT_FLOOR = 1e-6
ZERO = 1e-12  # of the whole gradient's norm, in float64
nn = torch.nn


def resnet(name, small):
    return torch_models.torchvision_resnet(name, 3, CLASSES, small)


def vgg(name):
    model = torch_models.torchvision_vgg(name, CLASSES)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


Case = collections.namedtuple("Case", "name batch channels size build smoothing", defaults=[0.0])
Case.__doc__ = "Grapevine's name of the model, height = width of a picture, PyTorch's model, label smoothing."

CASES = {
    "mlp": Case("mlp", 8, 3, 32, lambda: torch_models.Mlp(3 * 32 * 32)),
    "mlp 28": Case("mlp", 8, 1, 28, lambda: torch_models.Mlp(28 * 28)),
    "convnet": Case("convnet", 8, 3, 32, lambda: torch_models.Convnet(3)),
    "convnet 28": Case("convnet", 8, 1, 28, lambda: torch_models.Convnet(1)),
    "convnet-smoothed": Case("convnet", 8, 3, 32, lambda: torch_models.Convnet(3), 0.1),
    "resnet20": Case("resnet20", 8, 3, 32, lambda: torch_models.Resnet20(3)),
    "resnet18": Case("resnet18", 8, 3, 32, lambda: resnet("resnet18", True)),
    "resnet18 96": Case("resnet18", 4, 3, 96, lambda: resnet("resnet18", False)),
    "resnet34": Case("resnet34", 8, 3, 32, lambda: resnet("resnet34", True)),
    "resnet50": Case("resnet50", 8, 3, 32, lambda: resnet("resnet50", True)),
    "vgg13": Case("vgg13", 8, 3, 32, lambda: vgg("vgg13")),
    "vgg19": Case("vgg19", 8, 3, 32, lambda: vgg("vgg19")),
}


def statistics_of(model):
    return [(name, b) for name, b in model.named_buffers() if not name.endswith("num_batches_tracked")]


def perturb(model):
    """Scales, shifts and statistics that are not all one and zero, so that a mix-up shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif getattr(module, "bias", None) is not None:
            nn.init.normal_(module.bias, 0, 0.1)


def gap_shift(values):
    """For each row of (channels, n): the shift that moves the widest gap near zero onto zero."""
    window, beyond = 0.25, 1.0
    low, high = values.min(dim=1, keepdim=True)[0] - beyond, values.max(dim=1, keepdim=True)[0] + beyond
    ordered = torch.cat([low, values.sort(dim=1)[0], high], dim=1)
    middle, width = (ordered[:, 1:] + ordered[:, :-1]) / 2, ordered[:, 1:] - ordered[:, :-1]
    best = torch.where(middle.abs() <= window, width, torch.zeros_like(width)).argmax(dim=1, keepdim=True)
    found = middle.abs().min(dim=1)[0] <= window
    return torch.where(found, -middle.gather(1, best).squeeze(1), torch.zeros_like(found, dtype=values.dtype))


def settle(model, images):
    """Shift biases, front to back, so that no ReLU has an input near zero on these images. Needs float64."""
    last = []

    def remember(module, inputs, output):
        last[:] = [module]

    def before_relu(module, inputs):
        z = inputs[0].detach()
        shift = gap_shift(z.transpose(0, 1).flatten(1))
        last[0].bias.data += shift
        return (z + shift.view(1, -1, *[1] * (z.dim() - 2)),)

    saved = {name: buffer.clone() for name, buffer in model.named_buffers()}
    hooks = []
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.Linear)):
            hooks.append(module.register_forward_hook(remember))
        elif isinstance(module, nn.ReLU):
            hooks.append(module.register_forward_pre_hook(before_relu))
    with torch.no_grad():
        model.train()(images)
    for hook in hooks:
        hook.remove()
    for name, buffer in model.named_buffers():
        buffer.copy_(saved[name])


def write_input(path, case, model, images, labels):
    with open(path, "wb") as file:
        np.array([case.channels, case.size, case.size, CLASSES], dtype=np.int32).tofile(file)
        np.array([case.smoothing], dtype=np.float64).tofile(file)
        for _, tensor in list(model.named_parameters()) + statistics_of(model):
            tensor.detach().numpy().astype(np.float32).tofile(file)
        images.numpy().tofile(file)
        labels.numpy().astype(np.int32).tofile(file)


class Output:
    """What net_dump wrote, read front to back."""

    def __init__(self, path, listing):
        self.file = open(path, "rb")
        self.listing = [line.split() for line in listing.splitlines()]

    def take(self, shape, kind=np.float32):
        count = int(np.prod(shape))
        values = np.fromfile(self.file, dtype=kind, count=count)
        if values.size != count:
            raise RuntimeError("net_dump's output is short")
        return values.reshape(shape).astype(np.float64)

    def expect_tensors(self, kind, tensors):
        ours = [(row[1], [int(n) for n in row[2:]]) for row in self.listing if row[0] == kind]
        theirs = [(name, list(tensor.shape)) for name, tensor in tensors]
        for a, b in zip(ours, theirs):
            if a != b:
                raise RuntimeError(f"{kind} {a[0]} {a[1]}, PyTorch has {b[0]} {b[1]}")
        if len(ours) != len(theirs):
            raise RuntimeError(f"{len(ours)} tensors of kind {kind}, PyTorch has {len(theirs)}")


class Worst:
    """The largest of (deviation / allowed), with the name of its tensor."""

    def __init__(self):
        self.ratio, self.name = 0.0, ""

    def see(self, name, ours, theirs, bound, floor=0.0):
        theirs = np.asarray(theirs, dtype=np.float64)
        deviation = np.linalg.norm((ours - theirs).ravel())
        scale = max(np.linalg.norm(theirs.ravel()), floor)
        relative = deviation / scale if scale > 0 else (0.0 if deviation == 0 else float("inf"))
        if not relative / bound <= self.ratio:  # a NaN is the worst
            self.ratio, self.name = relative / bound, name


def step(model, images, labels, smoothing):
    """Forward and backward pass in training mode: (logits, loss, gradients by name)."""
    logits = model.train()(images)
    loss = nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    loss.backward()
    gradients = {name: p.grad.double().numpy() for name, p in model.named_parameters()}
    return logits.detach().numpy(), loss.item(), gradients


def prepare(case):
    """A model in fp32, settled on its images, and the labels."""
    torch.manual_seed(1)
    model = case.build()
    perturb(model)
    images = torch.randn(case.batch, case.channels, case.size, case.size)
    labels = torch.randint(0, CLASSES, (case.batch,))
    model = model.double()
    settle(model, images.double())
    return model.float(), images, labels


def run_net_dump(net_dump, folder, case, model, images, labels):
    source, target = os.path.join(folder, "in.raw"), os.path.join(folder, "out.raw")
    write_input(source, case, model, images, labels)
    run = subprocess.run([net_dump, case.name, str(case.batch), source, target], stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        raise RuntimeError(f"net_dump ended with status {run.returncode}")
    os.unlink(source)
    return Output(target, run.stdout)


def see_gradient(worst, tensor, ours, theirs, exact, whole):
    """One tensor's deviation; `exact` is the float64 gradient, `whole` the norm of all of them."""
    if np.linalg.norm(exact) <= ZERO * whole:
        worst.see(tensor, ours, theirs, 1.0, GRADIENT_FLOOR * whole)
    else:
        worst.see(tensor, ours, theirs, GRADIENT, GRADIENT_FLOOR * whole)


def compare(net_dump, folder, case):
    model, images, labels = prepare(case)
    output = run_net_dump(net_dump, folder, case, model, images, labels)
    output.expect_tensors("parameter", list(model.named_parameters()))
    output.expect_tensors("buffer", statistics_of(model))
    exact = step(copy.deepcopy(model).double(), images.double(), labels, case.smoothing)[2]
    logits, loss, theirs = step(model, images, labels, case.smoothing)

    forward, gradients, statistics, own = Worst(), Worst(), Worst(), Worst()
    forward.see("loss", output.take((1,), np.float64), [loss], RELATIVE)
    forward.see("logits", output.take((case.batch, CLASSES)), logits, RELATIVE)
    whole = np.sqrt(sum(np.square(g).sum() for g in exact.values()))
    for tensor, g in theirs.items():
        see_gradient(gradients, tensor, output.take(g.shape), g, exact[tensor], whole)
        see_gradient(own, tensor, g, exact[tensor], exact[tensor], whole)
    for tensor, buffer in statistics_of(model):
        statistics.see(tensor, output.take(buffer.shape), buffer.numpy(), RELATIVE)
    model.eval()
    with torch.no_grad():
        forward.see("logits, evaluation", output.take((case.batch, CLASSES)), model(images).numpy(), RELATIVE)
    return forward, gradients, statistics, own


def main(arguments):
    net_dump, names = arguments[0], arguments[1:] or list(CASES)
    torch.set_num_threads(2)
    passed = failed = 0
    columns = (("logits and loss", 20), ("gradients", 32), ("running statistics", 36), ("PyTorch's own gradients", 32))
    print("deviation over what is allowed, and where it is largest")
    print(f"  {'model':<18}" + "".join(f"{title:<{width + 10}}" for title, width in columns).rstrip())
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                worst = compare(net_dump, folder, CASES[name])
            except RuntimeError as error:
                failed += 1
                print(f"- {name:<18}{error}", flush=True)
                continue
        good = all(w.ratio <= 1 for w in worst[:3])
        passed, failed = passed + good, failed + (not good)
        cells = "".join(f"{w.ratio:<10.3g}{w.name:<{width}}" for w, (_, width) in zip(worst, columns))
        print(f"{'+' if good else '-'} {name:<18}{cells.rstrip()}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: torch_parity.py NET_DUMP [MODEL ...]")
    sys.exit(main(sys.argv[1:]))
