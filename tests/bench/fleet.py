#!/usr/bin/env python3
"""Measures one qemond that watches many VMs: fakes, discovered by their sockets, every collector polled every 5 s.

    cmake --preset release && cmake --build build/release --target qemond
    cmake --preset dev && cmake --build build/dev --target fake-qemu
    tests/bench/fleet.py [--vms 1000] [--qemond build/release/bin/qemond] [--fake build/dev/bin/fake-qemu]
                         [--recording tests/data/qmp-7.2-kvm.jsonl.gz] [--seconds 30] [--churn 10]

What is promised for 1,000 VMs: no missed poll, under one core and 300 MB, /metrics of 200 series each in under 300 ms and 50 MB,
plain and by gzip, and 100 VMs coming and going a second leave nothing behind. The fakes need a core of their own; on a machine
with fewer than four the figures of time are an upper bound. Exits with 0 whatever they are.
"""
import argparse
import gzip
import http.client
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
INTERVAL = 5
COLLECTORS = ["block", "irq", "jit", "jobs", "kvm-stats", "memory", "migration", "process", "replay", "threads"]
# One for each collector that asks the monitor, and none that is asked for another reason too.
POLLS = ["query-blockstats", "query-jobs", "query-stats", "query-migrate", "query-balloon", "query-replay", "query-iothreads"]
VMS_A_PROCESS = 25  # A QEMU has some tens of files open, and so has a process of so many fakes.


