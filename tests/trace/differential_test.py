#!/usr/bin/env python3
"""Differential test of the decoders: random well-formed traces, decoded by qemon and by QEMU's own simpletrace.py, must be equal in
every record and field to each other and to what the generator wrote; logs, which QEMU has no reader for, to what it wrote.

    differential_test.py DUMP_TRACE [--seeds 30] [--first 1] [--records 2500] [--keep FOLDER]

DUMP_TRACE is the program of tests/trace/dump_trace.cpp. simpletrace.py is that of QEMON_SIMPLETRACE (tests/tools/prepare-qemu.sh);
without it the generator is the only witness, which is said. A seed makes the same trace each time.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from random_trace import RandomTrace, Record  # noqa: E402


class Difference(Exception):
    """In one line or two."""


def by_simpletrace(catalog, trace):
    """What simpletrace.py finds."""
    import simpletrace

    class Collector(simpletrace.Analyzer):
        def __init__(self):
            self.records = []

        def catchall(self, event, rec):
            dropped = rec[0] == "dropped"
            self.records.append(Record(rec[0], None if dropped else rec[1], rec[2], tuple(rec[3:])))

    collector = Collector()
    simpletrace.process(str(catalog), str(trace), collector)
    return collector.records


def by_qemon(program, backend, catalog, trace, piece):
    """What qemon finds, and its totals."""
    done = subprocess.run([program, backend, catalog, trace, str(piece)], capture_output=True, check=False)
    if done.returncode != 0 or done.stderr:
        raise Difference(f"dump-trace ended with {done.returncode} and said: {done.stderr.decode()}")
    *lines, totals = map(json.loads, done.stdout.splitlines())
    records = []
    for line in lines:
        if isinstance(line, int):
            records.append(Record("dropped", None, None, (line,)))
            continue
        name, time, identity, arguments = line
        records.append(Record(name, time, identity, None if arguments is None else tuple(
            bytes.fromhex(value[1:]) if isinstance(value, str) else value for value in arguments)))
    return records, totals


def compare(who, found, wanted):
    for place, (one, other) in enumerate(zip(found, wanted)):
        # Whose dropped records they were, qemon does not tell.
        if one != other and one != other._replace(id=None):
            raise Difference(f"record {place}: {who} {one}\n  and written was {other}")
    if len(found) != len(wanted):
        raise Difference(f"{who} {len(found)} records, and written were {len(wanted)}")


def check(program, folder, seed, records, witness):
    trace = RandomTrace(seed, records)
    catalog, simple, log = folder / "trace-events-all", folder / "trace.bin", folder / "trace.log"
    catalog.write_bytes(trace.catalog)
    simple.write_bytes(trace.simple)
    log.write_bytes(trace.log)
    piece = random.Random(seed).choice((1, 7, 64, 1000, 65536, 1 << 20))

    if witness:
        compare("simpletrace.py found", by_simpletrace(catalog, simple), trace.simple_records)
    found, totals = by_qemon(program, "simple", catalog, simple, piece)
    compare("qemon found", found, trace.simple_records)
    if totals["resyncs"] or totals["lost_bytes"] or any(totals["errors"]) or totals["rest"]:
        raise Difference(f"qemon counts damage in a sound trace: {totals}")

    found, totals = by_qemon(program, "log", catalog, log, piece)
    compare("qemon found in the log", found, trace.log_records)
    unknown_lines = totals["errors"][4]
    if unknown_lines != trace.foreign_lines or sum(totals["errors"]) != unknown_lines or totals["lost_bytes"] or totals["rest"]:
        raise Difference(f"qemon counts {totals} in a log with {trace.foreign_lines} lines that are no records")
    return len(trace.simple_records) + len(trace.log_records), sum(len(record.arguments) for record in trace.simple_records + trace.log_records)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--seeds", type=int, default=30, help="how many")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--records", type=int, default=2500, help="in each of a seed's two traces")
    parser.add_argument("--keep", help="a folder for the files of the last seed")
    options = parser.parse_args()
    simpletrace = os.environ.get("QEMON_SIMPLETRACE", "")
    if simpletrace:
        sys.path.insert(0, str(pathlib.Path(simpletrace).parent))
    records = values = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(options.keep or temporary)
        folder.mkdir(exist_ok=True)
        for seed in range(options.first, options.first + options.seeds):
            try:
                counts = check(options.program, folder, seed, options.records, bool(simpletrace))
            except Difference as difference:
                sys.exit(f"FAILED with seed {seed}: {difference}")
            records += counts[0]
            values += counts[1]
    print(f"seeds {options.first} to {options.first + options.seeds - 1}: {records} records with {values} arguments are equal in every field, as "
          + ("qemon, simpletrace.py and the generator have them" if simpletrace
             else "qemon and the generator have them; without QEMON_SIMPLETRACE, simpletrace.py was not asked"))


if __name__ == "__main__":
    main()
