"""Draws JPEG photographs of a kind, without a library: grey pictures of 8 × 8 blocks, each of one random shade.

    draw_photos.py FOLDER CLASSES COUNT [SEED]

FOLDER/class0/0.jpg ...: COUNT pictures of every class, each of 5 to 12 blocks a side. Baseline JPEG: tables with one or
two codes, a difference of shades per block, no other coefficient.
"""
import random
import struct
import sys
from pathlib import Path

SHADE_BITS = 7  # of a difference


def segment(marker, content):
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def huffman(table, symbols):
    """Codes 0, 10, 110, ... for the symbols."""
    counts = bytes(1 if i < len(symbols) else 0 for i in range(16))
    return segment(0xC4, bytes([table]) + counts + bytes(symbols))


def difference(value):
    """Of shades, as JPEG writes it: of a negative one the bits of value − 1, that is, all of −value's the other way."""
    return format(value if value > 0 else value + (1 << SHADE_BITS) - 1, f"0{SHADE_BITS}b")


def scan(draw, blocks):
    bits, shade = "", 0
    for _ in range(blocks):
        wanted = draw.choice([-1, 1]) * draw.randrange(1 << (SHADE_BITS - 1), 1 << SHADE_BITS)
        wanted = wanted if abs(shade + wanted) < 1 << SHADE_BITS else -wanted
        shade += wanted
        bits += "0" + difference(wanted) + "0"
    bits += "1" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\x00")


def picture(draw):
    rows, columns = draw.randrange(5, 13), draw.randrange(5, 13)
    frame = struct.pack(">BHHBBBB", 8, 8 * rows, 8 * columns, 1, 1, 0x11, 0)
    return (b"\xff\xd8" + segment(0xDB, bytes([0]) + bytes([8] * 64)) + segment(0xC0, frame) +
            huffman(0x00, [SHADE_BITS]) + huffman(0x10, [0]) + segment(0xDA, bytes([1, 1, 0x00, 0, 63, 0])) +
            scan(draw, rows * columns) + b"\xff\xd9")


def main(folder, classes, count, seed="1"):
    draw = random.Random(int(seed))
    for label in range(int(classes)):
        place = Path(folder) / f"class{label}"
        place.mkdir(parents=True, exist_ok=True)
        for k in range(int(count)):
            (place / f"{k}.jpg").write_bytes(picture(draw))


if __name__ == "__main__":
    main(*sys.argv[1:])
