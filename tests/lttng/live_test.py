#!/usr/bin/env python3
"""LTTng-UST as the source of records: real QEMUs with the backend `ust`, guests of known work, LTTng's own daemons.

    live_test.py BIN_DIR

Exits with 77 where there is no LTTng, no such QEMU, or namespaces may not be made.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from known_work import Worker  # noqa: E402
from lttng_world import LttngWorld, enter, helper_of, status_of, why_not  # noqa: E402
from qemu_builds import backends_build, build  # noqa: E402
from stack import PATIENCE, Failure, Stack  # noqa: E402

READ, WRITE, COMPLETE = "virtio_blk_handle_read", "virtio_blk_handle_write", "virtio_blk_req_complete"
PACK = "virtio-blk"
LTTNG = ["--backend", "lttng"]
SWITCHED_BY_OTHERS = ["disabled", "enabled", "disabled"]


def check(what, found, expected):
    if found != expected:
        raise Failure(f"{what}: {found} instead of {expected}")


def figures(host, vm, pattern):
    """{series without vm: value} of the metrics whose names match."""
    found = re.findall(rf'(?m)^({pattern})\{{vm="{vm}",?(.*)\}} (\S+)$', host.metrics())
    return {f"{name}{{{labels}}}": float(value) for name, labels, value in found}


def work_figures(host, vm):
    """What the pack counts."""
    return figures(host, vm, r"qemu_virtio_blk_(?:requests|bytes|request_duration_seconds_count|requests_total|bytes_total)")


def figures_of(worker):
    """The same, as the guest's work has them."""
    wanted = {}
    for operation in ("read", "write"):
        wanted[f'qemu_virtio_blk_bytes_total{{operation="{operation}"}}'] = worker.done[f"{operation}_bytes"]
        wanted[f'qemu_virtio_blk_request_duration_seconds_count{{operation="{operation}"}}'] = worker.done[f"{operation}_requests"]
    return wanted


def shows_work(stack, host, worker):
    """Waits until everything that the guest did has been counted, and nothing else."""
    wanted = figures_of(worker)

    def shown():
        now = figures(host, worker.name, r"qemu_virtio_blk_(?:bytes_total|request_duration_seconds_count)")
        return all(now.get(key, 0) == value for key, value in wanted.items())
    stack.wait_for(shown, PATIENCE, f"the work of {worker.name}, {wanted}")


def switches(worker):
    """How the pack's events are switched in QEMU itself."""
    return [worker.vm.qmp("trace-event-get-state", name=event)[0]["state"] for event in (READ, WRITE, COMPLETE)]


def sum_of_events(host, vm, event):
    return figures(host, vm, "qemu_trace_events_total").get(f'qemu_trace_events_total{{event="{event}"}}', 0)


def dropped(host, vm):
    return sum(figures(host, vm, "qemu_trace_dropped_events_total").values())


def without_daemons(stack, host, lttng):
    """What is missing is said, with its cure."""
    for cure, start in (("start the service lttng-sessiond", lttng.start_session_daemon), ("no lttng-relayd answers at 127.0.0.1: start one", lttng.start_relay)):
        def says_so(cure=cure):
            try:
                host.qemon("event", "on", READ, "--vm", "web1")
            except Failure as failure:
                return cure in str(failure)
            raise RuntimeError(f"an event could be switched on without {cure}")
        # QEMU registers with an lttng-sessiond that is started after it, in a while.
        stack.wait_for(says_so, PATIENCE, f"qemon to say {cure}")
        check("sessions", lttng.sessions() if lttng.session_daemon else [], [])
        start()


