#!/usr/bin/env python3
"""Runs every query of the dashboards (panels, variables, annotations) against a real Prometheus that scrapes real qemonds on real VMs
whose guests work, then stops the guests and runs them again: the figures must move with the load as grafana/source says of them.

    live.py BIN_DIR    BIN_DIR has qemond and qemon; exits with 77 if there is no Prometheus
    live.py BIN_DIR --verbose    also tells what each query gave
"""
import json
import math
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "grafana"), str(ROOT / "tests/support")]

import generate  # noqa: E402
from source import model  # noqa: E402
from qemu_builds import build  # noqa: E402
from stack import PATIENCE, Failure, Stack  # noqa: E402

SKIPPED = 77
SCRAPE = 1            # Seconds between two scrapes, and the step of graphs.
RATE_WINDOW = 4       # Grafana's $__rate_interval: four scrapes, or a step and a scrape if that is more.
SHOWN = 20            # Seconds of a graph.

PACKS = ["virtio-blk", "block", "irq", "virtio", "timer", "tcg", "mmio", "dma", "runstate"]
COLLECTORS = {name: "1s" for name in ("block", "block-latency", "irq", "jit", "jobs", "memory", "process", "replay", "threads")}

# What cannot occur on the machines that run tests, by a part of the expression. These queries must still be understood.
CANNOT_OCCUR = {
    "qemu_kvm_": "a guest under KVM, and not every machine that runs tests may use /dev/kvm",
    "qemu_virtio_notifications_total": "a guest whose virtio driver takes interrupts; a BIOS polls",
}
FAULTY_PACK = """
version: 1
pack: faulty
help: A rule whose arithmetic fails.
metrics:
  - counter: qemu_faulty_total
    help: Nothing can be counted here.
    events: apic_local_deliver
    add: 1 / vector
"""


def excuse(expression):
    return next((why for part, why in CANNOT_OCCUR.items() if part in expression), None)


