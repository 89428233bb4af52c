#!/usr/bin/env python3
"""What libqemon-plugin.so costs a guest at each level: processor time with it over processor time without, by turns in one run.

    cmake --preset release && cmake --build build/release
    tests/bench/plugin.py [--plugin build/release/lib/libqemon-plugin.so] [--rounds 5]

  program   A program in user-mode QEMU (qemu-x86_64): gzip compresses the words of QEMU's own binary.
  loop      The same with nothing but loads and stores (tests/guest/accesses_program.S): the worst that there is.
  boot      A PC's BIOS in qemu-system-x86_64, from its start until it finds nothing to boot, on each QEMU that takes plugins.

Nothing else should run on the machine. Exits with 0 whatever the figures are.
"""
import argparse
import json
import pathlib
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from plugin_figures import qemu_user, takes_plugins  # pylint: disable=wrong-import-position
from qemu_builds import builds  # pylint: disable=wrong-import-position

LEVELS = ("count", "blocks", "memory", "all")
BOOT_SECONDS = 4


def cpu_of(command):
    """Processor seconds that the command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def cpu_of_boot(command, folder):
    """Processor seconds of a QEMU that boots and then has nothing to do."""
    path = folder / "qmp"
    with subprocess.Popen([*command, "-qmp", f"unix:{path},server=on,wait=off"]) as qemu:
        time.sleep(BOOT_SECONDS)
        ticks = pathlib.Path(f"/proc/{qemu.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[11:13]
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(path))
            for name in ("qmp_capabilities", "quit"):
                monitor.sendall(json.dumps({"execute": name}).encode())
            qemu.wait(30)
    path.unlink(missing_ok=True)
    return sum(map(int, ticks)) / 100


def measure(name, rounds, run, plugin, folder):
    """`run(options)` takes QEMU's options and returns seconds."""
    seconds = {level: [] for level in (None, *LEVELS)}
    for _ in range(rounds):
        for level, taken in seconds.items():
            taken.append(run([] if level is None else ["-plugin", f"{plugin},path={folder}/figures.tcg,level={level}"]))
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
            (folder / "input").write_bytes(pathlib.Path(user).read_bytes()[:4 << 20])
            subprocess.run(["as", "--64", "--defsym", "ROUNDS=20000000", "-o", folder / "loop.o", ROOT / "tests/guest/accesses_program.S"], check=True)
            subprocess.run(["ld", "-o", folder / "loop", folder / "loop.o"], check=True)
            measure("program: gzip", options.rounds, lambda more: cpu_of([user, *more, shutil.which("gzip"), "-c", folder / "input"]), plugin, folder)
            measure("loop", options.rounds, lambda more: cpu_of([user, *more, folder / "loop"]), plugin, folder)
        for build in builds():
            if takes_plugins(build):
                command = [build.binary, *build.options, "-accel", "tcg", "-display", "none", "-nodefaults", "-device", "VGA"]
                measure(f"boot: {build.label}", options.rounds, lambda more, command=command: cpu_of_boot([*command, *more], folder), plugin, folder)


if __name__ == "__main__":
    main()
