"""Checkpoints between Grapevine and PyTorch: both load what the other wrote, every value in its place.

    python3 tests/parity/checkpoint_torch.py
    python3 tests/parity/checkpoint_torch.py RUN/final.safetensors

Alone, by way of checkpoint_dump in $BUILD: a checkpoint of known values, written by Grapevine, loads into torchvision's
networks after the three lines for 32x32 pictures with strict=True, each value where it belongs; the same values saved
from PyTorch are read by Grapevine. With a file of a run: it loads with strict=True, and everything in it is finite.

Exit status 0, 1 (something differs), 77 (no PyTorch, torchvision or safetensors here; PYTHONPATH is searched too).
"""
import os
import subprocess
import sys
import tempfile

try:
    import torch
    import torchvision
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file
except ImportError as error:
    print(f"skipped: {error} (Debian: python3-torch python3-torchvision; python3 -m pip install safetensors)")
    sys.exit(77)

TRACKED = "num_batches_tracked"


def build(name, classes):
    """torchvision's network for 32x32 pictures."""
    if name.startswith("vgg"):
        return getattr(torchvision.models, name + "_bn")(num_classes=classes)
    model = getattr(torchvision.models, name)()
    model.conv1 = torch.nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    model.maxpool = torch.nn.Identity()
    model.fc = torch.nn.Linear(model.fc.in_features, classes)
    return model


def known_values(model):
    """What checkpoint_dump.c puts into each tensor."""
    names = [name for name, _ in model.named_parameters()]
    names += [name for name, _ in model.named_buffers() if not name.endswith(TRACKED)]
    state = model.state_dict()
    known = {name: torch.tensor(42) for name in state if name.endswith(TRACKED)}
    for index, name in enumerate(names):
        values = torch.arange(state[name].numel()) % 1000 + 1000 * index
        known[name] = values.to(torch.float32).reshape(state[name].shape)
    return known


def compare(name, dump, folder):
    ours, theirs = os.path.join(folder, "ours.safetensors"), os.path.join(folder, "theirs.safetensors")
    model = build(name, 10)
    known = known_values(model)
    subprocess.run([dump, "write", name, "10", ours], check=True)
    model.load_state_dict(load_file(ours), strict=True)
    wrong = [key for key, value in model.state_dict().items() if not torch.equal(value, known[key])]
    save_file(known, theirs)
    read = subprocess.run([dump, "check", name, "10", theirs]).returncode
    print(f"{name:10} {len(known):4} tensors   PyTorch reads ours: {'yes' if not wrong else wrong[:3]}   "
          f"Grapevine reads PyTorch's: {'yes' if read == 0 else 'no'}")
    return not wrong and read == 0


def load_run(path):
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    name, classes = metadata["model"], int(metadata["classes"])
    if not hasattr(torchvision.models, name) and not name.startswith("vgg"):
        print(f"skipped: torchvision has no {name}")
        return 77
    state = load_file(path)
    model = build(name, classes)
    model.load_state_dict(state, strict=True)
    broken = [key for key, value in state.items() if not torch.isfinite(value.double()).all()]
    with torch.no_grad():
        logits = model.eval()(torch.zeros(2, 3, 32, 32))
    print(f"{path}: {name}, {classes} classes, {len(state)} tensors, {metadata}; "
          f"not finite: {broken or 'none'}; logits of two black pictures {tuple(logits.shape)}")
    return 1 if broken or logits.shape != (2, classes) else 0


def main():
    if len(sys.argv) == 2 and sys.argv[1].endswith(".safetensors"):
        return load_run(sys.argv[1])
    if len(sys.argv) != 1:
        print(__doc__)
        return 2
    dump = os.path.join(os.environ.get("BUILD", "build"), "tests/parity/checkpoint_dump")
    with tempfile.TemporaryDirectory() as folder:
        return 0 if all([compare(name, dump, folder) for name in ("resnet18", "resnet50", "vgg13")]) else 1


if __name__ == "__main__":
    sys.exit(main())
