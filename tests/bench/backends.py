#!/usr/bin/env python3
"""What one trace event costs with each of QEMU's trace backends, and how soon it is in /metrics, on real QEMUs.

    cmake --preset release && cmake --build build/release
    . /var/cache/qemon/test-env
    tests/bench/backends.py [--bin build/release/bin] [--backend log|simple|usdt|lttng|...]... [--pack tcg] [--pairs 12]

  cost   A guest that sleeps most of the time (tests/guest/ticks.S), by turns with exec_tb on, followed by qemond, and off: what the QEMU process, qemond
         and LTTng's daemons use more, for each record.
  fresh  From the end of a disk request to the end of the first scrape that shows it, 300 requests of a guest, one after another.

`log` is measured with QEMON_TEST_QEMUS's first QEMU, `simple` with its `simple` one, `usdt` with that of QEMON_DTRACE_QEMU, the others with that of
QEMON_BACKENDS_QEMU. With `--pack` it is that pack which has the event on, and reads it whole. Nothing else should run on the machine. Exits with 0 whatever the figures are.
"""
import argparse
import contextlib
import pathlib
import random
import re
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from known_work import Worker  # pylint: disable=wrong-import-position
from lttng_world import LttngWorld, enter, why_not  # pylint: disable=wrong-import-position
from qemu_builds import backends_build, build, builds  # pylint: disable=wrong-import-position
from stack import Failure, Stack  # pylint: disable=wrong-import-position

EVENT, READ = "exec_tb", "virtio_blk_handle_read"
WRITES = 500  # 100 times a second.
SCRAPE_EVERY = 0.01  # Seconds.


def qemu_for(backend):
    known = {"log": lambda: builds()[0], "simple": lambda: build("simple"), "usdt": lambda: backends_build("QEMON_DTRACE_QEMU")}
    return known.get(backend, backends_build)()


def counted(host, event):
    found = re.search(rf'(?m)^qemu_trace_events_total\{{vm="\w+",event="{event}"\}} (\S+)$', host.metrics())
    return int(float(found[1])) if found else 0


def cpu_seconds(pids):
    """As the scheduler has it, of all threads."""
    seconds = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            seconds += sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9
    return seconds


def with_children(pids):
    parents = {}
    for task in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(task.name)] = int((task / "stat").read_text().rpartition(")")[2].split()[1])
    wanted = set(pids)
    while True:
        more = {pid for pid, parent in parents.items() if parent in wanted} - wanted
        if not more:
            return wanted
        wanted |= more


def measure_cost(stack, qemu, choice, lttng, switch, pairs):
    # Blocks that do not jump to each other are all seen by exec_tb.
    vm = stack.start_vm("guest", [*qemu.options, "-d", "nochain"], qemu.binary, ROOT / "tests/guest/ticks.S", symbols=[f"WRITES={WRITES}"])
    host = stack.start_qemond([vm], options=["--budget", "unlimited", *choice, *qemu.catalog_options()])
    host.qemon("event", "on", "runstate_set", "--for", "forever")  # Everything stays as it is made for the first event.
    daemons = [lttng.session_daemon.pid, lttng.relay.pid] if lttng else []
    costs = {"QEMU": [], "the others": []}
    for _ in range(pairs):
        used = {}
        for on in random.sample((True, False), 2):
            if on:
                host.qemon(switch[0], "on", switch[1])
            before_records = counted(host, EVENT)
            others = with_children([host.process.pid, *daemons])
            begin = time.perf_counter()
            before = [cpu_seconds([vm.process.pid]), cpu_seconds(others)]
            time.sleep(2)
            after = [cpu_seconds([vm.process.pid]), cpu_seconds(others)]
            seconds = time.perf_counter() - begin
            used[on] = [(last - first) / seconds for first, last in zip(before, after)]
            if on:
                rate = (counted(host, EVENT) - before_records) / seconds
                host.qemon(switch[0], "off", switch[1])
        for who, on, off in zip(costs, used[True], used[False]):
            costs[who].append((on - off) / rate * 1e9)
    for who, each in costs.items():
        print(f"  cost   {who}: {statistics.mean(each):.0f} ns a record (+-{statistics.stdev(each) / len(each) ** 0.5:.0f}), {rate:.0f} records/s")
    stack.end(host.process)
    vm.kill()


def measure_freshness(stack, qemu, choice):
    worker = Worker(stack, "work", qemu)
    host = stack.start_qemond([worker.vm], packs=["virtio-blk"], options=[*choice, *qemu.catalog_options()])
    times = []
    for number in range(300):
        time.sleep(random.random() * 0.1)
        worker.work(read=1)
        begin = time.perf_counter()
        while counted(host, READ) <= number:
            time.sleep(SCRAPE_EVERY)
        times.append((time.perf_counter() - begin) * 1000)
    times.sort()
    print(f"  fresh  {times[len(times) // 2]:.0f} ms (p50), {times[len(times) * 99 // 100]:.0f} ms (p99)")
    worker.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=ROOT / "build/release/bin", type=pathlib.Path)
    parser.add_argument("--backend", action="append")
    parser.add_argument("--pack", help="has the event on, of which it reads all")
    parser.add_argument("--pairs", default=12, type=int)
    options = parser.parse_args()
    backends = options.backend or ["log", "simple", "lttng"]
    if "lttng" in backends:
        missing = why_not()
        if missing:
            sys.exit(missing)
        enter()
    for backend in backends:
        qemu = qemu_for(backend)
        if qemu is None or qemu.binary is None:
            sys.exit(f"no QEMU for {backend}: source the file that tests/tools/prepare-qemu.sh makes")
        print(f"{backend} ({qemu.label})", flush=True)
        try:
            with Stack(options.bin.resolve()) as stack:
                lttng = None
                if backend == "lttng":
                    lttng = LttngWorld(stack)
                    lttng.start_session_daemon()
                    lttng.start_relay()
                choice = ["--backend", backend]
                measure_cost(stack, qemu, choice, lttng, ("pack", options.pack) if options.pack else ("event", EVENT), options.pairs)
                measure_freshness(stack, qemu, choice)
        except Failure as failure:
            sys.exit(str(failure))


if __name__ == "__main__":
    main()