class Fleet:
    """The fakes, each in one of several processes."""

    def __init__(self, options, folder):
        self.folder = folder
        self.processes = [
            subprocess.Popen([options.fake, folder, options.recording], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
            for _ in range(-(-options.vms // VMS_A_PROCESS))
        ]
        self.home = {}

    def tell(self, process, line):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"{line}: {answer['error']}")
        return answer

    def add(self, name):
        self.home[name] = self.processes[len(self.home) % len(self.processes)]
        self.tell(self.home[name], f"add {name}")

    def remove(self, name):
        self.tell(self.home.pop(name), f"remove {name}")

    def reset(self):
        for process in self.processes:
            self.tell(process, "reset")

    def counts(self):
        counts = {}
        for process in self.processes:
            counts.update(self.tell(process, "counts"))
        return counts

    def cpu_seconds(self):
        return sum(cpu_seconds(process.pid) for process in self.processes)

    def stop(self):
        for process in self.processes:
            process.stdin.close()
        for process in self.processes:
            process.wait(30)


class Qemond:
    def __init__(self, options, folder, sockets):
        self.control = f"{folder}/control"
        collectors = ", ".join(f"{name}: {INTERVAL}s" for name in COLLECTORS)
        config = f'discover: [{{sockets: "{sockets}/*.qmp"}}]\nsettings: [{{match: "*", collectors: {{{collectors}}}}}]\n'
        pathlib.Path(f"{folder}/qemond.yaml").write_text(config, encoding="utf-8")
        with open(f"{folder}/qemond.err", "wb") as log:
            self.process = subprocess.Popen(
                [options.qemond, "--listen", "127.0.0.1:0", "--control-socket", self.control, "--runtime-dir", f"{folder}/run",
                 "--config", f"{folder}/qemond.yaml"], stdout=log, stderr=log)
        self.pid = self.process.pid
        deadline = time.monotonic() + 20
        while True:
            try:
                self.listen = self.status()["listen"]
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def status(self):
        connection = http.client.HTTPConnection("localhost", timeout=120)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(120)
        connection.sock.connect(self.control)
        connection.request("GET", "/v1/status")
        status = json.loads(connection.getresponse().read())
        connection.close()
        return status

    def scrape(self, coding="identity"):
        """The text of /metrics, how long it took, and how many bytes came."""
        begin = time.monotonic()
        connection = http.client.HTTPConnection(self.listen, timeout=120)
        connection.request("GET", "/metrics", headers={"Accept-Encoding": coding})
        response = connection.getresponse()
        body = response.read()
        taken = time.monotonic() - begin
        connection.close()
        if response.getheader("Content-Encoding", "identity") != coding:
            raise RuntimeError(f"asked for {coding}, got {response.getheader('Content-Encoding')}")
        return (gzip.decompress(body) if coding == "gzip" else body).decode(), taken, len(body)

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def peak(self):
        """The most memory since forget_peak(), in MB."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"^VmHWM:\s+(\d+)", status, re.M).group(1)) / 1000

    def memory(self):
        rollup = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii")
        return {key: int(re.search(rf"^{key}: +(\d+)", rollup, re.M).group(1)) / 1000 for key in ("Rss", "Pss")}

    def files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def up_count(text):
    return len(re.findall(r"^qemu_up\{[^}]*\} 1$", text, re.M))


def row(what, figure):
    print(f"{what:<48} {figure}", flush=True)


def spread(values, unit="s"):
    return f"{min(values):.3f} / {statistics.median(values):.3f} / {max(values):.3f} {unit}"


def wait_up(qemond, count, deadline):
    """Until that many VMs are up; returns how long that took."""
    begin = time.monotonic()
    while time.monotonic() - begin < deadline:
        text = qemond.scrape()[0]
        if up_count(text) == count and text.count("\nqemu_up{") == count:
            return time.monotonic() - begin
        time.sleep(0.2)
    row(f"  not {count} VMs after {deadline} s, but", up_count(text))
    return deadline


def measure_attaching(fleet, count):
    """A few at a time; from the socket's appearing to the first poll that is asked after attaching."""
    delays = []
    for first in range(0, count, 10):
        names = [f"new{i}" for i in range(first, min(first + 10, count))]
        born = {}
        for name in names:
            born[name] = time.monotonic()
            fleet.add(name)
        deadline = time.monotonic() + 30
        while born and time.monotonic() < deadline:
            counts = fleet.counts()
            for name in list(born):
                for each in counts.get(name, []):
                    if each["command"] == "query-commands":
                        delays.append(each["first"] - born.pop(name))
            time.sleep(0.05)
        for name in names:
            fleet.remove(name)
    delays.sort()
    return delays


def missed(counts, begin):
    late = 0
    worst = 0.0
    for commands in counts.values():
        by_name = {each["command"]: each for each in commands}
        for command in POLLS:
            each = by_name.get(command)
            if each is None:
                continue  # This VM is not asked that: there are no statistics of KVM without KVM.
            if each["count"] == 0:
                gap = time.monotonic() - begin
            else:
                gap = max(each["longest_gap"], each["first"] - begin, time.monotonic() - each["last"])
            late += max(0, round(gap / INTERVAL) - 1)
            worst = max(worst, gap)
    return late, worst


def churn(fleet, qemond, seconds):
    """A hundred VMs a second come, and each goes after two seconds."""
    alive = 200
    total = 100 * seconds
    times = []
    over = threading.Event()

    def scrape():
        while not over.wait(1):
            times.append(qemond.scrape()[1])

    scraper = threading.Thread(target=scrape)
    scraper.start()
    begin = time.monotonic()
    for i in range(total + alive):
        if i < total:
            fleet.add(f"guest{i}")
        if i >= alive:
            fleet.remove(f"guest{i - alive}")
        time.sleep(max(0.0, begin + (i + 1) / 100 - time.monotonic()))
    passed = time.monotonic() - begin
    over.set()
    scraper.join()
    return (total + alive) / passed, max(times, default=0.0)


def measure(options, fleet, qemond):
    first = min(100, options.vms)
    for i in range(first):
        fleet.add(f"vm{i}")
    row(f"{first} VMs up after", f"{wait_up(qemond, first, 60):.1f} s")
    time.sleep(2 * INTERVAL)
    small = qemond.memory()
    row(f"memory of {first} VMs, RSS / PSS", f"{small['Rss']:.1f} / {small['Pss']:.1f} MB")
    for i in range(first, options.vms):
        fleet.add(f"vm{i}")
    row(f"{options.vms} VMs up after", f"{wait_up(qemond, options.vms, 180):.1f} s")
    time.sleep(2 * INTERVAL)

    fleet.reset()
    begin = time.monotonic()
    used, used_by_fakes = cpu_seconds(qemond.pid), fleet.cpu_seconds()
    time.sleep(options.seconds)
    passed = time.monotonic() - begin
    row("CPU of qemond, share of one core, no scrape", f"{(cpu_seconds(qemond.pid) - used) / passed:.1%}")
    row("CPU of the fakes", f"{(fleet.cpu_seconds() - used_by_fakes) / passed:.1%}")
    late, worst = missed(fleet.counts(), begin)
    row("missed polls / longest time between two", f"{late} / {worst:.1f} s")
    large = qemond.memory()
    row(f"memory of {options.vms} VMs, RSS / PSS", f"{large['Rss']:.1f} / {large['Pss']:.1f} MB")
    if options.vms > first:
        row("memory of one VM", f"{(large['Rss'] - small['Rss']) * 1000 / (options.vms - first):.0f} kB")

    for coding in ("identity", "gzip"):
        times, used = [], cpu_seconds(qemond.pid)
        before = qemond.memory()["Rss"]
        qemond.forget_peak()
        for _ in range(options.scrapes):
            text, taken, size = qemond.scrape(coding)
            times.append(taken)
        row(f"scrape ({coding}), min / median / max", spread(times))
        row("  CPU meanwhile, for each scrape", f"{(cpu_seconds(qemond.pid) - used) / options.scrapes:.3f} s")
        row("  bytes that came", size)
        row("  memory at most, beyond that before", f"{qemond.peak() - before:.1f} MB")
    series = sum(1 for line in text.splitlines() if line and not line.startswith("#"))
    row("bytes / series / series of one VM", f"{len(text)} / {series} / {series / options.vms:.0f}")
    row("memory after the scrapes, RSS", f"{qemond.memory()['Rss']:.1f} MB")

    delays = measure_attaching(fleet, options.attach)
    if delays:
        row(f"socket to attached, p50 / p99 of {len(delays)} of {options.attach}",
            f"{delays[len(delays) // 2]:.3f} / {delays[len(delays) * 99 // 100]:.3f} s")
    wait_up(qemond, options.vms, 60)

    if options.churn:
        before, files = qemond.memory()["Rss"], qemond.files()
        rate, slowest = churn(fleet, qemond, options.churn)
        row("churn, VMs a second / slowest scrape meanwhile", f"{rate:.0f} / {slowest:.3f} s")
        row("only the first VMs again after", f"{wait_up(qemond, options.vms, 120):.1f} s")
        text = qemond.scrape()[0]
        left = re.findall(r"^(\w+)\{[^\n]*vm=.guest", text, re.M)
        entries = sum(vm["name"].startswith("guest") for vm in qemond.status()["vms"])
        row("series of gone VMs / entries in the status", f"{len(left)} / {entries} {' '.join(sorted(set(left)))}")
        row("files before / after", f"{files} / {qemond.files()}")
        row("RSS before / after", f"{before:.1f} / {qemond.memory()['Rss']:.1f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qemond", default=str(ROOT / "build/release/bin/qemond"))
    parser.add_argument("--fake", default=str(ROOT / "build/dev/bin/fake-qemu"))
    parser.add_argument("--recording", default=str(ROOT / "tests/data/qmp-7.2-kvm.jsonl.gz"))
    parser.add_argument("--vms", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=30, help="how long CPU and polls are measured")
    parser.add_argument("--scrapes", type=int, default=7)
    parser.add_argument("--attach", type=int, default=100, help="VMs whose attaching is timed")
    parser.add_argument("--churn", type=int, default=10, help="seconds of 100 VMs coming and going a second; 0: none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sockets = folder + "/vms"
        os.mkdir(sockets)
        fleet = Fleet(options, sockets)
        qemond = None
        try:
            qemond = Qemond(options, folder, sockets)
            measure(options, fleet, qemond)
        finally:
            if qemond is not None:
                qemond.stop()
            fleet.stop()


if __name__ == "__main__":
    main()
