#!/usr/bin/env python3
"""Photographs for tests/e2e/pack_test.sh, drawn with a seed, and a reader of packs that shares no code with Grapevine.

    photos.py draw FOLDER COUNT SIDE    FOLDER/train and FOLDER/val: COUNT pictures of about SIDE pixels in each class
    photos.py bad FOLDER                one file of each kind that is no sound photograph
    photos.py compare PACK SPLIT        the pack has the files of the split's class folders, byte for byte
    photos.py classes PACK FILE         the pack's pictures have the classes that FILE says: NAME, tab, CLASS
    photos.py sides PACK SPLIT SIDE     the pack has the split's pictures, the shorter side brought down to SIDE
    photos.py mixed PACK                neighbours in the shards are of different classes
    photos.py flip PACK NAME            one bit of this picture
"""
import io
import os
import random
import struct
import sys
import zlib

from PIL import Image

CLASSES = ["ant", "big eel", "cat"]


def picture(seed, width, height, mode="RGB"):
    """Smooth colors and some noise: all of the entropy-coded data differ from picture to picture."""
    draw = random.Random(seed)
    small = Image.frombytes("RGB", (8, 8), bytes(draw.randrange(256) for _ in range(192)))
    noise = Image.frombytes("L", (width, height), draw.randbytes(width * height))
    smooth = small.resize((width, height), Image.BICUBIC)
    return Image.blend(smooth, noise.convert("RGB"), 0.15).convert(mode)