def counts_exactly(stack, host, workers, lttng):
    first, second = workers
    # By somebody else, for another of its backends.
    first.vm.qmp("trace-event-set-state", name=WRITE, enable=True)
    host.qemon("pack", "on", PACK, "--vm", "web1")
    check("QEMU's own switches", switches(first), SWITCHED_BY_OTHERS)
    session = lttng.session()
    check("the session's name", bool(re.fullmatch(rf"qemon-web1-{first.vm.process.pid}-{helper_of(host)}", session)), True)
    check("events of the session", lttng.enabled(session), sorted(f"qemu:{event}" for event in (READ, WRITE, COMPLETE)))
    trace = status_of(host, "web1")["trace"]
    check("what qemon status says", (trace["backend"], trace["destination"], trace["drops_counted"]), ("lttng", "host", True))
    check("what cannot be known", status_of(host, "web1")["unknown"], ["whether other sessions of LTTng record the same events"])

    first.work(read=200, write=100, read_eight_sectors=50)
    second.work(read=500)  # Of another VM with the same user, which writes nothing to this session.
    shows_work(stack, host, first)
    check("records of reads", sum_of_events(host, "web1", READ), 250)
    check("records of ends", sum_of_events(host, "web1", COMPLETE), 350)
    check("what babeltrace2 finds", lttng.recorded(session), {READ: 250, WRITE: 100, COMPLETE: 350})
    check("dropped", dropped(host, "web1"), 0)
    seconds = figures(host, "web1", "qemu_virtio_blk_request_duration_seconds_sum")
    for operation in ("read", "write"):
        mean = seconds[f'qemu_virtio_blk_request_duration_seconds_sum{{operation="{operation}"}}'] / first.done[f"{operation}_requests"]
        if not 1e-6 < mean < 1:
            raise Failure(f"a {operation} takes {mean} s")

    # Both at once, each with its own figures.
    host.qemon("pack", "on", PACK, "--vm", "web2")
    check("sessions", len(lttng.sessions()), 2)
    second.done.clear()
    for worker in workers:
        worker.begin(read=300, write=200)
    for worker in workers:
        worker.finish()
        shows_work(stack, host, worker)
    host.qemon("pack", "off", PACK, "--vm", "web2")
    check("sessions", lttng.sessions(), [session])


def like_simple(stack, worker, host):
    """A QEMU with the backend `simple` and the same guest: the same figures."""
    other = build("simple")
    if other.binary is None:
        print("no QEMU with the backend simple: not compared with it")
        return
    twin = Worker(stack, "twin", other)
    twin_host = stack.start_qemond([twin.vm], packs=[PACK], name="simple", options=other.catalog_options())
    before = work_figures(host, worker.name)
    for each in (worker, twin):
        each.work(read=70, write=30, read_eight_sectors=20)
        shows_work(stack, host if each is worker else twin_host, each)
    after = work_figures(host, worker.name)
    check("what the same guest did by simple", {key: after[key] - before[key] for key in after}, work_figures(twin_host, "twin"))
    stack.end(twin_host.process)
    twin.kill()


def counts_what_is_discarded(stack, host, worker, lttng):
    """While LTTng's consumer is stopped the buffers fill up; the guest goes on."""
    session = lttng.session()
    consumers = lttng.consumers()
    for consumer in consumers:
        os.kill(consumer, signal.SIGSTOP)
    host.qemon("event", "on", "pic_*", "apic_*", "ioapic_*", "memory_region_ops_*", "--vm", worker.name)
    worker.work(read=3000)  # It waits for no one.
    for consumer in consumers:
        os.kill(consumer, signal.SIGCONT)
    host.qemon("event", "off", "pic_*", "apic_*", "ioapic_*", "memory_region_ops_*", "--vm", worker.name)
    discarded = lttng.discarded(session)
    if discarded == 0:
        raise Failure("nothing was discarded")
    stack.wait_for(lambda: dropped(host, worker.name) == discarded, PATIENCE, f"{discarded} discarded records to be counted, not {dropped(host, worker.name)}")


def waits_for_nobody(stack, host, worker, lttng):
    """A relay that does not answer: qemond does, and goes on where it was."""
    before = sum_of_events(host, worker.name, READ)
    os.kill(lttng.relay.pid, signal.SIGSTOP)
    worker.work(read=100)
    check("attached", status_of(host, worker.name)["state"], "attached")
    os.kill(lttng.relay.pid, signal.SIGCONT)
    stack.wait_for(lambda: sum_of_events(host, worker.name, READ) == before + 100, PATIENCE, "what happened meanwhile")


