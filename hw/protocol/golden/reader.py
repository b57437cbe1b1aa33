"""A reader of frames and bands written from docs/engine-link.md alone, in another language than both reference
implementations: what the page does not say, it does not do. Reads the golden files; says what differs, and ends with 1."""

import json
import pathlib
import struct
import sys
import zlib


def frame(line):
    """Section 2: type, session, number, payload, or None."""
    if len(line) < 2 or line[0] != 0 or line[-1] != 0:
        return None
    stuffed, plain, at = line[1:-1], bytearray(), 0
    while at < len(stuffed):
        code = stuffed[at]
        part = stuffed[at + 1 : at + code]
        if code == 0 or len(part) != code - 1:
            return None
        plain += part
        at += code
        if code < 255 and at < len(stuffed):
            plain.append(0)
    if len(plain) < 9 or struct.unpack("<I", plain[-4:])[0] != zlib.crc32(plain[:-4]):
        return None
    kind, session, number = struct.unpack("<BHH", plain[:5])
    return kind, session, number, bytes(plain[5:-4])


class Damaged(Exception):
    pass


def take(coded, at, count):
    if at + count > len(coded):
        raise Damaged
    return coded[at : at + count]


def raw(coded, stride, size):
    return coded


def packbits(coded, stride, size):
    out, at = bytearray(), 0
    while at < len(coded):
        n = coded[at]
        if n < 128:
            out += take(coded, at + 1, n + 1)
            at += n + 2
        elif n > 128:
            out += take(coded, at + 1, 1) * (257 - n)
            at += 2
        else:
            at += 1
    return bytes(out)


def delta_row(coded, stride, size):
    out, above, at = bytearray(), bytes(stride), 0
    for _ in range(size // stride):
        row, x = bytearray(above), 0
        while x < stride:
            command = take(coded, at, 1)[0]
            at += 1
            if command == 0xFF:
                break
            keep = command & 31
            if keep == 31:
                more = 255
                while more == 255:
                    more = take(coded, at, 1)[0]
                    at += 1
                    keep += more
            count = (command >> 5) + 1
            x += keep
            if x + count > stride:
                raise Damaged
            row[x : x + count] = take(coded, at, count)
            x += count
            at += count
        out += row
        above = row
    if at != len(coded):
        raise Damaged
    return bytes(out)


def context(coded, stride, size):
    chances, shifts = [32768] * 1025, [2] * 1025
    at = 0

    def following():
        nonlocal at
        at += 1
        return coded[at - 1] if at <= len(coded) else 0

    span, code = 0xFFFFFFFF, 0
    for _ in range(4):
        code = code << 8 | following()

    def decision(c):
        nonlocal span, code
        bound = (span >> 16) * chances[c]
        one = code < bound
        if one:
            span = bound
            chances[c] += (65536 - chances[c]) >> shifts[c]
        else:
            code, span = code - bound, span - bound
            chances[c] -= chances[c] >> shifts[c]
        shifts[c] = min(5, shifts[c] + 1)
        while span < 1 << 24:
            span, code = span << 8, (code << 8 | following()) & 0xFFFFFFFF
        return int(one)

    rows = [bytearray(stride) for _ in range(size // stride)]

    def byte(y, i):
        return rows[y][i] if y >= 0 and 0 <= i < stride else 0

    def pixel(y, x):
        return byte(y, x >> 3) >> (7 - (x & 7)) & 1

    for y in range(len(rows)):
        for i in range(stride):
            around = [(y, i - 1)] + [(y - back, i + side) for back in (1, 2) for side in (-1, 0, 1)]
            if not any(byte(*place) for place in around) and not decision(1024):
                continue
            for x in range(8 * i, 8 * i + 8):
                c = 0
                for back, first, last in ((2, -1, 1), (1, -2, 2), (0, -2, -1)):
                    for side in range(first, last + 1):
                        c = c << 1 | pixel(y - back, x + side)
                rows[y][i] |= decision(c) << (7 - (x & 7))
    if at < len(coded):
        raise Damaged
    return b"".join(rows)


codecs = {"raw": raw, "packbits": packbits, "delta-row": delta_row, "context": context}


def band(codec, stride, size, coded):
    """Section 9: the band undone, or None."""
    try:
        plain = codecs[codec](coded, stride, size)
    except Damaged:
        return None
    return plain if len(plain) == size else None


def golden(name):
    return json.loads(pathlib.Path(__file__).with_name(f"{name}.golden.json").read_text())


mistakes, done = [], 0


def check(name, found, expected):
    global done
    done += 1
    if found != expected:
        mistakes.append(f"{name}: {found!r}, not {expected!r}")


for it in golden("frames"):
    expected = (it["type"], it["session"], it["number"], bytes.fromhex(it["payload"]))
    line = bytes.fromhex(it["line"])
    check(it["name"], frame(line), expected)
    check(f"{it['name']}, damaged", frame(line[:5] + bytes([line[5] ^ 1]) + line[6:]), None)
bands = golden("bands")
for it in bands["bands"]:
    plain = bytes.fromhex(it["plain"])
    found = band(it["codec"], it["strideBytes"], len(plain), bytes.fromhex(it["coded"]))
    check(it["name"], found, plain)
for it in bands["damaged"]:
    found = band(it["codec"], it["strideBytes"], it["plainBytes"], bytes.fromhex(it["coded"]))
    check(f"damaged {it['codec']} {it['coded']}", found, None)

print("\n".join([*mistakes, f"{done} checks, {len(mistakes)} mistakes"]))
sys.exit(1 if mistakes else 0)
