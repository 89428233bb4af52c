#!/usr/bin/env python3
"""What qemon costs a guest: ratios, measured side by side on real QEMUs in one run.

    cmake --preset release && cmake --build build/release
    tests/bench/guest.py [--bin build/release/bin] [--qemu qemu-system-x86_64]... [--pairs 12]

  idle      A guest does a known number of disk requests, by turns with a qemond attached that has no event on, and with none.
            Promised: no slower.
  cost      What `qemon event cost` says that events cost a guest that sleeps most of the time (tests/guest/ticks.S), against what
            QEMU's processor time says when a witness switches the same events on and off by hand.
  sampling  What the same events cost sampled (20ms/1s), as a share of what they cost when they are always on.
            Promised: a few percent.

Nothing else should run on the machine. Exits with 0 whatever the figures are.
"""
import argparse
import json
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from stack import Failure, Stack  # pylint: disable=wrong-import-position

EVENTS = ["memory_region_ops_write", "exec_tb"]
WRITES = 500  # To a port, 100 times a second: a record each.
REQUESTS = 12000


class Workload:
    """The guest of tests/guest/workload.S: it does as many requests as it is told, and says when they are done."""

    def __init__(self, stack, qemu):
        image, serial = stack.folder / "work.img", stack.folder / "work.serial"
        self.monitor = stack.folder / "work.qmp"
        subprocess.run([ROOT / "tests/tools/build-guest.sh", ROOT / "tests/guest/workload.S", image], check=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(serial))
        listener.listen(1)
        listener.settimeout(60)
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", qemu, "-accel", "tcg", "-display", "none", "-nodefaults", "-msg", "timestamp=on",
             "-drive", f"file={image},if=virtio,format=raw", "-chardev", f"socket,id=serial,path={serial}", "-serial", "chardev:serial",
             "-qmp", f"unix:{self.monitor},server=on,wait=off"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.serial = listener.accept()[0]
        self.serial.settimeout(120)
        self.expect(b">")

    def expect(self, answer):
        got = self.serial.recv(1)
        if got != answer:
            raise Failure(f"the guest said {got!r} instead of {answer!r}")

    def seconds_for(self, requests):
        begin = time.perf_counter()
        self.serial.sendall(b"R" + requests.to_bytes(2, "little"))
        self.expect(b".")
        return time.perf_counter() - begin

    def end(self):
        self.process.kill()
        self.process.wait()


def interval_of(ratios):
    """Median, and the interval that it is in with a chance of 95 %, by drawing again."""
    random.seed(1)
    drawn = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(2000))
    return statistics.median(ratios), drawn[50], drawn[1949]


def measure_idle(options, qemu):
    with Stack(options.bin, qemu) as stack:
        guest = Workload(stack, qemu)
        try:
            guest.seconds_for(REQUESTS)  # Translated, and in the page cache.
            ratios = []
            for pair in range(options.pairs):
                seconds = {}
                for attached in ((True, False) if pair % 2 else (False, True)):
                    if attached:
                        host = stack.start_qemond([], options=["--vm", f"work=unix:{guest.monitor}"])
                        # Attached for a while: every collector has asked once.
                        stack.wait_for(lambda: host.metrics().count('qemond_collector_success{vm="work"') >= 8, 30, "qemond to settle")
                    seconds[attached] = guest.seconds_for(REQUESTS)
                    if attached:
                        stack.processes.remove(host.process)
                        host.process.stop()
                ratios.append(seconds[True] / seconds[False])
        finally:
            guest.end()
    median, low, high = interval_of(ratios)
    print(f"idle      {REQUESTS} requests with qemond attached took {median:.3f} of the time without it "
          f"(95 %: {low:.3f} to {high:.3f}; {len(ratios)} pairs)")


def cpu_seconds(pid):
    """As the scheduler has it, of all threads."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def extra_cores(pid, switch, pairs, seconds):
    """How many cores QEMU uses more with the switch on, in pairs of windows; and the error of that."""
    more = []
    for _ in range(pairs):
        used = {}
        for on in random.sample((True, False), 2):
            if on:
                switch(True)
            begin, before = time.perf_counter(), cpu_seconds(pid)
            time.sleep(seconds)
            used[on] = (cpu_seconds(pid) - before) / (time.perf_counter() - begin)
            if on:
                switch(False)
        more.append(used[True] - used[False])
    return statistics.mean(more), statistics.stdev(more) / len(more) ** 0.5


def measure_costs(options, qemu):
    with Stack(options.bin, qemu) as stack:
        # Blocks that do not jump to each other are all seen by exec_tb.
        vm = stack.start_vm("guest", ["-d", "nochain"], guest=ROOT / "tests/guest/ticks.S", symbols=[f"WRITES={WRITES}"])
        host = stack.start_qemond([vm], options=["--budget", "unlimited"])
        pid = vm.process.pid
        # So that the trace goes to qemond's file for the witness too.
        host.qemon("event", "on", "runstate_set", "--for", "forever")
        for event in EVENTS:
            answer = json.loads(host.qemon("--output", "json", "event", "cost", event, "--sample", "1s"))
            rows = answer["vms"][0]["events"]
            said = sum(row["cpu_cores"] or 0 for row in rows)
            rate = sum(row["records_per_second"] or 0 for row in rows)

            def by_hand(on, event=event):
                vm.qmp("trace-event-set-state", name=event, enable=on)
            true, error = extra_cores(pid, by_hand, 20, 1)
            against = f"{said / true:.2f} of that" if true > 3 * error else "within the noise"
            print(f"cost      {event}: {rate:.0f} records/s; the witness sees {true * 100:.2f} % of a core (+-{error * 100:.2f}), "
                  f"qemon event cost says {said * 100:.2f} %: {against}")

            def sampled(on, event=event):
                host.qemon("event", *(("on", event, "--sample", "20ms/1s") if on else ("off", event)))

            def always(on, event=event):
                host.qemon("event", *(("on", event) if on else ("off", event)))
            full, full_error = extra_cores(pid, always, 8, 2)
            part, part_error = extra_cores(pid, sampled, 8, 3)
            print(f"sampling  {event}: always on {full * 100:.2f} % of a core (+-{full_error * 100:.2f}), 20ms/1s {part * 100:.2f} % "
                  f"(+-{part_error * 100:.2f}): {part / full * 100:.0f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=ROOT / "build/release/bin", type=pathlib.Path)
    parser.add_argument("--qemu", action="append")
    parser.add_argument("--pairs", default=12, type=int)
    parser.add_argument("--only", choices=["idle", "cost"])
    options = parser.parse_args()
    for qemu in options.qemu or ["qemu-system-x86_64"]:
        print(subprocess.run([qemu, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0], flush=True)
        if options.only != "cost":
            measure_idle(options, qemu)
        if options.only != "idle":
            measure_costs(options, qemu)


if __name__ == "__main__":
    main()
