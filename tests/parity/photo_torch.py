"""Photographs against torchvision: the same crops, resized to the same pixels, drawn from the same distribution.

    python3 tests/parity/photo_torch.py build/tests/parity/photo_dump [FOLDER]

Pictures are drawn (smooth noise at several scales, edges, print), encoded by Pillow in every usual way, and made into
network inputs by Grapevine (photo_dump) and by torchvision on Pillow's pictures:
* Resize and CenterCrop, and RandomResizedCrop and flip for the crops that Grapevine draws: for each picture the mean of
  the absolute differences is at most 1.5 of 255 in tests, 4 in training. Grapevine decodes large pictures at 4/8, 2/8
  or 1/8 of their size (in training as small as does, in tests with half as many pixels again), and keeps fractions
  between the two passes where Pillow rounds: no pixel has to be the same. PNG and WebP are never decoded smaller: the
  mean is at most 0.5, and no pixel is more than 2 off.
* Crops drawn by both, for pictures of several shapes: two-sample Kolmogorov-Smirnov tests of left, top, width, height,
  share of the area and log ratio. All of them together raise a false alarm once in a million.

With FOLDER, or $GRAPEVINE_PHOTOS, the same comparison over the images in it; mean and worst difference are printed.
Exit status 0, 1 (some differ), 77 (no torchvision here).
"""
import math
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    from PIL import Image
    from torchvision.transforms import RandomResizedCrop
    from torchvision.transforms import functional as F
except ImportError as error:
    print(f"skipped: {error} (Debian: python3-torch python3-torchvision)")
    sys.exit(77)

MEAN_ALLOWED = {"center": 1.5, "random": 4}
EXACT_MEAN, EXACT_WORST = 0.5, 2  # of formats that are decoded at full size
DECODED = {"center": 1.5, "random": 1}  # pixels for each that is wanted, on either axis, at least
FALSE_ALARM = 1e-6
DRAWS = 5000
SIZE, SHORT_SIDE = 224, 256

# (width, height, mode, options of Pillow's encoder)
FULL, COARSE, WIDE = {"subsampling": 0}, {"subsampling": 2}, {"subsampling": 1}
PICTURES = [
    (500, 375, "RGB", COARSE),
    (375, 500, "RGB", {**COARSE, "progressive": True}),
    (640, 480, "RGB", {**FULL, "quality": 95}),
    (500, 333, "L", {}),
    (333, 500, "L", {"progressive": True}),
    (256, 256, "RGB", COARSE),
    (257, 256, "RGB", FULL),
    (800, 601, "RGB", {**WIDE, "quality": 90}),
    (801, 600, "RGB", {**COARSE, "progressive": True, "quality": 85}),
    (1600, 1203, "RGB", COARSE),
    (1201, 1600, "L", {}),
    (2701, 2100, "RGB", COARSE),
    (2100, 2703, "RGB", {**FULL, "progressive": True}),
    (300, 1800, "RGB", COARSE),
    (1800, 300, "RGB", FULL),
    (90, 71, "RGB", FULL),
    (33, 47, "L", {}),
    (7, 5, "RGB", FULL),
]
# The same, in other formats: (width, height, mode, ending, options). Of 16-bit grayscale Pillow makes white.
OTHERS = [
    (500, 375, "RGB", "png", {}),
    (333, 500, "L", "png", {}),
    (640, 481, "RGBA", "png", {}),
    (257, 256, "LA", "png", {}),
    (400, 300, "P", "png", {}),
    (300, 400, "P4", "png", {"bits": 4}),
    (310, 299, "PA", "png", {"transparency": 3}),
    (401, 299, "1", "png", {}),
    (1201, 900, "RGB", "png", {"optimize": True}),
    (33, 47, "RGBA", "png", {}),
    (500, 375, "RGB", "webp", {"quality": 80}),
    (375, 501, "RGB", "webp", {"lossless": True}),
    (640, 480, "RGBA", "webp", {"quality": 60}),
    (301, 299, "RGBA", "webp", {"lossless": True, "exact": True}),
    (90, 71, "RGB", "webp", {"quality": 100, "method": 6}),
    (320, 240, "RGBA", "webp", {"frames": 3}),
]
# (width, height): square, wide, tall, those where a crop may not fit, and where none does
SHAPES = [(400, 400), (500, 375), (375, 500), (900, 330), (300, 1000), (5000, 50), (31, 23)]


