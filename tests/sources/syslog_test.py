#!/usr/bin/env python3
"""QEMU's syslog backend followed by qemond, through real daemons: rsyslogd in each of its formats, and journald with journalctl.

    syslog_test.py BIN_DIR

The daemons listen on a /dev/log of the test's own. Exits with 77 where that is not permitted, or a daemon or such a QEMU is missing.
"""
import contextlib
import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from known_work import Worker  # noqa: E402
from qemu_builds import backends_build  # noqa: E402
from source_checks import Work, check, check_latencies, dropped, figure  # noqa: E402
from stack import PATIENCE, Failure, Stack, wait_for  # noqa: E402
from system_logs import JOURNALD, Journald, Rsyslogd, enter_own_namespace, find_rsyslogd, say  # noqa: E402

UNIT = "qemon-test.scope"


def follow(stack, build, workers, backend, packs=("virtio-blk",)):
    return stack.start_qemond([worker.vm for worker in workers], packs, options=["--backend", backend, *build.catalog_options()])


def check_two(stack, build, backend, workers):
    """Each VM has what its own guest did, whatever others write meanwhile."""
    host = follow(stack, build, workers, backend)
    works = [Work(stack, host, worker) for worker in workers]
    for worker, count in zip(workers, (400, 200)):
        worker.begin(read=count, write=100)
    say("qemu-system-x86_64[1]", "virtio_blk_handle_read vdev 0x1 req 0x2 sector 3 nsectors 4")
    for worker in workers:
        worker.finish()
    for work in works:
        work.check_all()
    check("dropped events", dropped(host, workers[0].name), 0)
    return host


def check_files(stack, build, workers):
    rsyslogd = Rsyslogd(stack)
    for name, path in rsyslogd.files.items():
        host = check_two(stack, build, f"syslog:{path}", workers)
        status = host.qemon("status")
        if name == "traditional":
            check("durations without times", figure(host, "qemu_virtio_blk_request_duration_seconds_count", vm=workers[0].name), 0)
            if "no times in" not in status:
                raise Failure(f"qemon status does not say that {path} has no times: {status}")
        else:
            check_latencies(stack, host, workers[0].name, 400)
        if "trace     syslog" not in status or str(path) not in status:
            raise Failure(f"{path} is not in what qemon status says: {status}")
        if "unknown   whether a line is QEMU's own" not in status:
            raise Failure(f"qemon status does not say what a file cannot tell: {status}")
        # What was written until now is read before the events of ours go off; and nobody rotates behind our back.
        work = Work(stack, host, workers[0])
        path.rename(path.with_suffix(".1"))
        os.kill(rsyslogd.process.pid, 1)
        workers[0].work(read=30, write=20)
        work.check_all()
        host.qemon("pack", "off", "virtio-blk", "--vm", workers[0].name)
        host.qemon("pack", "on", "virtio-blk", "--vm", workers[0].name)
        workers[0].work(read=30, write=20)
        work.check_all()
        stack.end(host.process)
    rsyslogd.stop()


def check_accounted(stack, host, worker, reads):
    """Each event of `reads` reads is counted, or counted as lost."""
    done = 0

    def read(count):
        nonlocal done
        worker.work(read=count)
        done += count

    def all_accounted():
        seen = sum(figure(host, "qemu_trace_events_total", vm=worker.name, event=event)
                   for event in ("virtio_blk_handle_read", "virtio_blk_req_complete"))
        return dropped(host, worker.name) > 0 and seen + dropped(host, worker.name) == 2 * done

    def soon_accounted():
        read(1)  # The daemons tell what they dropped when the next message comes.
        return wait_for(all_accounted, 5, "each event to be counted, or counted as lost")
    read(reads)
    stack.wait_for(soon_accounted, PATIENCE, "each event to be counted, or counted as lost")


def check_rate_limit(stack, build, worker):
    """rsyslogd lets few messages through, and says how many it did not."""
    rsyslogd = Rsyslogd(stack, rate_limit=150)
    host = follow(stack, build, [worker], f"syslog:{rsyslogd.files['rfc3339']}")
    check_accounted(stack, host, worker, 600)
    stack.end(host.process)
    rsyslogd.stop()


def check_repetitions(stack, build, worker):
    """Equal messages that rsyslogd writes as one line are so many records."""
    rsyslogd = Rsyslogd(stack, repeated=True)
    host = follow(stack, build, [worker], f"syslog:{rsyslogd.files['rfc5424']}", packs=())
    host.qemon("event", "on", "serial_write", "--vm", worker.name)
    before = figure(host, "qemu_trace_events_total", vm=worker.name, event="serial_write")
    worker.work(read=1)
    worker.work(read=1)
    say("qemon-test", "something else")  # Until then rsyslogd waits for more of the same.
    # The guest answers each command by one byte.
    stack.wait_for(lambda: figure(host, "qemu_trace_events_total", vm=worker.name, event="serial_write") - before >= 2, PATIENCE, "two writes")
    check("writes of the serial port", figure(host, "qemu_trace_events_total", vm=worker.name, event="serial_write") - before, 2)
    stack.end(host.process)
    rsyslogd.stop()


