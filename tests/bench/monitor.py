#!/usr/bin/env python3
"""How long QEMU's main loop is busy with each monitor command that qemond sends to ask something: the fastest of many round
trips on a VM with one disk, less that of a command that does nothing. docs/monitor-commands.md has the figures.

    tests/bench/monitor.py [--qemu qemu-system-x86_64] [--times 200]
"""
import argparse
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from stack import Failure, Stack  # pylint: disable=wrong-import-position

COMMANDS = ["query-commands", "query-version", "query-name", "query-uuid", "query-target", "query-kvm", "query-status",
            "query-cpus-fast", "query-iothreads", "query-blockstats", "query-jobs", "query-block-jobs", "query-balloon",
            "query-memory-size-summary", "query-dirty-rate", "query-migrate", "query-replay", "query-stats-schemas", "x-query-irq",
            "x-query-jit"]
LINES = ["help trace-file", "log help", "info trace-events", "trace-file", "sync-profile", "info sync-profile 50", "info irq", "info jit"]


def fastest(ask, times):
    best = None
    for _ in range(times):
        begin = time.perf_counter()
        try:
            ask()
        except Failure:
            pass  # A refusal takes its time too.
        took = time.perf_counter() - begin
        best = took if best is None or took < best else best
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qemu", default="qemu-system-x86_64")
    parser.add_argument("--times", default=200, type=int)
    options = parser.parse_args()
    with Stack(ROOT, options.qemu) as stack:
        vm = stack.start_vm("monitor")
        vm.qmp("stop")  # What is measured is not to wait for the guest.
        nothing = fastest(lambda: vm.qmp("query-version"), options.times)
        print(f"{nothing * 1000:8.3f} ms  query-version, which the others are less")

        def show(name, ask):
            print(f"{(fastest(ask, options.times) - nothing) * 1000:8.3f} ms  {name}")
        for command in COMMANDS:
            show(command, lambda command=command: vm.qmp(command))
        show("trace-event-get-state, one", lambda: vm.qmp("trace-event-get-state", name="exec_tb"))
        show("trace-event-get-state, all", lambda: vm.qmp("trace-event-get-state", name="*"))
        show("trace-event-set-state, one", lambda: vm.qmp("trace-event-set-state", name="exec_tb", enable=False))
        for line in LINES:
            show(line, lambda line=line: vm.qmp("human-monitor-command", **{"command-line": line}))


if __name__ == "__main__":
    main()