class Machines:
    """The VMs under watch, on three hosts. Two VMs have the same name, as happens in the field."""

    def __init__(self, stack):
        self.stack, self.serial_path = stack, stack.folder / "twin.serial"
        simple, newer = build("simple"), build("backports")
        if not simple.label:
            CANNOT_OCCUR["qemu_trace_dropped_events_total"] = "a QEMU with the simple backend: tests/tools/prepare-qemu.sh makes it"
        if not newer.label:
            CANNOT_OCCUR["qemu_timer_hpet_accesses_total"] = "QEMU 9 or newer: tests/tools/prepare-qemu.sh fetches it"
        if not group_has_pressure():
            CANNOT_OCCUR["qemu_cgroup_"] = "a QEMU in a control group (version 2) that is not the root"

        self.disk = stack.start_vm("disk", [
            "-uuid", "a1b2c3d4-0000-4000-8000-000000000001", "-object", "iothread,id=io0", "-global", "virtio-blk-pci.iothread=io0",
            "-device", "virtio-balloon"])
        self.counted = stack.start_vm("counted", ["-icount", "shift=auto", *self.booted("demo", "nvme,serial=1")])
        self.twin = stack.start_vm("twin", [
            "-no-reboot", "-no-shutdown", *self.booted("workload", "virtio-blk-pci"), *simple.options,
            "-serial", f"unix:{self.serial_path},server=on,wait=off"], simple.binary)
        self.twin.name = "disk"
        self.ticks = stack.start_vm("ticks", [*self.booted("ticks", "virtio-blk-pci"), *newer.options], newer.binary)
        self.all = [self.disk, self.counted, self.twin, self.ticks]

        packs = stack.folder / "packs"
        packs.mkdir()
        (packs / "faulty.yaml").write_text(FAULTY_PACK, encoding="utf-8")
        self.first = stack.start_qemond([self.disk, self.counted], PACKS, "first", COLLECTORS, ["--budget", "unlimited"])
        self.second = stack.start_qemond([self.twin], ["mmio"], "second", COLLECTORS, ["--budget", "unlimited", *simple.catalog_options()])
        self.third = stack.start_qemond([self.ticks], ["timer", "faulty"], "third", COLLECTORS, [
            "--pack-dir", str(packs), "--budget", "records=1000,grace=1s", *newer.catalog_options()])
        self.prometheus = stack.start_prometheus([self.first, self.second, self.third], interval=f"{SCRAPE}s")
        self.prometheus.wait_for_series("qemu_up == 1", at_least=4)

    def booted(self, guest, device):
        """Options for a disk with another guest, which is booted from instead of the one that each VM has."""
        image = self.stack.folder / f"{guest}.boot.img"
        subprocess.run([ROOT / "tests/tools/build-guest.sh", ROOT / f"tests/guest/{guest}.S", image], check=True)
        return ["-drive", f"file={image},if=none,id=boot,format=raw", "-device", f"{device},drive=boot,bootindex=0"]

    def do_what_dashboards_show(self):
        """What happens now and then in a VM's life: a job, a measurement, events that go on and off."""
        drive = next(one["device"] for one in self.disk.qmp("query-block") if "inserted" in one)
        self.disk.qmp("drive-mirror", device=drive, target=str(self.stack.folder / "mirror.img"), sync="full", format="raw", speed=65536)
        self.disk.qmp("calc-dirty-rate", **{"calc-time": 1})
        self.disk.qmp("stop")
        self.disk.qmp("cont")
        self.counted.qmp("system_reset")
        self.first.qemon("event", "on", "thread_pool_submit", "--vm", "disk")
        self.first.qemon("event", "on", "virtio_blk_rw_complete", "--vm", "disk", "--sample", "50ms/200ms")
        self.first.qemon("pack", "off", "virtio", "--vm", "counted")
        self.third.qemon("event", "on", "memory_region_ops_write")  # More than its budget.
        self.first.qemon("experiment", "start", "cold", "--vm", "counted", "--label", "cache=cold")
        self.first.qemon("experiment", "start", "both", "--label", "cache=hot")

    def drop_records(self):
        """Has the guest of `twin` poll its serial port until QEMU cannot write the trace as fast."""
        if "qemu_trace_dropped_events_total" in CANNOT_OCCUR:
            return
        with socket.socket(socket.AF_UNIX) as serial:
            serial.connect(str(self.serial_path))
            serial.sendall(b"S")
            drops = f"rate(qemu_trace_dropped_events_total[{RATE_WINDOW}s]) > 0"
            self.stack.wait_for(lambda: self.prometheus.query(drops), PATIENCE, "QEMU to drop records")
            serial.sendall(b"P")

    def stop(self):
        """The guests go no further. That of `twin` is switched off."""
        for vm in self.all:
            vm.qmp("stop")
        self.twin.qmp("system_reset")
        self.stack.wait_for(self.stands_still, PATIENCE, "a QEMU with -icount to rest")

    def stands_still(self):
        """With -icount a QEMU waits for timers of a clock that stands while the guest does: if one was due within microseconds, its main loop
        waits for no more than these, again and again, as long as the guest is stopped. It is stopped at another moment then."""
        used, begin = self.counted.process.cpu_seconds(), time.time()
        wait_until(self.stack, begin + 0.5)
        rests = self.counted.process.cpu_seconds() - used < 0.1 * (time.time() - begin)
        if not rests:
            self.counted.qmp("cont")
            self.counted.qmp("stop")
        return rests

    def wait_for_polls(self, since):
        """Until Prometheus has seen that each collector was polled after that: on a busy machine polls are farther apart."""
        newest = f'qemond_collector_last_success_timestamp_seconds{{collector=~"{"|".join(COLLECTORS)}"}}'

        def polled():
            times = self.prometheus.query(newest)
            vms = {(one.labels["instance"], one.labels["vm"]) for one in times}
            return len(vms) == len(self.all) and all(one.value > since for one in times)
        self.stack.wait_for(polled, PATIENCE, "every collector to be polled")


def group_has_pressure():
    groups = pathlib.Path("/proc/self/cgroup").read_text("ascii")
    found = re.search(r"^0::/(.+)$", groups, re.MULTILINE)
    return bool(found) and pathlib.Path("/sys/fs/cgroup", found[1], "cpu.pressure").exists()


# ---- Queries, as Grafana sends them

