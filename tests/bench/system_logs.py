#!/usr/bin/env python3
"""What one trace event costs with QEMU's backends ftrace and syslog, which write into logs of the whole system.

    cmake --preset release && cmake --build build/release
    . /var/cache/qemon/test-env
    tests/bench/system_logs.py [--bin build/release/bin] [--pairs 12]

A guest that sleeps most of the time (tests/guest/ticks.S), by turns with an event on, followed by qemond, and off: processor time that QEMU, qemond
and the log's daemon use more, for each record. QEMU is that of QEMON_BACKENDS_QEMU, which has both backends and writes each event to both. So for
ftrace its syslog(3) is one that does nothing, and for syslog its trace_marker is /dev/null, whose write is in the figure. Needs root, rsyslogd and
journald. Nothing else should run on the machine. Exits with 0 whatever the figures are.
"""
import argparse
import pathlib
import random
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from qemu_builds import backends_build  # pylint: disable=wrong-import-position
from stack import Stack  # pylint: disable=wrong-import-position
from system_logs import Journald, Rsyslogd, enter_own_namespace  # pylint: disable=wrong-import-position

EVENT = "exec_tb"
WRITES = 500  # 100 times a second; a block each.
SILENT_SYSLOG = "void openlog(const char *n, int o, int f) {} void __syslog_chk(int p, int f, const char *t, ...) {}"
MARKER = "/sys/kernel/tracing/trace_marker"


def counted(host):
    found = re.search(rf'(?m)^qemu_trace_events_total\{{vm="guest",event="{EVENT}"\}} (\S+)$', host.metrics())
    return float(found[1]) if found else 0.0


def measure(stack, host, vm, daemons, pairs):
    """{who: ns a record, of each pair}, and records a second."""
    processes = {"QEMU": [vm.process], "qemond": [host.process], "the daemon": daemons}
    costs = {who: [] for who in processes}
    rate = 0.0
    for _ in range(pairs):
        used = {}
        for on in random.sample((True, False), 2):
            if on:
                host.qemon("event", "on", EVENT)
            records, begin = counted(host), time.perf_counter()
            before = {who: sum(process.cpu_seconds() for process in each) for who, each in processes.items()}
            time.sleep(2)
            seconds = time.perf_counter() - begin
            used[on] = {who: (sum(process.cpu_seconds() for process in each) - before[who]) / seconds for who, each in processes.items()}
            if on:
                rate = (counted(host) - records) / seconds
                host.qemon("event", "off", EVENT)
        for who, each in costs.items():
            each.append((used[True][who] - used[False][who]) / rate * 1e9)
    return costs, rate


def run(options, build, label, backend, start_daemon, silence):
    with Stack(options.bin.resolve()) as stack:
        daemon = start_daemon(stack)
        environment = silence(stack)
        vm = stack.start_vm("guest", [*build.options, "-d", "nochain"], build.binary, ROOT / "tests/guest/ticks.S", symbols=[f"WRITES={WRITES}"]) \
            if not environment else start_with(stack, build, environment)
        host = stack.start_qemond([vm], options=["--budget", "unlimited", "--backend", backend(daemon), *build.catalog_options()])
        host.qemon("event", "on", "runstate_set", "--for", "forever")  # Everything stays as it is made for the first event.
        costs, rate = measure(stack, host, vm, [daemon.process] if daemon else [], options.pairs)
        shares = ", ".join(f"{who} {statistics.mean(each):.0f} (+-{statistics.stdev(each) / len(each) ** 0.5:.0f})" for who, each in costs.items())
        print(f"{label}: ns a record: {shares}; {rate:.0f} records/s", flush=True)
        stack.end(host.process)


def start_with(stack, build, environment):
    wrapper = stack.folder / "qemu"
    wrapper.write_text(f'#!/bin/sh\n{environment} exec {build.binary} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o700)
    return stack.start_vm("guest", [*build.options, "-d", "nochain"], wrapper, ROOT / "tests/guest/ticks.S", symbols=[f"WRITES={WRITES}"])


def without_syslog(stack):
    library = stack.folder / "silent.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-x", "c", "-", "-o", library], input=SILENT_SYSLOG, text=True, check=True)
    return f"LD_PRELOAD={library}"


def without_marker(_):
    subprocess.run(["mount", "--bind", "/dev/null", MARKER], check=True)
    return ""


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
    run(options, build, "ftrace", lambda _: "ftrace", lambda _: None, without_syslog)
    run(options, build, "syslog, rsyslogd's file", lambda daemon: f"syslog:{daemon.files['rfc3339']}", Rsyslogd, without_marker)
    run(options, build, "syslog, journal", lambda _: "syslog", Journald, lambda _: "")


if __name__ == "__main__":
    main()
