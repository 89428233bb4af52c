#!/usr/bin/env python3
"""What qemond itself takes: to start, at rest, and at QEMU's top rate of trace output.

    cmake --preset release && cmake --build build/release --target qemond qemon
    cmake --preset dev && cmake --build build/dev --target fake-qemu
    tests/bench/daemon.py [--bin build/release/bin] [--fake build/dev/bin/fake-qemu] [--qemu qemu-system-x86_64]
                          [--seconds 10]

  start   From the start of the process to `READY=1`, with 10 VMs (fakes) configured.          Promised: under 50 ms.
  idle    Processor time and memory with one VM attached and no event on.                      Promised: 0.1 % of a core, 15 MB.
  live    exec_tb under TCG (`-d nochain`): what qemond uses, what it loses, and how old a record is when a scrape first
          shows it, both backends.                        Promised: 10 % of a core, nothing lost, 250 ms.

For `live` qemond follows the user's own trace file, in which this program afterwards looks up the time of each record that a
scrape counted first. Nothing else should run on the machine. Exits with 0 whatever the figures are.
"""
import argparse
import json
import os
import pathlib
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from qemu_builds import Build, build  # pylint: disable=wrong-import-position
from stack import Failure, Stack, http_get, wait_for  # pylint: disable=wrong-import-position

STARTS = 9
SCRAPE_EVERY = 0.02  # Seconds.
HEADER_BYTES = 24  # Of a simple trace.


