#!/usr/bin/env python3
"""Guards the speed of decoding and counting by the instructions that a record takes, which no other load on the machine changes.

    instructions_test.py DECODE_TRACE

DECODE_TRACE is compiled with optimisation in every build (see CMakeLists.txt). The limits are what g++ 12 made on x86-64, and a
tenth on top: who makes the engine faster lowers them, who must raise one says why in the commit.
"""
import re
import shutil
import subprocess
import sys

LIMITS = {  # Instructions a record.
    ("simple", "counted"): 85,
    ("simple", "packs"): 420,
    ("log", "counted"): 440,
    ("log", "packs"): 1560,
}
SKIPPED = 77


def instructions(program, arguments):
    """The whole program's, and its output."""
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, *arguments], capture_output=True, text=True, check=False)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not collected:
        sys.exit(f"valgrind {program} {' '.join(arguments)} failed:\n{run.stderr}")
    return int(collected[1]), int(run.stdout)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    if not shutil.which("valgrind"):
        print("skipped: there is no valgrind")
        return SKIPPED
    failed = False
    for (trace, use), limit in LIMITS.items():
        # The difference has no start of the program in it.
        few, few_records = instructions(sys.argv[1], [trace, use, "1"])
        many, many_records = instructions(sys.argv[1], [trace, use, "3"])
        each = (many - few) / (many_records - few_records)
        verdict = "ok" if each <= limit else "TOO MANY"
        failed |= each > limit
        print(f"{trace:6} {use:7} {each:6.1f} instructions a record, at most {limit}: {verdict}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
