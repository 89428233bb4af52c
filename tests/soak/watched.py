"""What is soaked: the VMs, the qemond that watches them, and what its counters must be."""
import contextlib
import json
import os
import re
import threading

from known_work import Worker
from stack import Failure

PACKS = ["virtio-blk", "block", "irq", "own"]
COLLECTORS = {name: "1s" for name in ("block", "irq", "jit", "jobs", "memory", "migration", "process", "replay", "threads")}
DEADLINE = 600  # Seconds: for failures only, so it is long.
KEPT = "last-lease-id"  # Of the runtime directory, so that no lease has the number of another one.
FOUND_ON = "runstate_set"  # On in each VM before qemond comes, and to be left so.

# The budget is for visitors, who flood; the others are to be counted whatever they do.
CONFIGURATION = """pack_dirs: ["{packs}"]
discover: [{{sockets: "{sockets}/visitor-*.qmp"}}]
settings:
  - {{match: "*", budget: unlimited}}
  - {{match: "visitor-*", packs: [virtio-blk], budget: {{records: 100, grace: 1s}}}}
"""
OWN_PACK = """version: 1
pack: own
help: {help}
metrics:
  - counter: own_reads_total
    help: Reads.
    events: blk_co_preadv
"""

# These begin anew with a QEMU, which counts them itself.
QEMUS_OWN = re.compile(r"qemu_(blockdev|irq_statistics|jit|process|vcpu|iothread|guest)_")
# Labels that are addresses in QEMU: their series go with it.
ADDRESS = re.compile(r'="0x')