def journalctl_runs(qemond):
    """The journalctl of this qemond's that run."""
    def parent(status):
        return f"\nPPid:\t{qemond.process.pid}\n" in status
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "comm").read_text().strip() == "journalctl" and parent((entry / "status").read_text()):
                found.append(int(entry.name))
    return found


def check_journal(stack, build, workers):
    journald = Journald(stack)
    host = check_two(stack, build, "syslog", workers)
    check_latencies(stack, host, workers[0].name, 400)
    status = host.qemon("status")
    if "the journal, by journalctl" not in status or "unknown   what journald lost" not in status:
        raise Failure(f"qemon status does not name the journal, and what it cannot tell: {status}")
    # A journalctl that ends is started again where it was.
    work = Work(stack, host, workers[0])
    readers = journalctl_runs(host)
    check("readers of the journal", len(readers), 2)
    for reader in readers:
        os.kill(reader, 9)
    workers[0].work(read=50, write=50)
    work.check_all()
    # With the last lease, and with qemond, however that ends, they end as well.
    host.qemon("pack", "off", "virtio-blk", "--vm", workers[1].name)
    check("readers of the journal with one VM's events on", len(journalctl_runs(host)), 1)
    readers = journalctl_runs(host)
    host.kill()
    workers[0].work(read=10)
    wait_for(lambda: not any(pathlib.Path(f"/proc/{reader}").exists() for reader in readers), PATIENCE, "the killed qemond's journalctl to end")
    host.start()
    stack.end(host.process)
    journald.stop()


@contextlib.contextmanager
def in_unit(worker):
    """journald limits the rate of what is in a unit only; it knows units by the names of control groups."""
    mounts = (line.split() for line in pathlib.Path("/proc/mounts").read_text().splitlines())
    root = pathlib.Path(next(mount[1] for mount in mounts if mount[2] == "cgroup2"))
    pid = worker.vm.process.pid
    before = re.search(r"(?m)^0::/(.*)$", pathlib.Path(f"/proc/{pid}/cgroup").read_text())[1]
    (root / UNIT).mkdir(exist_ok=True)
    (root / UNIT / "cgroup.procs").write_text(str(pid))
    try:
        yield
    finally:
        (root / before / "cgroup.procs").write_text(str(pid))
        (root / UNIT).rmdir()


def check_journals_rate_limit(stack, build, worker):
    journald = Journald(stack, rate_limit=100)
    with in_unit(worker):
        host = follow(stack, build, [worker], "syslog")
        check_accounted(stack, host, worker, 2000)
        stack.end(host.process)
    journald.stop()


def check_errors(stack, build, worker):
    """What cannot be followed is said with its cure."""
    for backend, words in (("syslog", "neither journald nor /var/log/syslog nor /var/log/messages is here"),
                           (f"syslog:{stack.folder}/missing", f"{stack.folder}/missing: No such file or directory"),
                           (f"syslog:{stack.folder}", "is no regular file")):
        host = follow(stack, build, [worker], backend, packs=())
        try:
            host.qemon("pack", "on", "virtio-blk", "--vm", worker.name)
        except Failure as failure:
            if words not in str(failure) or f"--backend {worker.name}=syslog:FILE" not in str(failure):
                raise Failure(f"{backend}: {failure}") from None
        else:
            raise Failure(f"the pack could be switched on with --backend {backend}")
        stack.end(host.process)


def why_not(build):
    if build is None:
        return "no QEMU has the trace backend syslog: tests/tools/prepare-qemu.sh builds one"
    if not find_rsyslogd():
        return "rsyslogd is not installed"
    if not os.access(JOURNALD, os.X_OK) or not shutil.which("journalctl"):
        return "journald and journalctl are not installed"
    if " cgroup2 " not in pathlib.Path("/proc/mounts").read_text():
        return "no control groups of version 2 are mounted"
    return enter_own_namespace()


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
            workers = [Worker(stack, name, build) for name in ("web1", "web2")]
            for part in (check_errors, check_rate_limit, check_repetitions, check_journals_rate_limit):
                part(stack, build, workers[0])
            for part in (check_files, check_journal):
                part(stack, build, workers)
    except (Failure, RuntimeError) as failure:
        sys.exit(f"FAILED: {failure}")
    print(f"{build.label}: all figures as the guests' work, by rsyslogd and by journald")


if __name__ == "__main__":
    main()
