#!/usr/bin/env python3
"""What qemon costs a guest: ratios, measured side by side on real QEMUs in one run.

    cmake --preset release && cmake --build build/release
    tests/bench/guest.py [--bin build/release/bin] [--qemu qemu-system-x86_64]... [--pairs 12]

  idle      A guest does a known number of disk requests, by turns with a qemond attached that has no event on, and with none.
            Promised: no slower.
  pack      The same with the pack virtio-blk on, by turns with the pack's events on and nobody who reads the log.
            Promised: at most 3 % slower.
  cost      What `qemon event cost` says that events cost a guest that sleeps most of the time (tests/guest/ticks.S), against what
            QEMU's processor time says when a witness switches the same events on and off by hand.
  sampling  What the same events cost sampled (20ms/1s), as a share of what they cost when they are always on.
            Promised: a few percent.

Nothing else should run on the machine. Exits with 0 whatever the figures are.
"""
import argparse
import contextlib
import json
import pathlib
import random
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from known_work import Worker  # pylint: disable=wrong-import-position
from qemu_builds import Build  # pylint: disable=wrong-import-position
from stack import Stack  # pylint: disable=wrong-import-position

EVENTS = ["memory_region_ops_write", "exec_tb"]
WRITES = 500  # To a port, 100 times a second: a record each.
REQUESTS = 12000
PACK_EVENTS = ["virtio_blk_handle_read", "virtio_blk_handle_write", "virtio_blk_req_complete"]


def worker_on(stack, qemu, options=()):
    return Worker(stack, "work", Build("", qemu, [], ""), options)


def seconds_for(worker, requests):
    begin = time.perf_counter()
    worker.work(read=requests)
    return time.perf_counter() - begin


def interval_of(ratios):
    """Median, and the interval that it is in with a chance of 95 %, by drawing again."""
    random.seed(1)
    drawn = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(2000))
    return statistics.median(ratios), drawn[50], drawn[1949]


def compare(options, worker, with_qemond, without):
    """Seconds for the same requests in the context of the one, over those in the context of the other, by turns."""
    seconds_for(worker, REQUESTS)  # Translated, and in the page cache.
    ratios = []
    for pair in range(options.pairs):
        seconds = {}
        for attached in ((True, False) if pair % 2 else (False, True)):
            with (with_qemond if attached else without)():
                seconds[attached] = seconds_for(worker, REQUESTS)
        ratios.append(seconds[True] / seconds[False])
    median, low, high = interval_of(ratios)
    return f"{median:.3f} of the time without it (95 %: {low:.3f} to {high:.3f}; {len(ratios)} pairs)"


@contextlib.contextmanager
def qemond_on(stack, worker, packs=()):
    host = stack.start_qemond([worker.vm], packs)
    # Attached for a while: every collector has asked once.
    stack.wait_for(lambda: host.metrics().count('qemond_collector_success{vm="work"') >= 8, 30, "qemond to settle")
    yield
    stack.processes.remove(host.process)
    host.process.stop()


def measure_idle(options, qemu):
    with Stack(options.bin, qemu) as stack, contextlib.closing(worker_on(stack, qemu)) as worker:
        ratio = compare(options, worker, lambda: qemond_on(stack, worker), contextlib.nullcontext)
    print(f"idle      {REQUESTS} requests with qemond attached took {ratio}")


def measure_pack(options, qemu):
    with Stack(options.bin, qemu) as stack:
        # Its own log, so that the events go to the same file with qemond and without it.
        with contextlib.closing(worker_on(stack, qemu, ["-D", stack.folder / "work.trace"])) as worker:
            @contextlib.contextmanager
            def events_on():
                for on in (True, False):
                    for event in PACK_EVENTS:
                        worker.vm.qmp("trace-event-set-state", name=event, enable=on)
                    if on:
                        yield

            ratio = compare(options, worker, lambda: qemond_on(stack, worker, ["virtio-blk"]), events_on)
    print(f"pack      {REQUESTS} requests with the pack virtio-blk on, against its events on and nobody reading, took {ratio}")


def extra_cores(process, switch, pairs, seconds):
    """How many cores QEMU uses more with the switch on, in pairs of windows; and the error of that."""
    more = []
    for _ in range(pairs):
        used = {}
        for on in random.sample((True, False), 2):
            if on:
                switch(True)
            begin, before = time.perf_counter(), process.cpu_seconds()
            time.sleep(seconds)
            used[on] = (process.cpu_seconds() - before) / (time.perf_counter() - begin)
            if on:
                switch(False)
        more.append(used[True] - used[False])
    return statistics.mean(more), statistics.stdev(more) / len(more) ** 0.5


def measure_costs(options, qemu):
    with Stack(options.bin, qemu) as stack:
        # Blocks that do not jump to each other are all seen by exec_tb.
        vm = stack.start_vm("guest", ["-d", "nochain"], guest=ROOT / "tests/guest/ticks.S", symbols=[f"WRITES={WRITES}"])
        host = stack.start_qemond([vm], options=["--budget", "unlimited"])
        # So that the trace goes to qemond's file for the witness too.
        host.qemon("event", "on", "runstate_set", "--for", "forever")
        for event in EVENTS:
            answer = json.loads(host.qemon("--output", "json", "event", "cost", event, "--sample", "1s"))
            rows = answer["vms"][0]["events"]
            said = sum(row["cpu_cores"] or 0 for row in rows)
            rate = sum(row["records_per_second"] or 0 for row in rows)

            def by_hand(on, event=event):
                vm.qmp("trace-event-set-state", name=event, enable=on)
            true, error = extra_cores(vm.process, by_hand, 20, 1)
            against = f"{said / true:.2f} of that" if true > 3 * error else "within the noise"
            print(f"cost      {event}: {rate:.0f} records/s; the witness sees {true * 100:.2f} % of a core (+-{error * 100:.2f}), "
                  f"qemon event cost says {said * 100:.2f} %: {against}")

            def sampled(on, event=event):
                host.qemon("event", *(("on", event, "--sample", "20ms/1s") if on else ("off", event)))

            def always(on, event=event):
                host.qemon("event", *(("on", event) if on else ("off", event)))
            full, full_error = extra_cores(vm.process, always, 8, 2)
            part, part_error = extra_cores(vm.process, sampled, 8, 3)
            print(f"sampling  {event}: always on {full * 100:.2f} % of a core (+-{full_error * 100:.2f}), 20ms/1s {part * 100:.2f} % "
                  f"(+-{part_error * 100:.2f}): {part / full * 100:.0f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=ROOT / "build/release/bin", type=pathlib.Path)
    parser.add_argument("--qemu", action="append")
    parser.add_argument("--pairs", default=12, type=int)
    parser.add_argument("--only", choices=["idle", "pack", "cost"])
    options = parser.parse_args()
    for qemu in options.qemu or ["qemu-system-x86_64"]:
        print(subprocess.run([qemu, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0], flush=True)
        for name, measure in (("idle", measure_idle), ("pack", measure_pack), ("cost", measure_costs)):
            if options.only in (None, name):
                measure(options, qemu)


if __name__ == "__main__":
    main()
