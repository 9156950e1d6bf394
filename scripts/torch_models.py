#!/usr/bin/env python3
"""Grapevine's models in PyTorch, with the names and shapes of its checkpoints.

    python3 scripts/torch_models.py CHECKPOINT        rebuilds the model from the file, says what it is, checks it

    from torch_models import load                     (scripts/ on sys.path)
    model, metadata = load("runs/NAME/final.safetensors")
    logits = model.eval()(normalized(images, metadata))   # images: uint8 (batch, channels, height, width)

mlp, convnet, resnet20, logistic and linear are defined here; resnet18, resnet34, resnet50, vgg13 and vgg19 are
torchvision's. Widths, channels and classes are those of the file's tensors. Needs PyTorch; safetensors is not needed.
Exit status 0, 1 (the file does not fit), 2 (usage), 77 (no PyTorch here).
"""
import json
import os
import struct
import sys

try:
    import torch
    from torch import nn
except ImportError as error:
    print(f"skipped: {error} (Debian: python3-torch)")
    sys.exit(77)


class Mlp(nn.Module):
    """Two hidden layers with ReLU; `features` = channels · height · width. Dropout acts after each ReLU."""

    def __init__(self, features, classes=10, width=256, dropout=0.0):
        super().__init__()
        self.fc1 = nn.Linear(features, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, classes)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = self.dropout(self.relu(self.fc1(torch.flatten(x, 1))))
        return self.fc3(self.dropout(self.relu(self.fc2(x))))


class Convnet(nn.Module):
    """Three stages of 3×3 convolution, batch norm, ReLU and max pool; then the mean over the image and a layer."""

    def __init__(self, channels=3, classes=10, width=16):
        super().__init__()
        for stage in range(3):
            out = width << stage
            setattr(self, f"conv{stage + 1}", nn.Conv2d(channels, out, 3, padding=1, bias=False))
            setattr(self, f"bn{stage + 1}", nn.BatchNorm2d(out))
            channels = out
        self.fc = nn.Linear(channels, classes)
        self.relu = nn.ReLU()

    def forward(self, x):
        for stage in range(3):
            conv, norm = getattr(self, f"conv{stage + 1}"), getattr(self, f"bn{stage + 1}")
            x = torch.max_pool2d(self.relu(norm(conv(x))), 2)
        return self.fc(x.mean(dim=(2, 3)))


class BasicBlock(nn.Module):
    """torchvision's: y = relu(norm(convolutions(x)) + shortcut(x)), a projection where the shape changes."""

    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU()
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(x + shortcut)


class Resnet20(nn.Module):
    """He et al. 2016, with projections: three stages of three basic blocks of 16, 32 and 64 channels."""

    def __init__(self, channels=3, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        before = 16
        for stage, out in enumerate((16, 32, 64)):
            strides = (2 if stage > 0 else 1, 1, 1)
            blocks = [BasicBlock(before if i == 0 else out, out, stride) for i, stride in enumerate(strides)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            before = out
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean(dim=(2, 3)))


class OneLayer(nn.Module):
    """logistic (cross-entropy) and linear (squared error): one linear layer of the flattened image."""

    def __init__(self, features, classes=10):
        super().__init__()
        self.fc = nn.Linear(features, classes)

    def forward(self, x):
        return self.fc(torch.flatten(x, 1))


def torchvision_resnet(name, channels, classes, small):
    """torchvision's, with the three lines that images of up to 64×64 need."""
    import torchvision

    model = getattr(torchvision.models, name)(num_classes=classes)
    if small:
        model.conv1 = nn.Conv2d(channels, 64, 3, 1, 1, bias=False)
        model.maxpool = nn.Identity()
    return model


def torchvision_vgg(name, classes):
    import torchvision

    return getattr(torchvision.models, name + "_bn")(num_classes=classes)


def build(name, state):
    """The model of that name for tensors of these shapes (a state_dict)."""
    shape = {key: tuple(tensor.shape) for key, tensor in state.items()}
    if name == "mlp":
        width, features = shape["fc1.weight"]
        return Mlp(features, shape["fc3.weight"][0], width)
    if name == "convnet":
        width, channels = shape["conv1.weight"][:2]
        return Convnet(channels, shape["fc.weight"][0], width)
    if name == "resnet20":
        return Resnet20(shape["conv1.weight"][1], shape["fc.weight"][0])
    if name in ("logistic", "linear"):
        classes, features = shape["fc.weight"]
        return OneLayer(features, classes)
    if name.startswith("resnet"):
        _, channels, _, kernel = shape["conv1.weight"]
        return torchvision_resnet(name, channels, shape["fc.weight"][0], kernel == 3)
    if name.startswith("vgg"):
        return torchvision_vgg(name, shape["classifier.6.weight"][0])
    raise ValueError(f"model {name!r} has no counterpart here")


TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


def read(path):
    """The tensors and the metadata of a safetensors file."""
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        if length > os.fstat(file.fileno()).st_size - 8:
            raise ValueError("not a safetensors file, or cut short")
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    metadata, state = header.pop("__metadata__", {}), {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        kind = TYPES[entry["dtype"]]
        count = (end - begin) // torch.empty(0, dtype=kind).element_size()
        state[name] = torch.frombuffer(data, dtype=kind, count=count, offset=begin).reshape(entry["shape"]).clone()
    return state, metadata


def load(path):
    """The model of a checkpoint, with its weights, and the file's metadata."""
    state, metadata = read(path)
    if "model" not in metadata:
        raise ValueError("the file does not say which model it is of: it is not one of Grapevine's")
    model = build(metadata["model"], state)
    model.load_state_dict(state, strict=True)
    return model, metadata


def normalized(images, metadata):
    """Images as bytes (batch, channels, height, width), as the model wants them."""
    said = json.loads(metadata["normalization"])
    mean, std = (torch.tensor(said[key], dtype=torch.float32)[:, None, None] for key in ("mean", "std"))
    return (images.to(torch.float32) / 255 - mean) / std


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if "-h" in sys.argv[1:] or "--help" in sys.argv[1:] else 2
    try:
        model, metadata = load(sys.argv[1])
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, struct.error) as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        return 1
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{metadata['model']}, {metadata['classes']} classes, data set {metadata['data']}: "
          f"{count} parameters, epoch {metadata['epoch']}, batch norm {metadata['batch_norm']}")
    said = json.loads(metadata.get("normalization", "null"))
    if said:
        print(f"inputs: pixels / 255, minus {said['mean']}, over {said['std']} (per channel)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
