"""What qemond takes up when it is at rest, over time."""
import os
import pathlib
import re
import statistics

from stack import Failure
from watched import ADDRESS, open_files

# How much more of each there may be in the last quarter than in the second, by the medians of the samples in it.
COUNTED = {"descriptors": 0, "sockets": 0, "inotify_watches": 0, "files": 0, "qemu_descriptors": 0, "series": 0}
# Memory: the allocator keeps a page here and there. Series that have an address in QEMU as a label come with each start of one, up to the
# limit of their metric, and each takes some.
RESIDENT_SHARE = 0.05
KB_PER_SERIES = 1


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

    def now(self):
        pid, page = self.watched.qemond.process.pid, self.watched.scrape()
        targets = open_files(pid)
        return {
            "descriptors": len(targets),
            "sockets": sum(target.startswith("socket:") for target in targets),
            "inotify_watches": inotify_watches(pid),
            "series": sum(not ADDRESS.search(series) for series in page.samples),
            "series_with_address": sum(bool(ADDRESS.search(series)) for series in page.samples),
            "files": sum(1 for _ in self.watched.runtime.rglob("*")),
            "qemu_descriptors": sum(len(open_files(worker.vm.process.pid)) for worker in self.watched.workers),
            "resident_kb": resident_kb(pid),
        }

    def take(self):
        """Connections that were closed on our side a moment ago may still be open on qemond's: it has some seconds to notice."""
        if self.samples:
            least = min(sample["descriptors"] for sample in self.samples)
            try:
                self.watched.stack.wait_for(lambda: len(open_files(self.watched.qemond.process.pid)) <= least, 10, "descriptors to be closed")
            except Failure:
                pass  # The samples tell.
        self.samples.append(self.now())
        return self.samples[-1]

    def medians(self, first, last):
        """Of the samples in that part: 0.25, 0.5 is the second quarter."""
        count = len(self.samples)
        part = self.samples[int(count * first):max(int(count * last), int(count * first) + 1)]
        return {kind: statistics.median(sample[kind] for sample in part) for kind in part[0]}

    def check(self, warm_up):
        """What grew, a line each, and a line with everything. `warm_up`: how many samples there are before everything has been seen
        once. Where not even four times as many follow, each is compared with the first, and series and memory with none."""
        short = len(self.samples) < 5 * warm_up
        before, after = self.medians(0.25, 0.5), self.medians(0.75, 1)
        grown = []
        for kind, slack in COUNTED.items():
            if not short:
                if after[kind] - before[kind] > slack:
                    grown.append(f"{kind} grew from {before[kind]:g} to {after[kind]:g}")
            elif kind != "series":
                most = max(sample[kind] for sample in self.samples)
                if most > self.samples[0][kind] + slack:
                    grown.append(f"{kind} grew from {self.samples[0][kind]} to {most}")
        addresses = max(0, after["series_with_address"] - before["series_with_address"])
        slack = before["resident_kb"] * RESIDENT_SHARE + addresses * KB_PER_SERIES
        if not short and after["resident_kb"] - before["resident_kb"] > slack:
            grown.append(f"resident memory grew from {before['resident_kb']:g} kB to {after['resident_kb']:g} kB")
        return grown, "at rest, median of the second and of the last quarter: " + ", ".join(
            f"{kind} {before[kind]:g} and {after[kind]:g}" for kind in before)
