#!/usr/bin/env python3
"""Soak: real QEMUs whose guests do known work round after round, and a qemond that watches them with packs on, while everything that
can go wrong with either is done to them, again and again.

    soak.py BIN_DIR [--seconds 75] [--seed N] [--verbose]     BIN_DIR has qemond and qemon

After each fault qemond must come back to rest by itself. Then, each time:
  * the counters of three packs have grown by the guest's work to the byte and the request, and so have QEMU's own (query-blockstats);
    without exception but for the one VM whose trace was lost with the fault, and for rounds in which QEMU says that it dropped records;
  * no counter of qemond's ever went back or vanished, as seen by a scrape a second;
  * memory, descriptors, sockets, inotify watches and series are what they were: see Rest.
At the end of the first part qemond ends and must leave nothing: no file, and every VM with the events that it had on before. In the
second part it is killed and started anew, and the same must hold. Nothing depends on speed: every wait is for a condition, with a
deadline that only failures meet. Exits with 77 if there is no QEMU.
"""
import argparse
import random
import sys
import time
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests/support"))

from faults import Faults  # noqa: E402
from qemu_builds import builds  # noqa: E402
from rest import CLOSED, Rest  # noqa: E402
from stack import Failure, Stack  # noqa: E402
from watched import Watched  # noqa: E402

SKIPPED = 77


def say(text):
    print(f"{time.monotonic() - BEGIN:7.1f} s  {text}", flush=True)


class Soak:
    def __init__(self, stack, options):
        self.generator, self.verbose, self.stack = random.Random(options.seed), options.verbose, stack
        self.watched = Watched(stack, builds())
        self.faults = Faults(self.watched, self.generator)
        self.rest = Rest(self.watched)
        self.times = {}

    def step(self, fault):
        """A fault, what it cost put right, a round, and a look at what is taken up then."""
        begin = time.monotonic()
        lost = fault(self.faults.next_worker())
        self.watched.settle(lost)
        self.watched.work(self.generator)
        if self.watched.wrong or self.watcher.error:
            raise Failure(f"a scrape meanwhile: {self.watched.wrong or self.watcher.error}")
        sample = self.rest.take()
        name = fault.__name__
        self.times[name] = self.times.get(name, 0) + 1
        if self.verbose:
            say(f"{name} ({time.monotonic() - begin:.1f} s): {', '.join(f'{kind} {count}' for kind, count in sample.items())}")

    def live(self, end):
        """Every fault at least once, in an order that is drawn anew each time, until the time is over. Returns what grew, a line each."""
        self.watcher = self.stack.watch(self.watched.look, 1)
        cycle = []
        while time.monotonic() < end or len(self.rest.samples) < len(self.faults.each):
            if not cycle:
                cycle = self.generator.sample(self.faults.each, len(self.faults.each))
            self.step(cycle.pop())
        self.watcher.stop()
        self.stack.witnesses.remove(self.watcher)
        grown, figures = self.rest.check(len(self.faults.each))
        say(f"{len(self.rest.samples)} faults: " + ", ".join(f"{name} {count}" for name, count in sorted(self.times.items())))
        say(figures)
        return grown

    def crashes(self, end):
        """qemond is killed while the guests work, and goes on from its journal."""
        counts = set()
        while time.monotonic() < end or self.times.get("qemond killed", 0) < 2:
            worker = self.faults.next_worker()
            self.watched.qemond.qemon("event", "on", "thread_pool_*", "--for", "1s")
            self.watched.begin(self.generator)
            self.watched.qemond.kill()
            self.watched.finish()
            worker.kill()
            self.watched.start_again(worker)
            self.watched.begins_anew()
            self.watched.qemond.start()
            self.watched.settle(self.watched.workers)
            self.watched.work(self.generator)
            self.faults.no_lease_is_left()
            sample = self.rest.now()
            counts.add(tuple(sample[kind] for kind in CLOSED))
            self.times["qemond killed"] = self.times.get("qemond killed", 0) + 1
            if self.verbose:
                say(f"qemond killed: {', '.join(f'{kind} {count}' for kind, count in sample.items())}")
        say(f"qemond was killed {self.times['qemond killed']} times; descriptors, sockets, watches, files and QEMUs' descriptors at rest then: {counts}")
        if len(counts) > 1:
            raise Failure("what qemond takes up is not the same each time")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin_dir")
    parser.add_argument("--seconds", type=int, default=75, help="at least; every fault is done at least once")
    parser.add_argument("--seed", type=int, default=None, help="of the order of faults and the amounts of work [drawn]")
    parser.add_argument("--verbose", action="store_true", help="a line for each fault")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    if not builds():
        print("no qemu-system-x86_64: install qemu-system-x86 or set QEMON_TEST_QEMUS")
        sys.exit(SKIPPED)
    try:
        with Stack(options.bin_dir) as stack:
            say(f"seed {options.seed}")
            soak = Soak(stack, options)
            say(f"{len(soak.watched.workers)} VMs: {', '.join(worker.name for worker in soak.watched.workers)}")
            grown = soak.live(BEGIN + options.seconds * 0.85)
            soak.watched.ends_well()
            say("qemond ended, and left every VM as it was found, and no file")
            soak.watched.begins_anew()
            soak.watched.qemond.start()
            soak.watched.settle(soak.watched.workers)
            soak.crashes(BEGIN + options.seconds)
            soak.watched.ends_well()
            say(f"{soak.watched.exact} times the counters of a VM were the guest's work to the byte; {soak.watched.dropped_in} times QEMU dropped records")
            if grown:
                raise Failure("\n".join(grown))
    except (Failure, RuntimeError) as failure:
        sys.exit(f"FAILED: {failure}")


BEGIN = time.monotonic()
if __name__ == "__main__":
    main()
