"""What is done to the VMs and to qemond. Each fault ends with everything in order again, as far as it is not qemond that must see to
it, and returns the VMs whose trace was lost with it: their counters are looked at anew."""
import json
import os
import signal
import socket

from known_work import Worker
from stack import Failure, Qmp

UNUSED = "migrate_set_state"  # An event of every QEMU that no pack needs and that does not occur here.
BROKEN_PACK = "version: 1\npack: own\nhelp: [\n"


class Faults:
    def __init__(self, watched, generator):
        self.watched, self.generator = watched, generator
        self.stack, self.qemon = watched.stack, watched.qemond.qemon
        self.visitors, self.rounds = 0, 0
        self.each = [self.killed_in_mid_trace, self.frozen, self.monitor_taken, self.trace_truncated, self.clients_that_hang,
                     self.broken_pack, self.hangup, self.switched_by_others, self.leases_that_end, self.sampled, self.experiment,
                     self.visitor_by_socket, self.visitor_by_command, self.reset, self.paused, self.all_killed]

    def next_worker(self):
        """One after another."""
        self.rounds += 1
        return self.watched.workers[self.rounds % len(self.watched.workers)]

    def work(self, **others):
        self.watched.work(self.generator, **others)

    # ---- QEMU

    def killed_in_mid_trace(self, worker):
        at = self.watched.scrape()
        worker.read_for_ever()
        self.watched.grows(worker.name, at, "own_reads_total")
        worker.kill()
        self.watched.wait_for(lambda: self.watched.up(worker.name) == 0, f"qemond to see that {worker.name} is gone")
        self.watched.start_again(worker)
        # Once more at once, as when a host is restarted in a hurry.
        worker.kill()
        self.watched.start_again(worker)
        return [worker]

    def all_killed(self, _):
        for worker in self.watched.workers:
            worker.begin(read=50)
            worker.kill()
        for worker in self.watched.workers:
            self.watched.start_again(worker)
        return self.watched.workers

    def frozen(self, worker):
        """In the middle of its work, until qemond has given it up; the others are served meanwhile, and nothing is lost."""
        others = [other for other in self.watched.workers if other is not worker]
        self.watched.begin(self.generator, [worker], 1000)
        os.kill(worker.vm.process.pid, signal.SIGSTOP)
        try:
            self.work(workers=others)
            self.watched.wait_for(lambda: self.watched.up(worker.name) == 0, f"qemond to see that {worker.name} does not answer")
            self.work(workers=others)
        finally:
            os.kill(worker.vm.process.pid, signal.SIGCONT)
        self.watched.finish([worker])
        self.serves_again(worker)
        self.watched.check([worker])
        return []

    def serves_again(self, worker):
        self.watched.wait_for(lambda: self.watched.qemond.serves(worker.vm), f"qemond to serve {worker.name} again")

    def monitor_taken(self, worker):
        """Lent to another client, who keeps it for longer than was said."""
        other = Qmp(worker.vm.qmp_path, lambda: self.qemon("vm", "release", worker.name, "--for", "1s"))
        self.watched.begin(self.generator)
        self.watched.wait_for(lambda: self.watched.status(worker.name)["state"] == "busy", f"qemond to see that another client has {worker.name}")
        other.ask("query-status")
        self.watched.finish()
        other.close()
        self.serves_again(worker)
        self.watched.check()
        return []

    def paused(self, _):
        self.watched.begin(self.generator)
        for worker in self.watched.workers:
            worker.vm.qmp("stop")
            self.watched.wait_for(lambda worker=worker: self.watched.status(worker.name)["run_state"] == "paused", f"qemond to see that {worker.name} is paused")
            worker.vm.qmp("cont")
        self.watched.finish()
        self.watched.check()
        return []

    def reset(self, _):
        for worker in self.watched.workers:
            at = self.watched.scrape()
            worker.reset()
            self.watched.grows(worker.name, at, "own_reads_total")  # Its BIOS has read the boot sector.
        return self.watched.workers

    def trace_truncated(self, worker):
        """By somebody else, as logrotate's copytruncate does to a log."""
        at = self.watched.scrape()
        worker.work(read=20)  # Whatever of it has been read when it is truncated.
        with open(self.trace_of(worker), "r+b") as trace:
            trace.truncate(0)
        self.watched.grows(worker.name, at, "qemond_trace_restarts_total")
        return [worker]

    def trace_of(self, worker):
        """The file that QEMU writes its trace to; it may have no name, but is open."""
        if worker.name == "in-place":
            return self.watched.log
        folder = f"/proc/{worker.vm.process.pid}/fd"
        found = [f"{folder}/{descriptor}" for descriptor in os.listdir(folder)
                 if str(self.watched.runtime / "trace") in os.readlink(f"{folder}/{descriptor}")]
        if not found:
            raise Failure(f"{worker.name} has no file of {self.watched.runtime}/trace open")
        return found[0]

    # ---- People

    def switched_by_others(self, _):
        for enable in (True, False):
            for worker in self.watched.workers:
                worker.vm.qmp("trace-event-set-state", name=UNUSED, enable=enable)
            for worker in self.watched.workers:
                self.watched.wait_for(lambda worker=worker: (self.watched.scrape().get("qemu_trace_event_enabled", vm=worker.name, event=UNUSED) or 0)
                                      == enable, f"qemond to see that {UNUSED} of {worker.name} was switched")
        return []

    def leases(self):
        return json.loads(self.qemon("--output", "json", "lease", "list"))["leases"]

    def timed_leases(self, at_least=0):
        return [lease for lease in self.leases() if lease["until"] is not None and lease["remaining_seconds"] >= at_least]

    def no_lease_is_left(self):
        self.watched.wait_for(lambda: not self.timed_leases(), "leases to end")

    def leases_that_end(self, worker):
        self.qemon("event", "on", "thread_pool_*", "--for", "1s")
        self.qemon("event", "on", "virtio_blk_*", "virtqueue_*", "--for", "1h")
        self.qemon("pack", "on", "virtio", "--for", "1h")
        self.work()
        for lease in self.timed_leases(60):  # Others may be over before they can be ended.
            if lease["vm"] == worker.name:
                self.qemon("lease", "end", str(lease["id"]))
            else:
                self.qemon("lease", "extend", str(lease["id"]), "--for", "500ms")
        self.no_lease_is_left()
        return []

    def sampled(self, _):
        self.qemon("event", "on", "memory_region_ops_*", "--sample", "20ms/100ms", "--for", "1500ms")
        self.qemon("event", "cost", UNUSED, "--sample", "20ms")
        self.work()
        self.no_lease_is_left()
        return []

    def experiment(self, worker):
        name = f"soak-{self.rounds}"
        self.qemon("experiment", "start", name, "--pack", "timer")
        self.qemon("mark", f"{name} runs", "--vm", worker.name)
        self.work()
        self.qemon("experiment", "stop", name)
        self.qemon("experiment", "delete", name)
        return []

    # ---- qemond

    def broken_pack(self, _):
        own = self.watched.packs / "own.yaml"
        own.write_text(BROKEN_PACK, encoding="utf-8")
        try:
            self.qemon("reload")
            raise RuntimeError("qemond took a broken pack")
        except Failure as failure:
            if "own.yaml" not in str(failure):
                raise RuntimeError(f"the message about a broken pack does not name it: {failure}") from None
        self.work()
        self.watched.write_own_pack(f"The soak's own, for the {self.rounds}th time.")
        self.qemon("reload")
        return []

    def hangup(self, _):
        """In the middle of work, and more of them than can be served one by one."""
        self.watched.begin(self.generator)
        for _ in range(20):
            os.kill(self.watched.qemond.process.pid, signal.SIGHUP)
        self.watched.finish()
        self.watched.check()
        return []

    def clients_that_hang(self, _):
        """They say nothing, say half, or do not read what they asked for."""
        host, port = self.watched.qemond.listen.rsplit(":", 1)
        clients = []
        try:
            for number in range(90):
                clients.append(socket.create_connection((host, int(port)), 60))
                clients[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                clients[-1].sendall((b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 4)[number % 3])
            for number in range(30):
                clients.append(socket.socket(socket.AF_UNIX))
                clients[-1].connect(str(self.watched.qemond.control))
                clients[-1].sendall((b"", b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b"\0" * 100)[number % 3])
            self.work()
            self.qemon("status")
        finally:
            for client in clients:
                client.close()
        return []

    # ---- VMs that come and go

    def visitor(self, kind, options=()):
        self.visitors += 1
        return Worker(self.stack, f"{kind}-{self.visitors}", self.watched.workers[self.visitors % len(self.watched.workers)].build, options)

    def leaves(self, visitor, goes):
        """It goes, and nothing about it stays."""
        series = f'vm="{visitor.name}"'
        goes()
        self.watched.wait_for(lambda: series not in self.watched.qemond.metrics(), f"the series of {visitor.name} to vanish")
        if visitor.vm.process in self.stack.processes:
            visitor.kill()
        visitor.close()
        self.stack.vms.remove(visitor.vm)
        for left in self.stack.folder.glob(f"{visitor.name}.*"):
            left.unlink()
        return []

    def visitor_by_socket(self, _):
        """It is found, and floods until its budget trips."""
        visitor = self.visitor("visitor")
        self.watched.wait_for(lambda: self.watched.up(visitor.name) == 1, f"{visitor.name} to be found")
        self.qemon("event", "on", "memory_region_ops_*", "--vm", visitor.name)
        visitor.read_for_ever()
        self.watched.wait_for(lambda: "qemond_budget_trips_total{" + f'vm="{visitor.name}"' in self.watched.qemond.metrics(), "the budget to trip")
        self.work()

        def goes():
            visitor.kill()
            visitor.vm.qmp_path.unlink(missing_ok=True)
        return self.leaves(visitor, goes)

    def visitor_by_command(self, _):
        """By its human monitor; what it was found with must be there when it is detached."""
        monitor = self.stack.folder / "visitor.monitor"
        visitor = self.visitor("caller", ["-monitor", f"unix:{monitor},server=on,wait=off"])
        name = f"visitor-{self.visitors}"
        self.watched.found[visitor.name] = self.watched.as_it_is(visitor)
        self.qemon("vm", "attach", name, f"hmp:unix:{monitor}")
        self.watched.wait_for(lambda: self.watched.up(name) == 1, f"{name} to be attached")
        self.qemon("pack", "on", "virtio-blk", "--vm", name)
        before = self.watched.scrape().get("qemu_virtio_blk_requests_total", vm=name, operation="read")
        visitor.work(read=100)
        self.watched.wait_for(lambda: self.watched.scrape().get("qemu_virtio_blk_requests_total", vm=name, operation="read") == before + 100,
                              f"the reads of {name} to be counted")
        self.qemon("vm", "detach", name)
        self.watched.wait_for(lambda: f'vm="{name}"' not in self.watched.qemond.metrics(), f"the series of {name} to vanish")
        # It is left behind the answer.
        self.watched.wait_for(lambda: self.watched.is_as_found(visitor), f"{name} to be left as it was found")
        del self.watched.found[visitor.name]
        return self.leaves(visitor, lambda: None)
