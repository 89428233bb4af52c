#!/usr/bin/env python3
"""QEMU's ftrace backend followed by qemond, on the kernel's own trace: a guest of known work (tests/guest/workload.S).

    ftrace_test.py BIN_DIR

Exits with 77 where the kernel's trace may not be used, or no QEMU writes to it.
"""
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from known_work import Worker  # noqa: E402
from qemu_builds import backends_build  # noqa: E402
from source_checks import Work, check, check_latencies, dropped, figure  # noqa: E402
from stack import PATIENCE, Failure, Stack  # noqa: E402

TRACEFS = pathlib.Path("/sys/kernel/tracing")
AS_FOUND = ("tracing_on", "trace_clock", "trace_options", "buffer_size_kb", "current_tracer", "set_event")
SMALL_RING_KIB = 4


def instance_of(worker):
    return TRACEFS / "instances" / f"qemon-{worker.name}-{worker.vm.process.pid}"


def system_trace():
    """What somebody who traces with the system's own buffer would find changed."""
    return {name: (TRACEFS / name).read_bytes() for name in AS_FOUND}


def follow(stack, build, workers, packs=("virtio-blk",)):
    return stack.start_qemond([worker.vm for worker in workers], packs, options=["--backend", "ftrace", *build.catalog_options()])


def check_counts(stack, build):
    """Two VMs, each with what its own guest did; and everything as it was found afterwards."""
    workers = [Worker(stack, name, build) for name in ("ftrace1", "ftrace2")]
    before = system_trace()
    host = follow(stack, build, workers)
    works = [Work(stack, host, worker) for worker in workers]
    for worker, count in zip(workers, (700, 300)):
        worker.begin(read=count, write=100)
    for worker in workers:
        worker.finish()
    for work in works:
        work.check_all()
    check_latencies(stack, host, "ftrace1", 700)
    check("dropped events", dropped(host, "ftrace1"), 0)
    check("the trace's clock", (instance_of(workers[0]) / "trace_clock").read_text().split("[")[1].split("]")[0], "mono")
    status = host.qemon("status")
    for words in ("ftrace", str(instance_of(workers[0])), "0 dropped", "unknown   whose lines were dropped"):
        if words not in status:
            raise Failure(f"{words} is not in what qemon status says: {status}")
    # The last lease ends: the instance goes, and comes again with the next.
    host.qemon("pack", "off", "virtio-blk", "--vm", "ftrace1")
    check("the instance while nothing is on", instance_of(workers[0]).exists(), False)
    host.qemon("pack", "on", "virtio-blk", "--vm", "ftrace1")
    work = Work(stack, host, workers[0])
    workers[0].work(read=50)
    work.check_all()
    stack.end(host.process)
    check("instances afterwards", [worker.name for worker in workers if instance_of(worker).exists()], [])
    check("the system's own trace", system_trace(), before)
    return workers


def check_losses(stack, build, worker):
    """A ring that is too small and a qemond that does not read: what was lost is counted, and the rest is right."""
    host = follow(stack, build, [worker])
    (instance_of(worker) / "buffer_size_kb").write_text(str(SMALL_RING_KIB))
    work = Work(stack, host, worker)
    os.kill(host.process.pid, signal.SIGSTOP)
    worker.work(read=2000)
    os.kill(host.process.pid, signal.SIGCONT)
    stack.wait_for(lambda: dropped(host, worker.name) > 0, PATIENCE, "losses to be told")
    worker.work(read=1)  # Read last of all.
    begins, ends = "virtio_blk_handle_read", "virtio_blk_req_complete"

    def whole():
        seen = sum(figure(host, "qemu_trace_events_total", vm=worker.name, event=event) for event in (begins, ends))
        # Other programs' markers may be among those that were lost.
        return seen + dropped(host, worker.name) >= 2 * 2001
    stack.wait_for(whole, PATIENCE, "all events to be counted, or counted as lost")
    work.check_qemu()
    if not 0 < work.counted()["read_requests"] < 2001:
        raise Failure(f"nothing was lost of 2001 reads: {work.counted()}")
    matched = figure(host, "qemond_pack_pairs_total", vm=worker.name, metric="qemu_virtio_blk_request_duration_seconds", outcome="matched")
    if matched > work.counted()["read_requests"]:
        raise Failure(f"{matched} durations of {work.counted()['read_requests']} reads")
    stack.end(host.process)
    check("the instance afterwards", instance_of(worker).exists(), False)


def check_crash(stack, build, worker, other):
    """What a killed qemond leaves is taken away by the next one, by qemon restore, and, if the QEMU is gone too, by any."""
    before = system_trace()
    host = follow(stack, build, [worker], packs=())
    for how in ("start", "restore"):
        host.qemon("pack", "on", "virtio-blk", "--vm", worker.name)
        host.kill()
        check("the instance of a qemond that was killed", instance_of(worker).exists(), True)
        if how == "start":
            host.start()  # The lease goes on.
            work = Work(stack, host, worker)
            worker.work(read=20, write=30)
            work.check_all()
            stack.end(host.process)
        else:
            subprocess.run([stack.bin_dir / "qemon", "--socket", host.control, "restore", "--runtime-dir", stack.folder / host.name], check=True,
                           capture_output=True, timeout=PATIENCE)
        check(f"the instance after {how}", instance_of(worker).exists(), False)
        host.start()
    host.qemon("pack", "on", "virtio-blk", "--vm", worker.name)
    host.kill()
    left = instance_of(worker)
    worker.kill()  # From now on any qemond may remove it.
    host = follow(stack, build, [other])
    check("the instance after another VM was followed", left.exists(), False)
    stack.end(host.process)
    check("the system's own trace", system_trace(), before)


def why_not(build):
    if build is None:
        return "no QEMU has the trace backend ftrace: tests/tools/prepare-qemu.sh builds one"
    if not os.access(TRACEFS / "instances", os.W_OK):
        return f"{TRACEFS}/instances cannot be written to: run as root, with tracefs mounted"
    if not (TRACEFS / "options" / "copy_trace_marker").exists():
        return "this kernel copies no markers into instances: it is too old"
    return None


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build = backends_build()
    reason = why_not(build)
    if reason:
        print(reason)
        sys.exit(77)
    try:
        with Stack(pathlib.Path(sys.argv[1]).resolve()) as stack:
            workers = check_counts(stack, build)
            check_losses(stack, build, workers[0])
            check_crash(stack, build, *workers)
    except (Failure, RuntimeError) as failure:
        sys.exit(f"FAILED: {failure}")
    print(f"{build.label}: all figures as the guests' work, and everything as it was found")


if __name__ == "__main__":
    main()
