#!/usr/bin/env python3
"""The measuring part of compare.sh: compare.py QEMON SIMPLETRACE.py FOLDER, with repeated.simple and repeated.log in the folder.

Programs of which one run is short are run by turns, and the best run of each counts: what disturbs makes them slower, never faster.
Every peer must count what qemon counts, else the comparison ends with an error.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CATALOG = HERE.parents[1] / "tests/data/simple-7.2.events.txt"
LOG_CATALOG = HERE.parents[1] / "tests/data/catalog-7.2-excerpt.txt"
PACKS = ["block", "virtio-blk", "irq"]
ROUNDS = 9


def run(command):
    """Seconds of the whole program, and what it printed; what `cat` prints goes to /dev/null."""
    with open(os.devnull, "w+", encoding="utf-8") if command[0] == "cat" else tempfile.TemporaryFile("w+") as output:
        begin = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE)
        _, errors = process.communicate()
        seconds = time.perf_counter() - begin
        if process.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))} failed: {errors.decode().strip()}")
        output.seek(0)
        return seconds, output.read()


def peak_megabytes(command):
    """By the kernel's own count, of one run."""
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed")
    return usage.ru_maxrss / 1024


def counts_of(text):
    """Occurrences by event, of the three ways in which the programs tell them."""
    counts = {}
    for line in text.splitlines():
        match = re.match(r'(?:qemu_)?trace_events_total\{.*\bevent="(\w+)".*\} (\S+)', line) or re.match(r"(\w+) (\d+)$", line)
        if match:
            counts[match[1]] = int(float(match[2]))
    return counts


class Measurement:
    def __init__(self, qemon):
        self.qemon = qemon

    def replay(self, trace, catalog, packs=()):
        command = [self.qemon, "replay", "-o", "prometheus", "--trace-events", str(catalog), str(trace)]
        for pack in packs:
            command += ["--pack", pack]
        return command

    @staticmethod
    def by_turns(commands):
        best = [float("inf")] * len(commands)
        output = [""] * len(commands)
        for _ in range(ROUNDS):
            for i, command in enumerate(commands):
                seconds, output[i] = run(command)
                best[i] = min(best[i], seconds)
        return best, output

    def beside_cat(self, trace, counting_catalog):
        """Measures cat and qemon, prints their rows, and returns qemon's seconds of counting and with packs, and cat's; and the counts."""
        counting, packs = self.replay(trace, counting_catalog), self.replay(trace, LOG_CATALOG, PACKS)
        (cat, count, with_packs), (_, counted, _) = self.by_turns([["cat", trace], counting, packs])
        size = trace.stat().st_size
        self.row("cat", cat, size, "", "")
        self.row("qemon replay, counting", count, size, "time of cat", f"{count / cat:.2f}")
        self.row("qemon replay, packs " + ", ".join(PACKS), with_packs, size, "time of cat", f"{with_packs / cat:.2f}")
        return count, with_packs, cat, counts_of(counted)

    @staticmethod
    def row(what, seconds, size, against, ratio):
        print(f"  {what:44} {seconds:8.3f} s {size / seconds / 1e6:8.0f} MB/s   {against:28} {ratio}", flush=True)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.strip())
    qemon, simpletrace, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    measurement = Measurement(qemon)
    simple, log = folder / "repeated.simple", folder / "repeated.log"

    size = simple.stat().st_size
    print(f"simple, {size / 1e6:.0f} MB")
    count, with_packs, cat, counted = measurement.beside_cat(simple, CATALOG)
    seconds, output = run([sys.executable, HERE / "peers/count_simple.py", simpletrace, CATALOG, simple])
    check("simpletrace.py", counted, counts_of(output))
    measurement.row("simpletrace.py, counting", seconds, size, "time of qemon", f"{seconds / count:.0f}")
    records = sum(counts_of(output).values())
    print(f"  a record with packs takes {(with_packs - cat) / records * 1e9:.1f} ns beside reading it; counting takes {(count - cat) / records * 1e9:.1f} ns")

    size = log.stat().st_size
    print(f"log, {size / 1e6:.0f} MB")
    count, with_packs, _, counted = measurement.beside_cat(log, LOG_CATALOG)
    for name, command, ours in (("regular expression in Python, counting", [sys.executable, HERE / "peers/count_log.py", log], count),
                                ("mtail, counting", mtail("count", log), count), ("mtail, the same as the packs", mtail("packs", log), with_packs)):
        seconds, output = run(command)
        if ours is count:
            check(name, counted, counts_of(output))
        measurement.row(name, seconds, size, "time of qemon", f"{seconds / ours:.0f}")

    print("most memory of qemon replay")
    with tempfile.TemporaryDirectory() as small_folder:
        for trace in (simple, log):
            small = pathlib.Path(small_folder) / trace.name
            with open(trace, "rb") as source, open(small, "wb") as target:
                target.write(source.read(20_000_000))
            few, many = (peak_megabytes(measurement.replay(each, LOG_CATALOG, PACKS)) for each in (small, trace))
            print(f"  {trace.suffix[1:]:6} {few:.1f} MB for 20 MB of trace, {many:.1f} MB for {trace.stat().st_size / 1e6:.0f} MB")


def mtail(program, log):
    return ["mtail", "--one_shot", "--one_shot_format=prometheus", "--address", "127.0.0.1", "--port", "0",
            "--progs", HERE / f"peers/{program}.mtail", "--logs", log]


def check(name, ours, theirs):
    if ours != theirs:
        sys.exit(f"{name} and qemon count differently: {sorted(set(ours.items()) ^ set(theirs.items()))[:6]}")


if __name__ == "__main__":
    main()