class Asker:
    def __init__(self, prometheus, start):
        self.prometheus, self.start = prometheus, start

    def replaced(self, expression, choice, end):
        known = {"__rate_interval": f"{RATE_WINDOW}s", "__interval": f"{SCRAPE}s", "__interval_ms": str(SCRAPE * 1000),
                 "__range": f"{math.ceil(end - self.start)}s", **choice}

        def value(found):
            if found[1].isdigit():  # A group of a regular expression: Grafana leaves what is no variable as it is.
                return found[0]
            if found[1] not in known:
                raise Failure(f"nothing sets ${found[1]}")
            return known[found[1]]
        return re.sub(r"\$\{?(\w+)\}?", value, expression)

    def panel(self, query, expression, choice, end):
        """{labels: last figure}, without those that are no number."""
        expression = self.replaced(expression, choice, end)
        if query.instant:
            figures = [(one.labels, one.value) for one in self.prometheus.query(expression, end)]
        else:
            series = self.prometheus.query_range(expression, max(self.start, end - SHOWN), end, SCRAPE)
            figures = [(one.labels, one.points[-1][1]) for one in series if one.points[-1][0] > end - 1.5 * SCRAPE]
        return {tuple(sorted(labels.items())): value for labels, value in figures if math.isfinite(value)}

    def variable(self, query, choice):
        metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()
        return self.prometheus.api(f"label/{label}/values", **{"match[]": self.replaced(metric, choice, time.time())})

    def annotation(self, expression, choice, end):
        series = self.prometheus.query_range(self.replaced(expression, choice, end), self.start, end, SCRAPE)
        return sum(value > 0 for one in series for _, value in one.points)


def choices(dashboard, asker):
    """Every way to choose one value of the variables with which one is chosen; those with which several are, stand at All."""
    ways = [{}]
    for variable in dashboard.variables:
        if variable.name == "datasource":
            continue
        if variable.values:
            ways = [{**way, variable.name: variable.values.split(",")[0]} for way in ways]
        elif variable.several:
            if not any(asker.variable(dashboard.expand(variable.query), way) for way in ways) and not excuse(variable.query):
                raise Failure(f"{dashboard.uid}: there is nothing to choose for ${variable.name}")
            ways = [{**way, variable.name: ".*"} for way in ways]
        else:
            ways = [{**way, variable.name: value} for way in ways for value in asker.variable(dashboard.expand(variable.query), way)]
            if not ways:
                raise Failure(f"{dashboard.uid}: there is nothing to choose for ${variable.name}")
    return ways


# ---- What is expected

class Check:
    """One query of a panel: what it gave before and after the guests were stopped, for each choice of the variables."""

    def __init__(self, dashboard, panel, number):
        self.dashboard, self.panel, self.query = dashboard, panel, panel.queries[number]
        self.name = f"{dashboard.uid}: {panel.title}: {model.reference_of(number)}"
        self.seen = {}  # choice -> {moment: figures}

    def labels_needed(self):
        """By the legend, by the columns of a table, and by links to another dashboard."""
        needed = set(re.findall(r"\{\{(\w+)\}\}", self.query.legend)) - {"le"}
        needed.update(re.findall(r"__field\.labels\.(\w+)", json.dumps(self.panel.defaults)))
        for transformation in self.panel.transformations:
            if transformation["id"] == "filterFieldsByName":
                needed.update(name for name in transformation["options"]["include"]["names"] if not name.startswith("Value"))
        return needed

    def ask(self, asker, ways, moment, end):
        expression = self.dashboard.expand(self.query.expression)
        for way in ways:
            self.seen.setdefault(tuple(way.items()), {})[moment] = asker.panel(self.query, expression, way, end)

    def problem(self):
        """Empty if it moved as it should with one of the choices."""
        problems = [self.problem_of(figures) for figures in self.seen.values()]
        return "" if "" in problems else max(problems, key=len)

    def problem_of(self, figures):
        before, later, stopped, still = (figures[moment] for moment in ("before", "later", "stopped", "still"))
        moves = self.query.moves
        if moves == model.STEADY:
            later = later or stopped
        if not later:
            return "no data while the guest works"
        needed = self.labels_needed()
        if not any(needed <= {name for name, _ in one} for one in later):
            return f"no series has all labels that are shown or linked: {sorted(needed)}"
        highest, remains = max(later.values()), max(stopped.values(), default=0)
        if moves in (model.RATE, model.FALLS, model.BUSY) and highest <= 0:
            return "0 while the guest works"
        if (moves == model.RATE and remains > 0) or (moves == model.FALLS and remains > highest / 2):
            return f"{remains:g} while the VM is stopped, {highest:g} before: {dict(max(stopped, key=stopped.get))}"
        if moves == model.GROWS:
            if not any(value > before.get(labels, 0) for labels, value in later.items()):
                return "does not grow while the guest works"
            grown = {labels for labels, value in still.items() if abs(value - stopped.get(labels, 0)) > 0.02 * abs(value)}
            if grown:
                return f"changes while the VM is stopped: {[(stopped.get(one), still[one]) for one in grown]}"
            if not stopped:
                return "gone when the VM is stopped"
        if moves == model.STATE and later == stopped:
            return "the same while the VM is stopped"
        return ""


