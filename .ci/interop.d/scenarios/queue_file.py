"""Queue files as cleanup(8) writes them (rec_type.h), as far as delivery agents look."""

import os
import time

# A longer line is kept as several records (line_length_limit).
LINE_LIMIT = 2048


def record(kind, data):
    """A type, a length in groups of seven bits, and the data."""
    length, head = len(data), bytearray(kind)
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + data


def write(path, request, content):
    """Writes a message; returns where its text begins, and where the record of each recipient is."""
    head = record(b"C", b" " * 95)
    file = bytearray(head)
    file += record(b"T", b"%d 0" % time.time())
    file += record(b"S", request["sender"].encode())
    offsets = []
    for recipient in request["recipients"]:
        offsets.append(len(file))
        file += record(b"R", recipient["address"].encode())
    file += record(b"M", b"")
    text = len(file)
    for line in lines_of(content):
        file += line
    extracted = len(file)
    file += record(b"X", b"") + record(b"E", b"")
    size = extracted - text
    file[: len(head)] = record(b"C", b"%15d %15d %15d %15d %15d %15d" % (size, text, len(offsets), 0, size, 0))
    with open(path, "wb") as target:
        target.write(file)
    os.chmod(path, 0o700)
    return text, offsets


def lines_of(content):
    """The records of the text: N for a line, L for a piece of one that goes on."""
    lines = content.split(b"\n")
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        if last and not line:
            return
        while len(line) > LINE_LIMIT:
            yield record(b"L", line[:LINE_LIMIT])
            line = line[LINE_LIMIT:]
        yield record(b"L" if last else b"N", line)