def cpu_seconds(pid):
    """As the scheduler has it, of all threads."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def memory_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def measure_start(options):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        fakes = subprocess.Popen([options.fake, folder, ROOT / "tests/data/qmp-7.2-tcg.jsonl.gz"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        lines = [f'listen: 127.0.0.1:0\ncontrol_socket: "{folder}/control"\nruntime_dir: "{folder}/run"\nvms:']
        for i in range(10):
            print(f"add vm{i}", file=fakes.stdin, flush=True)
            if "error" in json.loads(fakes.stdout.readline()):
                raise Failure("fake-qemu does not know the command add")
            lines.append(f'  - {{name: vm{i}, address: "unix:{folder}/vm{i}.qmp"}}')
        (folder / "qemond.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(folder / "notify"))
        notify.settimeout(30)
        took = []
        for _ in range(STARTS):
            begin = time.perf_counter()
            process = subprocess.Popen([options.bin / "qemond", "--config", folder / "qemond.yaml"], stderr=subprocess.DEVNULL,
                                       env=dict(os.environ, NOTIFY_SOCKET=str(folder / "notify")))
            while b"READY=1" not in notify.recv(4096):
                pass
            took.append(time.perf_counter() - begin)
            process.terminate()
            process.wait()
        fakes.stdin.close()
        fakes.wait()
    print(f"start     ready after {min(took) * 1000:.0f}/{statistics.median(took) * 1000:.0f}/{max(took) * 1000:.0f} ms "
          f"(least, median, most of {STARTS}), with 10 VMs")


def measure_idle(options):
    with Stack(options.bin, options.qemu) as stack:
        vm = stack.start_vm("guest", guest=ROOT / "tests/guest/ticks.S", symbols=["WRITES=1"])
        host = stack.start_qemond([vm])
        wait_for(lambda: host.metrics().count('qemond_collector_success{vm="guest"') >= 8, 30, "qemond to settle")
        pid = host.process.pid
        begin, before = time.perf_counter(), cpu_seconds(pid)
        time.sleep(3 * options.seconds)
        share = (cpu_seconds(pid) - before) / (time.perf_counter() - begin)
        print(f"idle      {share * 100:.3f} % of a core over {3 * options.seconds} s with the default collectors, {memory_mb(pid):.1f} MB")


def log_times(path):
    """Nanoseconds since the epoch of each exec_tb."""
    times = []
    with open(path, "rb") as log:
        for line in log:
            at = line.find(b":")
            if line[at + 1:at + 9] == b"exec_tb ":
                times.append(int(line[line.index(b"@") + 1:at].replace(b".", b"")) * 1000)
    return times


def simple_times(path):
    """Nanoseconds of CLOCK_MONOTONIC of each exec_tb."""
    data = path.read_bytes()
    at, wanted, times = HEADER_BYTES, None, []
    while at + 32 <= len(data):
        kind, event = struct.unpack_from("<QQ", data, at)
        if kind == 0:
            size = struct.unpack_from("<I", data, at + 16)[0]
            if data[at + 20:at + 20 + size] == b"exec_tb":
                wanted = event
            at += 20 + size
            continue
        if event == wanted:
            times.append(struct.unpack_from("<Q", data, at + 16)[0])
        at += 8 + struct.unpack_from("<I", data, at + 24)[0]
    return times


def measure_live(options, backend, qemu):
    with Stack(options.bin, qemu.binary) as stack:
        trace = stack.folder / "trace"
        where = ["-D", trace] if backend == "log" else ["-trace", f"enable=runstate_set,file={trace}"]
        vm = stack.start_vm("guest", [*qemu.options, "-d", "nochain", *where], guest=ROOT / "tests/guest/demo.S")
        host = stack.start_qemond([vm], options=["--budget", "unlimited", "--trace-space", "100GiB", *qemu.catalog_options()])
        clock = time.time_ns if backend == "log" else time.monotonic_ns
        count = re.compile(r'qemu_trace_events_total\{vm="guest",event="exec_tb"\} (\d+)')
        url = f"http://{host.listen}/metrics"
        pid = host.process.pid
        host.qemon("event", "on", "exec_tb", "--for", "forever")
        time.sleep(1)
        scrapes = []
        begin, before = time.perf_counter(), cpu_seconds(pid)
        while time.perf_counter() < begin + options.seconds:
            page = http_get(url)
            scrapes.append((clock(), int(count.search(page)[1])))
            time.sleep(SCRAPE_EVERY)
        share = (cpu_seconds(pid) - before) / (time.perf_counter() - begin)
        host.qemon("event", "off", "exec_tb")
        wait_for(lambda: int(re.search(r'qemond_trace_lag_bytes\{vm="guest"\} (\d+)', host.metrics())[1]) == 0, 30, "qemond to catch up")
        vm.qmp("quit")
        vm.process.child.wait()
        time.sleep(1)
        page = host.metrics()
        counted = int(count.search(page)[1])
        dropped = re.search(r'qemu_trace_dropped_events_total\{vm="guest"\} (\d+)', page)
        times = (log_times if backend == "log" else simple_times)(trace)
    ages = []
    for (_, shown_before), (now, shown) in zip(scrapes, scrapes[1:]):
        # Records shown by this scrape and not by the one before: the first is the oldest.
        ages += [(now - at) / 1e6 for at in times[shown_before:shown]]
    ages.sort()
    rate = (scrapes[-1][1] - scrapes[0][1]) / options.seconds
    print(f"live      {backend}: {rate / 1000:.0f}k records/s, {share * 100:.1f} % of a core; a record is in /metrics after "
          f"{ages[len(ages) // 2]:.0f} ms (p50), {ages[len(ages) * 99 // 100]:.0f} ms (p99), with a scrape every {SCRAPE_EVERY * 1000:.0f} ms; "
          f"{counted} of {len(times)} records counted, {dropped[1] if dropped else 0} dropped by QEMU")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--fake", type=pathlib.Path, default=ROOT / "build/dev/bin/fake-qemu")
    parser.add_argument("--qemu", default="qemu-system-x86_64")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--only", choices=["start", "idle", "live"])
    options = parser.parse_args()
    try:
        if options.only in (None, "start"):
            measure_start(options)
        if options.only in (None, "idle"):
            measure_idle(options)
        if options.only in (None, "live"):
            measure_live(options, "log", Build("", options.qemu, [], ""))
            simple = build("simple")
            if simple.binary:
                measure_live(options, "simple", simple)
            else:
                print("live      simple: no QEMU with that backend in QEMON_TEST_QEMUS (see tests/tools/prepare-qemu.sh)")
    except Failure as failure:
        sys.exit(f"daemon.py: {failure}")


if __name__ == "__main__":
    main()