class Page:
    """A /metrics page: `samples` by series, and the names of the series that are counters."""

    def __init__(self, text):
        self.samples, kinds = {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                kinds[name] = kind
            elif line and not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                self.samples[series] = float(value)
        self._kinds = kinds

    def get(self, name, **labels):
        return self.samples.get(name + "{" + ",".join(f'{label}="{value}"' for label, value in labels.items()) + "}")

    def counters(self):
        for series, value in self.samples.items():
            name = series.partition("{")[0]
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            if self._kinds.get(name) == "counter" or (name != base and self._kinds.get(base) == "histogram"):
                yield series, value

    def work(self, vm):
        """What three packs say that the guest of `vm` did: each figure of Worker.done by every metric that has it."""
        found = {}
        for operation in ("read", "write"):
            for figure, metrics in ((f"{operation}_bytes", ("qemu_virtio_blk_bytes_total", "qemu_block_bytes_total")),
                                    (f"{operation}_requests", ("qemu_virtio_blk_requests_total", "qemu_block_requests_total",
                                                               "qemu_virtio_blk_request_duration_seconds_count"))):
                for metric in metrics:
                    found[figure, metric] = self.get(metric, vm=vm, operation=operation)
        found["read_requests", "own_reads_total"] = self.get("own_reads_total", vm=vm)
        return found


class Watched:
    def __init__(self, stack, builds):
        self.stack = stack
        self.workers = [Worker(stack, build.label, build) for build in builds]
        # One whose log is a file of its own, which is followed where it is.
        self.log = stack.folder / "in-place.trace"
        self.workers.append(Worker(stack, "in-place", builds[0], ["-D", str(self.log)]))
        for worker in self.workers:
            worker.vm.qmp("trace-event-set-state", name=FOUND_ON, enable=True)
        self.found = {worker.name: self.as_it_is(worker) for worker in self.workers}
        self.exact, self.dropped_in = 0, 0  # Rounds that were compared, and those in which QEMU dropped records.
        self.wrong = None  # What a scrape showed that must not be, also one of another thread.
        self._lock, self._last = threading.Lock(), {}
        self._expected, self._qemus_own, self._drops = {}, {}, {}

        self.packs = stack.folder / "packs"
        self.packs.mkdir()
        self.write_own_pack("The soak's own.")
        catalogs = [option for worker in self.workers for option in worker.build.catalog_options(worker.name)]
        self.qemond = stack.start_qemond([worker.vm for worker in self.workers], PACKS, "qemond", COLLECTORS, catalogs,
                                         CONFIGURATION.format(packs=self.packs, sockets=stack.folder))
        self.runtime = stack.folder / "qemond"
        self.settle(self.workers)

    def write_own_pack(self, text):
        (self.packs / "own.yaml").write_text(OWN_PACK.format(help=text), encoding="utf-8")

    def wait_for(self, condition, what):
        return self.stack.wait_for(condition, DEADLINE, what)

    # ---- What qemond says

    def scrape(self):
        """A Page, compared with the one before."""
        with self._lock:
            page = Page(self.qemond.metrics())
            now = {series: value for series, value in page.counters()
                   if not QEMUS_OWN.match(series) and not ADDRESS.search(series) and 'vm="visitor-' not in series}
            for series, value in self._last.items():
                if now.get(series, 0) < value:  # What is 0 may be absent.
                    self.wrong = f"{series} was {value:.0f} and " + (f"now is {now[series]:.0f}" if series in now else "has vanished")
                    raise RuntimeError(self.wrong)
            self._last = now
            return page

    def look(self):
        """A scrape that is only compared; how many samples it had."""
        return len(self.scrape().samples)

    @contextlib.contextmanager
    def unwatched(self):
        """Nobody scrapes meanwhile."""
        with self._lock:
            yield

    def begins_anew(self):
        """After a qemond that is gone."""
        with self._lock:
            self._last = {}

    def status(self, name):
        for vm in json.loads(self.qemond.qemon("--output", "json", "status"))["vms"]:
            if vm["name"] == name:
                return vm
        raise Failure(f"the status has no VM {name}")

    def up(self, name):
        return self.scrape().get("qemu_up", vm=name)

    def grows(self, name, at, counter, **labels):
        """Waits until a counter is more than it was on the page `at`."""
        before = at.get(counter, vm=name, **labels) or 0
        self.wait_for(lambda: (self.scrape().get(counter, vm=name, **labels) or 0) > before, f"{counter} of {name} to grow beyond {before:.0f}")

    # ---- What it must say

    def settle(self, workers):
        """Waits until qemond serves these VMs, and takes what their counters are then for the beginning. Everything that happened
        before has been counted when a write is counted that comes after it, and that alone."""
        for worker in workers:
            self.wait_for(lambda worker=worker: self.qemond.serves(worker.vm), f"qemond to serve {worker.name} again")
            for _ in range(5):
                before = self.scrape().work(worker.name)
                worker.work(write=1)

                def seen(worker=worker, before=before):
                    now = self.scrape().work(worker.name)
                    grown = {key: now[key] - (before[key] or 0) for key in now if now[key] is not None}
                    return grown if len(grown) == len(now) and all(grown[key] >= 1 for key in grown if key[0].startswith("write")) else None
                grown = self.wait_for(seen, f"the write of {worker.name} to be counted")
                if all(value == {"write_bytes": 512, "write_requests": 1}.get(figure, 0) for (figure, _), value in grown.items()):
                    break
            else:
                raise Failure(f"{worker.name}: one write is counted as {grown}")
            self.take(worker)

    def take(self, worker):
        page = self.scrape()
        self._expected[worker.name] = (worker.done.copy(), page.work(worker.name))
        self._qemus_own[worker.name] = (worker.done.copy(), self.qemu_says(worker))
        self._drops[worker.name] = self.drops(page, worker)

    @staticmethod
    def qemu_says(worker):
        said = worker.vm.block_statistics()
        return {"read_bytes": said["rd_bytes"], "write_bytes": said["wr_bytes"],
                "read_requests": said["rd_operations"], "write_requests": said["wr_operations"]}

    @staticmethod
    def drops(page, worker):
        return page.get("qemu_trace_dropped_events_total", vm=worker.name) or 0

    def work(self, generator, workers=None):
        """A round: all guests work at once, and then qemond has exactly that."""
        self.begin(generator, workers)
        self.finish(workers)
        self.check(workers)

    def begin(self, generator, workers=None, most=300):
        for worker in workers or self.workers:
            worker.begin(read=generator.randint(1, most), write=generator.randint(0, most), read_eight_sectors=generator.randint(0, most // 4))

    def finish(self, workers=None):
        for worker in workers or self.workers:
            worker.finish()

    def check(self, workers=None):
        for worker in workers or self.workers:
            done, at_first = self._qemus_own[worker.name]
            now = self.qemu_says(worker)
            for figure in now:
                if now[figure] - at_first[figure] != worker.done[figure] - done[figure]:
                    raise Failure(f"{worker.name}: QEMU's {figure} grew by {now[figure] - at_first[figure]}, but the guest did "
                                  f"{worker.done[figure] - done[figure]}")
            self._wait_counted(worker)

    def _wait_counted(self, worker):
        done, at_first = self._expected[worker.name]
        wanted = {key: at_first[key] + worker.done[key[0]] - done[key[0]] for key in at_first}

        def counted():
            page = self.scrape()
            if self.drops(page, worker) > self._drops[worker.name]:
                return "dropped"
            now = page.work(worker.name)
            for key in wanted:
                if now[key] > wanted[key]:
                    raise RuntimeError(f"{worker.name}: {key[1]} of {key[0]} is {now[key]:.0f}, but the guest's work makes it {wanted[key]:.0f}")
            return "exact" if now == wanted else None

        try:
            found = self.wait_for(counted, f"the counters of {worker.name} to tell the guest's work")
        except Failure as failure:
            now = self.scrape().work(worker.name)
            raise Failure(f"{failure}\n{worker.name}: " + ", ".join(
                f"{metric} of {figure} is {now[figure, metric]:.0f} instead of {wanted[figure, metric]:.0f}"
                for figure, metric in wanted if now[figure, metric] != wanted[figure, metric])) from None
        if found == "dropped":
            self.dropped_in += 1
            self.settle([worker])
        else:
            self.exact += 1

    # ---- What it must leave

    @staticmethod
    def as_it_is(worker):
        """What is to be as it was found: the events that are on, and the trace file of `simple`."""
        enabled = frozenset(event["name"] for event in worker.vm.qmp("trace-event-get-state", name="*") if event["state"] == "enabled")
        trace_file = worker.vm.qmp("human-monitor-command", **{"command-line": "trace-file"})
        return enabled, trace_file.replace(str(worker.vm.process.pid), "PID")  # It is called so unless it is told otherwise.

    def start_again(self, worker):
        worker.start()
        worker.vm.qmp("trace-event-set-state", name=FOUND_ON, enable=True)

    def ends_well(self):
        """qemond ends when it is told to, and nothing of it is left."""
        status = self.stack.end(self.qemond.process)
        if status != 0:
            raise Failure(f"qemond ended with {status}; {self.qemond.process.last_words()}")
        left = [path for path in self.runtime.rglob("*") if not path.is_dir() and path.name != KEPT]
        if left or self.qemond.control.exists():
            raise Failure(f"qemond left {', '.join(map(str, left)) or self.qemond.control}")
        for worker in self.workers:
            # QEMU closes what was its log a moment later (RCU).
            self.wait_for(lambda worker=worker: self.is_as_found(worker), f"{worker.name} to be as it was found")

    def is_as_found(self, worker):
        """True, or a Failure that tells what is not."""
        now, found = self.as_it_is(worker), self.found[worker.name]
        if now[0] != found[0]:
            raise Failure(f"{worker.name}: events are on that were not, or the other way round: {', '.join(sorted(now[0] ^ found[0]))}")
        if now[1] != found[1]:
            raise Failure(f"{worker.name}: its trace file was {found[1]!r} and now is {now[1]!r}")
        ours = [target for target in open_files(worker.vm.process.pid) if str(self.runtime) in target]
        if ours:
            raise Failure(f"{worker.name} still has {', '.join(ours)} open")
        return True


def open_files(pid):
    """What the descriptors of a process are, as /proc names it."""
    targets = []
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        try:
            targets.append(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
        except FileNotFoundError:
            pass  # Closed meanwhile.
    return targets