def takes_up_again(stack, host, worker, lttng):
    """When the relay is gone qemond says so, and makes another session when there is one again. Returns the name of the first."""
    session = lttng.session()
    lttng.stop_relay()
    stack.wait_for(lambda: any("lttng-relayd" in problem for problem in status_of(host, worker.name)["degraded"]), PATIENCE,
                   "qemond to say that the relay is gone")
    lttng.start_relay()
    stack.wait_for(lambda: [name for name in lttng.sessions() if name != session] and lttng.session(), PATIENCE, "another session")
    stack.wait_for(lambda: len(lttng.enabled(lttng.session())) == 3, PATIENCE, "its events")
    before = sum_of_events(host, worker.name, WRITE)
    worker.work(write=40)
    stack.wait_for(lambda: sum_of_events(host, worker.name, WRITE) == before + 40, PATIENCE, "records of the other session")
    # And so when its helper is gone.
    lost = lttng.session()
    os.kill(helper_of(host), signal.SIGKILL)
    stack.wait_for(lambda: lost not in lttng.sessions() and len(lttng.enabled(lttng.session())) == 3, PATIENCE, "a session instead of that of a killed helper")
    before = sum_of_events(host, worker.name, WRITE)
    worker.work(write=60)
    stack.wait_for(lambda: sum_of_events(host, worker.name, WRITE) == before + 60, PATIENCE, "records of the third session")
    return session


def leaves_nothing(stack, host, worker, lttng, cut_off):
    check("session", len(lttng.sessions()), 1)
    host.kill()
    stack.wait_for(lambda: lttng.sessions() == [], PATIENCE, "the session of a killed qemond to go")
    host.start()  # Its lease goes on.
    stack.wait_for(lambda: len(lttng.enabled(lttng.session())) == 3, PATIENCE, "the session of the lease that goes on")
    worker.work(read=25)
    stack.wait_for(lambda: sum_of_events(host, worker.name, READ) == 25, PATIENCE, "records after the restart")
    # Both at once, as when a service is ended by force: the next qemond knows whose session it is.
    left, helper = lttng.session(), helper_of(host)
    os.kill(helper, signal.SIGSTOP)  # It would begin to clean up.
    host.kill()
    os.kill(helper, signal.SIGKILL)
    check("the session that is left", lttng.sessions(), [left])
    host.start()
    stack.wait_for(lambda: left not in lttng.sessions() and len(lttng.enabled(lttng.session())) == 3, PATIENCE, "the session left behind to go")
    # And `qemon restore` without qemond.
    left, helper = lttng.session(), helper_of(host)
    host.kill()
    os.kill(helper, signal.SIGKILL)
    check("the session that is left", lttng.sessions(), [left])
    subprocess.run([stack.bin_dir / "qemon", "--socket", host.control, "restore", "--runtime-dir", stack.folder / host.name], check=True,
                   capture_output=True, timeout=PATIENCE)
    stack.wait_for(lambda: lttng.sessions() == [], PATIENCE, "the session to go by qemon restore")
    host.start()
    host.qemon("pack", "on", PACK, "--vm", worker.name)
    check("sessions", len(lttng.sessions()), 1)
    stack.end(host.process)
    check("sessions after qemond ended", lttng.sessions(), [])
    check("QEMU's own switches", switches(worker), SWITCHED_BY_OTHERS)
    # All but the session of the relay that went away.
    check("left at lttng-relayd", {file: size for file, size in lttng.written().items() if not file.split("/")[1].startswith(cut_off)}, {})


def run(stack, qemu):
    lttng = LttngWorld(stack)
    workers = [Worker(stack, name, qemu) for name in ("web1", "web2")]
    host = stack.start_qemond([worker.vm for worker in workers], options=[*LTTNG, *qemu.catalog_options()])
    first = workers[0]
    without_daemons(stack, host, lttng)
    counts_exactly(stack, host, workers, lttng)
    like_simple(stack, first, host)
    counts_what_is_discarded(stack, host, first, lttng)
    waits_for_nobody(stack, host, first, lttng)
    cut_off = takes_up_again(stack, host, first, lttng)
    leaves_nothing(stack, host, first, lttng, cut_off)
    for worker in workers:
        worker.close()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    bin_dir = pathlib.Path(sys.argv[1]).resolve()
    qemu = backends_build()
    missing = why_not() if qemu else "no QEMU with the backend ust: tests/tools/prepare-qemu.sh builds one"
    if not missing and not (bin_dir.parent / "lib/qemon/qemon-lttng").exists():
        missing = "qemon was built without qemon-lttng: install liblttng-ctl-dev and libbabeltrace2-dev"
    if missing:
        print(missing)
        sys.exit(77)
    enter()
    try:
        with Stack(bin_dir) as stack:
            run(stack, qemu)
    except (Failure, RuntimeError) as failure:
        sys.exit(f"FAILED with {qemu.label}: {failure}")
    print(f"{qemu.label}: all figures as the guests' work")


if __name__ == "__main__":
    main()
