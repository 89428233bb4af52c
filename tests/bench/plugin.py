#!/usr/bin/env python3
"""What libqemon-plugin.so costs a guest at each level: processor time with it over processor time without, by turns in one run.

    cmake --preset release && cmake --build build/release
    tests/bench/plugin.py [--plugin build/release/lib/libqemon-plugin.so] [--rounds 5]

  program   A program in user-mode QEMU (qemu-x86_64): gzip compresses the words of QEMU's own binary.
  loop      The same with nothing but loads and stores (tests/guest/accesses_program.S): the worst that there is.
  system    The same in qemu-system-x86_64 (tests/guest/accesses.S), on each QEMU that takes plugins.

Nothing else should run on the machine. Exits with 0 whatever the figures are.
"""
import argparse
import contextlib
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from accesses_guest import AccessesGuest  # pylint: disable=wrong-import-position
from plugin_figures import qemu_user, takes_plugins  # pylint: disable=wrong-import-position
from qemu_builds import builds  # pylint: disable=wrong-import-position
from stack import Stack  # pylint: disable=wrong-import-position

LEVELS = ("count", "blocks", "memory", "all")
GUEST_COMMANDS = 400  # Of 60,000 rounds each.


def cpu_of(command):
    """Processor seconds that the command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def cpu_of_guest(build, plugin, arguments):
    """Processor seconds that a QEMU takes for the guest's work."""
    with Stack(ROOT) as stack:
        guest = AccessesGuest(stack, build, plugin if arguments else None, arguments)
        with contextlib.closing(guest):
            guest.work(60_000)
            before = guest.vm.process.cpu_seconds()
            for _ in range(GUEST_COMMANDS):
                guest.work(60_000)
            return guest.vm.process.cpu_seconds() - before


def measure(name, rounds, run):
    """`run(arguments)` takes the plugin's arguments beside its path, or None for no plugin, and returns seconds."""
    seconds = {level: [] for level in (None, *LEVELS)}
    for _ in range(rounds):
        for level, taken in seconds.items():
            taken.append(run(f",level={level}" if level else None))
    plain = statistics.median(seconds[None])
    ratios = "  ".join(f"{level} {statistics.median(seconds[level]) / plain:.2f}" for level in LEVELS)
    print(f"{name:32}{plain:6.2f} s without   {ratios}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", type=pathlib.Path, default=ROOT / "build/release/lib/libqemon-plugin.so")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    plugin = options.plugin.resolve()
    with tempfile.TemporaryDirectory(prefix="qemon-bench.") as name:
        folder = pathlib.Path(name)
        user = qemu_user()
        if user:
            def program(*command):
                def run(arguments):
                    return cpu_of([user, *(["-plugin", f"{plugin},path={folder}/figures.tcg{arguments}"] if arguments else []), *command])
                return run
            (folder / "input").write_bytes(pathlib.Path(user).read_bytes() * 5)
            subprocess.run(["as", "--64", "--defsym", "ROUNDS=100000000", "-o", folder / "loop.o", ROOT / "tests/guest/accesses_program.S"], check=True)
            subprocess.run(["ld", "-o", folder / "loop", folder / "loop.o"], check=True)
            measure("program: gzip", options.rounds, program(shutil.which("gzip"), "-c", folder / "input"))
            measure("loop", options.rounds, program(folder / "loop"))
        for build in builds():
            if takes_plugins(build):
                measure(f"system: {build.label}", options.rounds, lambda arguments, build=build: cpu_of_guest(build, plugin, arguments))


if __name__ == "__main__":
    main()
