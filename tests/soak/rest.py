"""What qemond takes up when it is at rest, over time."""
import contextlib
import os
import pathlib
import re
import statistics

from stack import PATIENCE, Failure
from watched import open_files

# How much more of each there may be in the last quarter of the time than in the second, by the medians of the samples in it; the time in
# which everything is seen for the first time is left out.
CLOSED = ["descriptors", "sockets", "inotify_watches", "files", "qemu_descriptors"]
COUNTED = [*CLOSED, "series"]  # Not one more.
RESIDENT_SHARE = 0.05  # The allocator keeps a page here and there.


def resident_kb(pid):
    return int(re.search(r"(?m)^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text("ascii"))[1])


def inotify_watches(pid):
    folder = pathlib.Path(f"/proc/{pid}/fdinfo")
    count = 0
    for descriptor in os.listdir(folder):
        try:
            count += (folder / descriptor).read_text("ascii").count("inotify wd:")
        except FileNotFoundError:
            pass  # Closed meanwhile.
    return count


class Rest:
    """Samples, one after each fault, when everything that it caused is over."""

    def __init__(self, watched):
        self.watched = watched
        self.samples = []
        self._least = {}

    def now(self):
        """A connection that was closed on our side a moment ago may still be open on qemond's, and the log that a QEMU had before on
        its: there is some time for that to be over. What is not, the sample tells."""
        page = self.watched.scrape()
        sample = {"series": len(page.samples)}

        def is_least():
            sample.update(self._count())
            return all(sample[kind] <= least for kind, least in self._least.items())
        with self.watched.unwatched(), contextlib.suppress(Failure):
            self.watched.stack.wait_for(is_least, PATIENCE, "what was closed to be gone")
        self._least = {kind: min(sample[kind], self._least.get(kind, sample[kind])) for kind in CLOSED}
        return sample

    def _count(self):
        pid = self.watched.qemond.process.pid
        targets = open_files(pid)
        return {
            "descriptors": len(targets),
            "sockets": sum(target.startswith("socket:") for target in targets),
            "inotify_watches": inotify_watches(pid),
            # A file is written under another name, and then gets its own.
            "files": sum(not path.name.startswith(".") for path in self.watched.runtime.rglob("*")),
            "qemu_descriptors": sum(len(open_files(worker.vm.process.pid)) for worker in self.watched.workers),
            "resident_kb": resident_kb(pid),
        }

    def take(self):
        self.samples.append(self.now())
        return self.samples[-1]

    @staticmethod
    def medians(samples, first, last):
        """Of the samples in that part: 0.25, 0.5 is the second quarter."""
        part = samples[int(len(samples) * first):max(int(len(samples) * last), int(len(samples) * first) + 1)]
        return {kind: statistics.median(sample[kind] for sample in part) for kind in part[0]}

    def check(self, warm_up):
        """What grew, a line each, and a line with everything. `warm_up`: how many samples there are before everything has been seen
        once. Where not twice as many follow, each is compared with the first, and series and memory with none."""
        warm = self.samples[warm_up:]
        grown = []
        if len(warm) < 2 * warm_up:
            for kind in CLOSED:
                most = max(sample[kind] for sample in self.samples)
                if most > self.samples[0][kind]:
                    grown.append(f"{kind} grew from {self.samples[0][kind]} to {most}")
            return grown, "at rest, at first and at last: " + ", ".join(
                f"{kind} {count} and {self.samples[-1][kind]}" for kind, count in self.samples[0].items())
        before, after = self.medians(warm, 0.25, 0.5), self.medians(warm, 0.75, 1)
        for kind in COUNTED:
            if after[kind] > before[kind]:
                grown.append(f"{kind} grew from {before[kind]:g} to {after[kind]:g}")
        if after["resident_kb"] > before["resident_kb"] * (1 + RESIDENT_SHARE):
            grown.append(f"resident memory grew from {before['resident_kb']:g} kB to {after['resident_kb']:g} kB")
        return grown, f"at rest, median of the second and of the last quarter of {len(warm)} samples: " + ", ".join(
            f"{kind} {before[kind]:g} and {after[kind]:g}" for kind in before)