def main(bin_dir, verbose):
    prometheus = os.environ.get("QEMON_PROMETHEUS") or shutil.which("prometheus")
    if not prometheus or not shutil.which("qemu-system-x86_64"):
        print("skipped: prometheus and qemu-system-x86_64 are needed; install them with tests/tools/install-packages.sh test")
        return SKIPPED
    with Stack(bin_dir, prometheus=prometheus) as stack:
        start = time.time()
        machines = Machines(stack)
        asker = Asker(machines.prometheus, start)
        wait_until(stack, time.time() + 3)
        machines.do_what_dashboards_show()
        checks = {one.uid: [Check(one, panel, number) for row in one.rows for panel in row.panels for number in range(len(panel.queries))]
                  for one in generate.DASHBOARDS}
        wait_until(stack, time.time() + 12)
        ways = {one.uid: choices(one, asker) for one in generate.DASHBOARDS}
        machines.drop_records()
        machines.prometheus.wait_for_series(f"min_over_time(up[{RATE_WINDOW + 2}s]) == 1", PATIENCE, at_least=3)
        now = time.time()

        def ask(moment, end):
            for uid, those in checks.items():
                for check in those:
                    check.ask(asker, ways[uid], moment, end)

        ask("before", now - 5)
        ask("later", now)
        machines.stop()
        machines.wait_for_polls(time.time())
        # The last scrape, and a window of a rate without any.
        stopped = time.time() + RATE_WINDOW + 2 * SCRAPE
        wait_until(stack, stopped + 3)
        ask("stopped", stopped)
        ask("still", stopped + 3)
        marks = {}
        for one in generate.DASHBOARDS:
            for annotation in one.annotations:
                if not excuse(annotation.expression):
                    expression = one.expand(annotation.expression)
                    marks[one.uid, annotation.name] = max(asker.annotation(expression, way, time.time()) for way in ways[one.uid])
    return report([check for those in checks.values() for check in those], marks, verbose)


def wait_until(stack, when):
    stack.wait_for(lambda: time.time() >= when, when - time.time() + PATIENCE, "time to pass")


def report(checks, marks, verbose):
    problems = {f"{uid}: annotation {name}": "no moment is marked" for (uid, name), count in marks.items() if not count}
    excused, counts = {}, {}
    for check in checks:
        problem, why = check.problem(), excuse(check.query.expression)
        if problem and why:
            excused.setdefault(why, []).append(check.name)
        elif why:
            problems[check.name] = "is said not to occur, but does: take it from the list"
        elif problem:
            problems[check.name] = problem
        else:
            counts[check.query.moves] = counts.get(check.query.moves, 0) + 1
        if verbose:
            print(f"{check.query.moves:7} {check.name}: {problem or 'as it should'}")
            for way, figures in check.seen.items():
                print("    ", {name: value for name, value in way if value != ".*"},
                      {moment: list(some.values())[:4] for moment, some in figures.items()})
    for why, names in excused.items():
        print(f"not seen, {len(names)} queries; they need {why}")
    print(f"{sum(counts.values())} queries as they should be: {json.dumps(counts)}; {len(marks)} annotations")
    for name, problem in problems.items():
        print(f"{name}: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: live.py BIN_DIR [--verbose]")
    try:
        sys.exit(main(sys.argv[1], "--verbose" in sys.argv))
    except (Failure, RuntimeError) as failure:
        sys.exit(f"FAILED: {failure}")
