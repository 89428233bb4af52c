#!/usr/bin/env python3
"""What one trace event costs with QEMU's backends ftrace and syslog, which write into logs of the whole system.

    cmake --preset release && cmake --build build/release
    . /var/cache/qemon/test-env
    tests/bench/system_logs.py [--bin build/release/bin] [--pairs 12]

A guest that sleeps most of the time (tests/guest/ticks.S), by turns with an event on, followed by qemond, and off: processor time that QEMU, qemond
and the log's daemon use more, for each record; and how soon a disk request is in /metrics, as backends.py measures it. QEMU is that of
QEMON_BACKENDS_QEMU, which has both backends and writes each event to both. So for ftrace its syslog(3) is one that does nothing, and for syslog its
trace_marker is /dev/null, whose write is in the figure. Needs root, rsyslogd and journald. Nothing else should run on the machine. Exits with 0
whatever the figures are.
"""
import argparse
import pathlib
import random
import re
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from backends import cpu_seconds, measure_freshness, with_children  # pylint: disable=wrong-import-position
from qemu_builds import backends_build  # pylint: disable=wrong-import-position
from stack import Stack  # pylint: disable=wrong-import-position
from system_logs import Journald, Rsyslogd, enter_own_namespace, without_backends  # pylint: disable=wrong-import-position

EVENT = "exec_tb"
WRITES = 500  # 100 times a second; a block each.


def counted(host):
    found = re.search(rf'(?m)^qemu_trace_events_total\{{vm="guest",event="{EVENT}"\}} (\S+)$', host.metrics())
    return float(found[1]) if found else 0.0


def measure(stack, host, vm, daemons, pairs):
    """{who: ns a record, of each pair}, and records a second."""
    costs = {who: [] for who in ("QEMU", "qemond", "the daemon")}
    rate = 0.0
    for _ in range(pairs):
        used = {}
        for on in random.sample((True, False), 2):
            if on:
                host.qemon("event", "on", EVENT)
            records, begin = counted(host), time.perf_counter()
            # qemond with the journalctl that reads for it.
            pids = dict(zip(costs, ([vm.process.pid], with_children([host.process.pid]), [daemon.pid for daemon in daemons])))
            before = {who: cpu_seconds(each) for who, each in pids.items()}
            time.sleep(2)
            seconds = time.perf_counter() - begin
            used[on] = {who: (cpu_seconds(each) - before[who]) / seconds for who, each in pids.items()}
            if on:
                rate = (counted(host) - records) / seconds
                host.qemon("event", "off", EVENT)
        for who, each in costs.items():
            each.append((used[True][who] - used[False][who]) / rate * 1e9)
    return costs, rate


def run(options, build, label, backend, start_daemon, silent):
    with Stack(options.bin.resolve()) as stack:
        daemon = start_daemon(stack)
        # Blocks that do not jump to each other are all seen by exec_tb.
        qemu = build._replace(binary=without_backends(stack, build.binary, {silent}))
        choice = ["--backend", backend(daemon)]
        vm = stack.start_vm("guest", [*qemu.options, "-d", "nochain"], qemu.binary, ROOT / "tests/guest/ticks.S", symbols=[f"WRITES={WRITES}"])
        host = stack.start_qemond([vm], options=["--budget", "unlimited", *choice, *qemu.catalog_options()])
        host.qemon("event", "on", "runstate_set", "--for", "forever")  # Everything stays as it is made for the first event.
        costs, rate = measure(stack, host, vm, [daemon.process] if daemon else [], options.pairs)
        shares = ", ".join(f"{who} {statistics.mean(each):.0f} (+-{statistics.stdev(each) / len(each) ** 0.5:.0f})" for who, each in costs.items())
        print(f"{label}: ns a record: {shares}; {rate:.0f} records/s", flush=True)
        stack.end(host.process)
        vm.kill()
        measure_freshness(stack, qemu, choice)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=ROOT / "build/release/bin", type=pathlib.Path)
    parser.add_argument("--pairs", default=12, type=int)
    options = parser.parse_args()
    build = backends_build()
    if build is None:
        sys.exit("no QEMU has these backends: source the file that tests/tools/prepare-qemu.sh makes")
    refused = enter_own_namespace()
    if refused:
        sys.exit(refused)
    run(options, build, "ftrace", lambda _: "ftrace", lambda _: None, "syslog")
    run(options, build, "syslog, rsyslogd's file", lambda daemon: f"syslog:{daemon.files['rfc3339']}",
        lambda stack: Rsyslogd(stack, formats=["rfc3339"]), "ftrace")
    run(options, build, "syslog, journal", lambda _: "syslog", Journald, "ftrace")


if __name__ == "__main__":
    main()