def smooth(random, width, height, scale):
    """Noise at every `scale`-th pixel, lines between."""
    coarse = random.integers(0, 256, (height // scale + 2, width // scale + 2)).astype(np.uint8)
    large = Image.fromarray(coarse).resize((coarse.shape[1] * scale, coarse.shape[0] * scale), Image.BILINEAR)
    return np.asarray(large, dtype=np.float64)[:height, :width] / 255


def draw(seed, width, height, mode):
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    shared = 25 * smooth(random, width, height, 5)
    shared += 45.0 * ((x + 2 * y + 31 * seed) % 160 < 60)  # slanted edges
    dots = random.random((height // 2 + 1, width // 2 + 1)) < 0.4
    print_here = (y % 48 >= 34) & (y % 48 < 44) & dots[y // 2, x // 2]
    channels = []
    for c in range(len(mode)):
        value = 10 + shared * (1 - 0.1 * c)
        value += 90 * smooth(random, width, height, 97) + 50 * smooth(random, width, height, 23)
        channels.append(np.where(print_here, 0.5 * value, value))
    pixels = np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels if mode == "RGB" else pixels[:, :, 0], mode)


def write_pictures(folder):
    paths = []
    for i, (width, height, mode, options) in enumerate(PICTURES):
        path = os.path.join(folder, f"{i:02d}-{width}x{height}-{mode}.jpg")
        draw(i, width, height, mode).save(path, **options)
        paths.append(path)
    return paths


def with_alpha(image, mode, seed):
    """An alpha channel that is opaque nowhere and transparent in places."""
    random = np.random.default_rng(seed)
    alpha = Image.fromarray(random.integers(0, 250, (image.height, image.width)).astype(np.uint8), "L")
    image = image.convert(mode)
    image.putalpha(alpha)
    return image


def draw_other(seed, width, height, mode):
    image = draw(seed, width, height, "L" if mode in ("L", "LA", "1") else "RGB")
    if mode in ("RGBA", "LA"):
        return with_alpha(image, mode, seed)
    if mode in ("P", "PA", "P4"):
        return image.quantize(16 if mode == "P4" else 200)
    return image.convert(mode)


def write_others(folder):
    paths = []
    for i, (width, height, mode, ending, options) in enumerate(OTHERS):
        path = os.path.join(folder, f"other-{i:02d}-{width}x{height}-{mode}.{ending}")
        options = dict(options)
        frames = options.pop("frames", 1)
        more = [draw_other(100 + k, width, height, mode) for k in range(1, frames)]
        if more:
            options.update(save_all=True, append_images=more, duration=40)
        draw_other(i, width, height, mode).save(path, **options)
        paths.append(path)
    return paths


class Dump:
    """Commands for photo_dump, and its answers one after the other."""

    def __init__(self, program, folder, commands):
        source, self.target = os.path.join(folder, "commands"), os.path.join(folder, "out.raw")
        with open(source, "w") as file:
            file.write("".join(command + "\n" for command in commands))
        run = subprocess.run([program, source, self.target], stdout=subprocess.PIPE, text=True)
        if run.returncode != 0:
            sys.exit(1)
        self.views = [[int(word) for word in line.split()] for line in run.stdout.splitlines()]
        self.file = open(self.target, "rb")

    def take_view(self):
        return self.views.pop(0)

    def take_picture(self, size):
        return np.fromfile(self.file, dtype=np.float32, count=3 * size * size).reshape(3, size, size)


def as_array(image):
    return np.asarray(image, dtype=np.float64).transpose(2, 0, 1)


def is_exact(path):
    return path.lower().endswith((".png", ".webp"))


def scale_of(kind, view_width, view_height, out_width, out_height):
    """At how many eighths Grapevine decodes: for the report."""
    for eighths in (1, 2, 4):
        wanted = 8 * DECODED[kind]
        if view_width * eighths >= wanted * out_width and view_height * eighths >= wanted * out_height:
            return eighths
    return 8


class Report:
    def __init__(self):
        self.failed = 0
        self.means, self.worst, self.scales = [], [], {}

    def see(self, kind, name, ours, theirs, eighths, exact):
        difference = np.abs(ours - theirs)
        mean = difference.mean()
        good = mean <= MEAN_ALLOWED[kind] and (not exact or mean <= EXACT_MEAN and difference.max() <= EXACT_WORST)
        self.means.append(mean)
        self.worst.append(difference.max())
        self.scales.setdefault(eighths, []).append(mean)
        if not good:
            self.failed += 1
            print(f"{name}: mean difference {mean:.3f} of 255 (worst {difference.max():.1f}), at {eighths}/8")

    def show(self, title):
        by_scale = ", ".join(f"{e}/8: {np.mean(m):.3f} ({len(m)})" for e, m in sorted(self.scales.items()))
        print(f"{title}: mean difference {np.mean(self.means):.3f}, of the worst picture {max(self.means):.3f}, "
              f"of the worst pixel {max(self.worst):.1f}; decoded at {by_scale}")


def compare(program, folder, paths, steps, sizes, report):
    """Each picture's middle, and `steps` random crops of each size."""
    jobs = [("center", SIZE, SHORT_SIDE, path) for path in paths]
    jobs += [("random", size, 100 * i + step, path) for i, path in enumerate(paths) for size in sizes
             for step in range(steps)]
    dump = Dump(program, folder, [" ".join(str(word) for word in job) for job in jobs])
    opened, image = None, None
    for kind, size, number, path in jobs:
        if path != opened:
            opened, image = path, Image.open(path).convert("RGB")
        left, top, width, height, mirrored = dump.take_view()
        if kind == "center":
            small = F.resize(image, [number])
            eighths = scale_of(kind, image.width, image.height, small.width, small.height)
            theirs = F.center_crop(small, [size, size])
        else:
            eighths = scale_of(kind, width, height, size, size)
            theirs = F.resized_crop(image, top, left, height, width, [size, size])
        theirs = F.hflip(theirs) if mirrored else theirs
        name = f"{os.path.basename(path)}, {kind} {size} {number}"
        exact = is_exact(path)
        report.see(kind, name, dump.take_picture(size), as_array(theirs), 8 if exact else eighths, exact)


def distance(ours, theirs):
    """The largest difference of the two empirical distribution functions."""
    ours, theirs = np.sort(ours), np.sort(theirs)
    everywhere = np.concatenate([ours, theirs])
    left = np.searchsorted(ours, everywhere, side="right") / len(ours)
    right = np.searchsorted(theirs, everywhere, side="right") / len(theirs)
    return np.abs(left - right).max()


def quantities(crops, width, height):
    """crops (n, 4): left, top, width, height."""
    left, top, across, down = np.asarray(crops, dtype=np.float64).T
    return {"left": left, "top": top, "width": across, "height": down,
            "share": across * down / (width * height), "log ratio": np.log(across / down)}


def draw_by_torchvision(width, height):
    torch.manual_seed(width * 10007 + height)
    picture = torch.empty(1).expand(3, height, width)
    crops = [RandomResizedCrop.get_params(picture, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(DRAWS)]
    return [(left, top, across, down) for top, left, down, across in crops]


def compare_distributions(program, folder):
    """How many quantities of how many are distributed otherwise, and the largest distance over what is allowed."""
    dump = Dump(program, folder, [f"crops {DRAWS} {width} {height}" for width, height in SHAPES])
    tests = 6 * len(SHAPES)
    allowed = math.sqrt(-0.5 * math.log(FALSE_ALARM / tests / 2)) * math.sqrt(2 / DRAWS)
    failed, largest = 0, 0.0
    for width, height in SHAPES:
        ours = [dump.take_view()[:4] for _ in range(DRAWS)]
        theirs = quantities(draw_by_torchvision(width, height), width, height)
        for name, values in quantities(ours, width, height).items():
            found = distance(values, theirs[name])
            largest = max(largest, found)
            if found > allowed:
                failed += 1
                print(f"{name} of crops of {width} x {height}: distance {found:.4f}, allowed is {allowed:.4f}")
    print(f"crops: {tests} distributions of {DRAWS} draws, largest distance {largest:.4f} (allowed {allowed:.4f})")
    return failed


def image_files(folder):
    found = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
    return sorted(path for path in found if path.lower().endswith((".jpg", ".jpeg", ".png", ".webp")))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    program = sys.argv[1]
    real = sys.argv[2] if len(sys.argv) == 3 else os.environ.get("GRAPEVINE_PHOTOS")
    with tempfile.TemporaryDirectory() as folder:
        report = Report()
        compare(program, folder, write_pictures(folder), 3, (32, 96, SIZE), report)
        report.show("drawn")
        others = Report()
        compare(program, folder, write_others(folder), 3, (32, SIZE), others)
        others.show("PNG and WebP")
        failed = report.failed + others.failed
        if real:
            report = Report()
            compare(program, folder, image_files(real), 4, (128, SIZE), report)
            report.show(real)
            failed += report.failed
        failed += compare_distributions(program, folder)
    if len(report.scales) < 4 and not real:
        failed += 1
        print(f"only these scales were seen, in eighths: {sorted(report.scales)}")
    return 1 if failed > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
