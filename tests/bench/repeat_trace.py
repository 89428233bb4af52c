#!/usr/bin/env python3
"""Makes a large trace out of a recorded one, as if the VM had done the same again and again.

    repeat_trace.py FILE[.gz] MEGABYTES OUTPUT

Each repetition comes later by the time that the recorded one took, so times go on ascending; a `simple` trace
keeps its one header and its mappings, with the ids that they give. The format is found out from the file.
"""
import gzip
import re
import struct
import sys

HEADER_BYTES = 24  # id, magic, version; QEMU's trace/simple.c
MAPPING, EVENT = 0, 1
LOG_TIME = re.compile(rb"^(\d+)@(\d+)\.(\d{6}):", re.MULTILINE)


def read(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        return file.read()


def places_of_times(trace):
    """Where the events begin behind the header and the mappings, and where each one has its time."""
    at, begin, places = HEADER_BYTES, None, []
    while at < len(trace):
        kind, _ = struct.unpack_from("<QQ", trace, at)
        if kind == MAPPING:
            if begin is not None:
                raise ValueError("a mapping between events: repeat a trace that was recorded in one go")
            at += 20 + struct.unpack_from("<I", trace, at + 16)[0]
            continue
        begin = at if begin is None else begin
        places.append(at + 16)
        at += 8 + struct.unpack_from("<I", trace, at + 24)[0]
    return begin, places


def repeat_simple(trace, size, output):
    begin, places = places_of_times(trace)
    times = [struct.unpack_from("<q", trace, place)[0] for place in places]
    period = max(times) - min(times) + 1000
    output.write(trace[:begin])
    events = bytearray(trace[begin:])
    places = [place - begin for place in places]
    written, shift, store = begin, 0, struct.Struct("<q").pack_into
    while written < size:
        for place, time in zip(places, times):
            store(events, place, time + shift)
        output.write(events)
        written += len(events)
        shift += period


def repeat_log(trace, size, output):
    times = [int(match[2]) * 1_000_000 + int(match[3]) for match in LOG_TIME.finditer(trace)]
    if not times:
        raise ValueError("no line has a time: record with -msg timestamp=on")
    period = max(times) - min(times) + 1
    lines = LOG_TIME.split(trace)  # Before the first, then thread, seconds, microseconds and text of each.
    pieces = list(zip((thread + b"@" for thread in lines[1::4]), times, lines[4::4]))
    written, shift = 0, 0
    while written < size:
        block = b"".join(
            b"%s%d.%06d:%s" % (thread, (time + shift) // 1_000_000, (time + shift) % 1_000_000, text)
            for thread, time, text in pieces)
        output.write(block)
        written += len(block)
        shift += period


def main():
    if len(sys.argv) != 4 or not sys.argv[2].isdigit():
        sys.exit(__doc__.strip())
    trace, size = read(sys.argv[1]), int(sys.argv[2]) * 1_000_000
    is_simple = trace[:8] == b"\xff" * 8
    with open(sys.argv[3], "wb") as output:
        (repeat_simple if is_simple else repeat_log)(trace, size, output)


if __name__ == "__main__":
    main()