def draw_class(folder, count, side, seed):
    os.makedirs(folder, exist_ok=True)
    draw = random.Random(seed)
    for k in range(count):
        width, height = draw.randrange(side // 2, 2 * side), draw.randrange(side // 2, 2 * side)
        name = ["%03d.JPEG", "%03d.jpg", "a b %03d.jpeg", "%03d\nx.Jpg"][k % 4] % k
        mode = "L" if k % 5 == 4 else "RGB"
        picture(f"{seed}-{k}", width, height, mode).save(os.path.join(folder, name), "JPEG", quality=90,
                                                         progressive=k % 7 == 6)


def draw_tree(folder, count, side):
    for split, each in (("train", int(count)), ("val", max(2, int(count) // 4))):
        for name in CLASSES:
            draw_class(os.path.join(folder, split, name), each, int(side), f"{split}-{name}")


def write(folder, name, data):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def encoded(image, kind, **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def draw_bad(folder):
    os.makedirs(folder, exist_ok=True)
    good = encoded(picture("bad", 90, 70), "JPEG")
    scans = encoded(picture("scans", 90, 70), "JPEG", progressive=True)
    write(folder, "good.jpg", good)
    write(folder, "gif.JPEG", encoded(picture("gif", 9, 7, "P"), "GIF"))
    write(folder, "png.jpg", encoded(picture("png", 9, 7), "PNG"))
    write(folder, "cmyk.jpg", encoded(picture("cmyk", 90, 70, "CMYK"), "JPEG"))
    write(folder, "half.jpg", good[:len(good) // 2])
    write(folder, "half scans.jpg", scans[:len(scans) // 2])
    write(folder, "head.jpg", good[:200])
    write(folder, "two.jpg", good[:2])
    write(folder, "empty.jpg", b"")
    write(folder, "zeros.jpg", bytes(5000))
    write(folder, "text.jpg", b"404 Not Found\n")
    write(folder, "tab\tline\nbreak.jpg", b"nothing")
    write(folder, "note.txt", b"no photograph\n")
    write(folder, ".hidden.jpg", good)
    os.mkdir(os.path.join(folder, "folder.jpg"))
    os.symlink("nowhere", os.path.join(folder, "link.jpg"))
    os.mkfifo(os.path.join(folder, "pipe.jpg"))


class Pack:
    """A packed split: photos is a list of (name, class, width, height, bytes, shard, offset)."""

    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, "index.bin"), "rb") as file:
            data = file.read()
        assert zlib.crc32(data[:-4]) == struct.unpack("<I", data[-4:])[0], "checksum of the index"
        magic, version, classes, count, name_bytes, class_bytes, shards = struct.unpack_from("<8sIIQQQI", data)
        assert (magic, version) == (b"GVPHOTO1", 1), "magic and version"
        sizes = struct.unpack_from(f"<{shards}Q", data, 72)
        records_at = 72 + 8 * shards
        names_at = records_at + 40 * count
        names = data[names_at:names_at + name_bytes]
        self.classes = data[names_at + name_bytes:-4].split(b"\0")[:-1]
        assert len(self.classes) == classes and self.classes == sorted(self.classes), "classes"
        assert names_at + name_bytes + class_bytes + 4 == len(data), "size of the index"
        contents = [self.read(s, sizes[s]) for s in range(shards)]
        self.photos = [self.photo(record, names, contents)
                       for record in struct.iter_unpack("<QQIIiIHHI", data[records_at:names_at])]

    def read(self, shard, size):
        with open(self.path(shard), "rb") as file:
            content = file.read()
        assert len(content) == size, f"size of shard {shard}"
        return content

    def path(self, shard):
        return os.path.join(self.folder, f"shard-{shard:05}.bin")

    def photo(self, record, names, contents):
        offset, name_at, size, checksum, label, shard, width, height, zero = record
        data = contents[shard][offset:offset + size]
        name = names[name_at:names.index(b"\0", name_at)]
        assert zlib.crc32(data) == checksum and len(data) == size and zero == 0, f"{name}: checksum"
        return name, self.classes[label], width, height, data, shard, offset


def sound_files(split):
    """The files of the class folders that Pillow finds to be whole: JPEGs of 1 or 3 components, PNGs and WebPs."""
    found = {}
    for folder, _, names in os.walk(os.fsencode(split)):
        for name in names:
            path = os.path.join(folder, name)
            ending = os.path.splitext(name)[1].lower()
            known = ending in (b".jpg", b".jpeg", b".png", b".webp")
            if not known or name.startswith(b".") or not os.path.isfile(path):
                continue
            try:
                image = Image.open(path)
                image.load()
            except OSError:
                continue
            if image.format in ("PNG", "WEBP") or (image.format == "JPEG" and image.mode in ("L", "RGB")):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, os.fsencode(split))] = image, file.read()
    return found


def compare(folder, split):
    files = sound_files(split)
    pack = Pack(folder)
    for name, label, width, height, data, _, _ in pack.photos:
        image, content = files.pop(name)
        assert data == content, f"{name}: bytes"
        assert label == os.path.dirname(name), f"{name}: class {label}"
        assert (width, height) == image.size, f"{name}: {width} x {height}"
    assert not files, f"not packed: {sorted(files)}"


def check_classes(folder, expected):
    pack = Pack(folder)
    with open(expected, "rb") as file:
        lines = dict(line.rstrip(b"\n").split(b"\t") for line in file)
    found = {photo[0]: photo[1] for photo in pack.photos}
    assert found == lines, f"{found}, expected {lines}"


def check_sides(folder, split, side):
    files, side = sound_files(split), int(side)
    for name, _, width, height, data, _, _ in Pack(folder).photos:
        before, content = files.pop(name)
        after = Image.open(io.BytesIO(data))
        after.load()
        assert after.size == (width, height) and after.mode == before.mode, f"{name}: {after.size}, {after.mode}"
        if min(before.size) <= side:
            assert data == content, f"{name}: small enough, and not as it was"
            continue
        scale = side / min(before.size)
        assert min(after.size) == side, f"{name}: {before.size} became {after.size}"
        assert abs(max(after.size) - max(before.size) * scale) <= 1, f"{name}: {before.size} became {after.size}"
        expected = before.resize(after.size, Image.BILINEAR)
        mean = sum(abs(a - b) for a, b in zip(after.tobytes(), expected.tobytes())) / len(expected.tobytes())
        assert mean < 6, f"{name}: differs from Pillow's by {mean}"
    assert not files, f"not packed: {sorted(files)}"


def check_mixed(folder):
    photos = Pack(folder).photos
    changes = sum(a[1] != b[1] for a, b in zip(photos, photos[1:]))
    assert changes > (len(photos) - 1) / 2, f"{changes} changes of class among {len(photos)} pictures"


def flip(folder, name):
    for other, _, _, _, data, shard, offset in Pack(folder).photos:
        if other == os.fsencode(name):
            with open(os.path.join(folder, f"shard-{shard:05}.bin"), "r+b") as file:
                file.seek(offset + len(data) // 2)
                file.write(bytes([data[len(data) // 2] ^ 1]))
            return
    raise AssertionError(f"no {name}")


if __name__ == "__main__":
    commands = {"draw": draw_tree, "bad": draw_bad, "compare": compare, "classes": check_classes,
                "sides": check_sides, "mixed": check_mixed, "flip": flip}
    commands[sys.argv[1]](*sys.argv[2:])
