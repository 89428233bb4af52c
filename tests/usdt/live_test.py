#!/usr/bin/env python3
"""The trace source usdt on a real QEMU with the backend dtrace: a guest of known work (tests/guest/workload.S).

    live_test.py BIN_DIR

Exits with 77 where there is no such QEMU, or BPF is not to be had.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from known_work import Worker  # noqa: E402
from probe_witness import ProbeWitness  # noqa: E402
from qemu_builds import backends_build, build  # noqa: E402
from stack import PATIENCE, Failure, Stack  # noqa: E402

NEEDED = {21: "CAP_SYS_ADMIN", 19: "CAP_SYS_PTRACE"}
UPROBE_EVENTS = pathlib.Path("/sys/kernel/tracing/uprobe_events")
RING_RECORDS = 40_000  # More than the ring has room for.
SUMS = """version: 1
pack: sums
help: Nothing but sums.
metrics:
  - {counter: qemu_test_reads_total, help: Reads., events: virtio_blk_handle_read}
  - {counter: qemu_test_sectors_total, help: Sectors., events: virtio_blk_handle_read, add: nsectors}
"""
EVENTS = ("virtio_blk_handle_read", "virtio_blk_handle_write", "virtio_blk_req_complete")


def check(what, found, expected):
    if found != expected:
        raise Failure(f"{what}: {found} instead of {expected}")


def samples(host, name, vm="web1"):
    """{labels but the VM's as text: value} of a metric."""
    return {labels: float(value) for labels, value in re.findall(rf'(?m)^{name}{{vm="{vm}",?(.*)}} (\S+)$', host.metrics())}


def counts(host):
    return {labels.split('"')[1]: value for labels, value in samples(host, "qemu_trace_events_total").items()}


def dropped(host):
    return samples(host, "qemu_trace_dropped_events_total").get("", 0)


def status(host):
    return json.loads(host.qemon("--output", "json", "status"))["vms"][0]


def degraded(host):
    return status(host)["degraded"]


def settled(stack, host, event, at_least):
    stack.wait_for(lambda: counts(host).get(event, 0) >= at_least, PATIENCE, f"{at_least} records of {event}")


def attached(worker, witnesses):
    return {name: witness.state(worker.vm.process_id) for name, witness in witnesses.items()}


def check_known_work(stack, host, worker, requests):
    """The guest's requests, as a pack that reads whole records has them, and as QEMU's own statistics."""
    before = worker.vm.block_statistics()
    worker.work(**requests)
    after = worker.vm.block_statistics()
    reads = requests["read"] + requests["read_eight_sectors"]
    settled(stack, host, "virtio_blk_req_complete", worker.done["read_requests"] + worker.done["write_requests"])
    check("QEMU's own count of reads", after["rd_operations"] - before["rd_operations"], reads)
    check("counts", {name: counts(host)[name] for name in EVENTS},
          {EVENTS[0]: worker.done["read_requests"], EVENTS[1]: worker.done["write_requests"],
           EVENTS[2]: worker.done["read_requests"] + worker.done["write_requests"]})
    for operation in ("read", "write"):
        label = f'operation="{operation}"'
        check(f"bytes to {operation}", samples(host, "qemu_virtio_blk_bytes_total")[label], worker.done[f"{operation}_bytes"])
        latency = "qemu_virtio_blk_request_duration_seconds"
        check(f"latencies of {operation}", samples(host, latency + "_count")[label], worker.done[f"{operation}_requests"])
        if samples(host, latency + "_sum")[label] <= 0:
            raise Failure(f"the latencies of {operation} are nothing")
    check("dropped", dropped(host), 0)


def mmio(stack, host, worker):
    """The regions that pack mmio has of some work, whose names are strings of QEMU's; but for the timer that the BIOS reads if it has to wait."""
    host.qemon("pack", "on", "mmio", "--vm", worker.name)
    worker.work(read_eight_sectors=20)
    stack.wait_for(lambda: samples(host, "qemu_mmio_accesses_total", worker.name), PATIENCE, "accesses")
    host.qemon("pack", "off", "mmio", "--vm", worker.name)
    found = samples(host, "qemu_mmio_accesses_total", worker.name)
    return {labels for labels, value in found.items() if value and "acpi-tmr" not in labels}


def check_sums(stack, host, worker):
    """What a pack only adds up is added up in the kernel: no record is read, and another pack that reads all of them has the same."""
    def bytes_read():
        return status(host)["trace"]["bytes_read"]
    host.qemon("pack", "off", "virtio-blk", "--vm", worker.name)
    host.qemon("pack", "on", "sums", "--vm", worker.name)
    reads = counts(host)[EVENTS[0]]
    # Until the pack is on, records come whole; the first of those that come after it do as well.
    worker.work(read=10)
    settled(stack, host, EVENTS[0], reads + 10)
    first = samples(host, "qemu_test_sectors_total")[""], samples(host, "qemu_test_reads_total")[""], bytes_read()
    worker.work(read=200, read_eight_sectors=50)
    stack.wait_for(lambda: samples(host, "qemu_test_reads_total")[""] == first[1] + 250, PATIENCE, "the reads to be counted")
    check("sectors that were added up", samples(host, "qemu_test_sectors_total")[""] - first[0], 200 + 50 * 8)
    check("bytes of records", bytes_read() - first[2], 0)
    host.qemon("pack", "on", "virtio-blk", "--vm", worker.name)
    worker.work(read=100)
    stack.wait_for(lambda: samples(host, "qemu_test_reads_total")[""] == first[1] + 350, PATIENCE, "the reads to be counted that come whole")
    check("sectors of all", samples(host, "qemu_test_sectors_total")[""] - first[0], 200 + 50 * 8 + 100)
    host.qemon("pack", "off", "sums", "--vm", worker.name)


def check_put_back(stack, host, worker, witnesses):
    """Nothing of ours is in QEMU's memory after `off`, after the end of qemond, and after its death."""
    here = {name: (witness.sites, witness.sites) for name, witness in witnesses.items()}
    gone = {name: (0, 0) for name in witnesses}
    check("attached", attached(worker, witnesses), here)
    host.qemon("pack", "off", "virtio-blk", "--vm", worker.name)
    check("attached after pack off", attached(worker, witnesses), gone)
    for how in (signal.SIGTERM, signal.SIGKILL):
        host.qemon("pack", "on", "virtio-blk", "--vm", worker.name)
        check("attached", attached(worker, witnesses), here)
        stack.end(host.process, how)
        check(f"attached after {how.name}", attached(worker, witnesses), gone)
        if UPROBE_EVENTS.exists():
            check("uprobe_events", UPROBE_EVENTS.read_text(encoding="utf-8"), "")
        host.start()
    # After a crash a lease goes on.
    check("attached after a restart", attached(worker, witnesses), here)
    host.qemon("pack", "off", "virtio-blk", "--vm", worker.name)
    check("attached after pack off", attached(worker, witnesses), gone)


def check_bare(stack, host, worker):
    """An event with an argument that libbpf may not find: where QEMU has dtrace alone, compilers leave a variable in memory."""
    witness = {"runstate_set": ProbeWitness(worker.build.binary, "runstate_set")}
    host.qemon("event", "on", "runstate_set")
    sites = witness["runstate_set"].sites
    check("attached", attached(worker, witness), {"runstate_set": (sites, sites)})
    worker.vm.qmp("stop")
    worker.vm.qmp("cont")
    settled(stack, host, "runstate_set", 2)
    check("changes of the run state", counts(host)["runstate_set"], 2)
    said = "runstate_set has an argument that libbpf cannot find" in host.qemon("status")
    print(f"  the arguments of runstate_set are {'not ' if said else ''}to be had")
    host.qemon("event", "off", "runstate_set")
    check("attached after off", attached(worker, witness), {"runstate_set": (0, 0)})


def check_losses(stack, host, worker):
    """A ring that is full: what is lost is counted, by the count of another qemond whose events nobody reads whole."""
    other = stack.start_qemond([SimpleNamespace(name="web1", address=f"unix:{worker.vm.witness_path}")], name="other",
                               options=[*worker.build.catalog_options(), "--budget", "unlimited"])
    other.qemon("event", "on", "memory_region_ops_write", "memory_region_ops_read")
    host.qemon("pack", "on", "mmio", "--vm", worker.name)
    names = ("memory_region_ops_write", "memory_region_ops_read")
    first = counts(host), counts(other), dropped(host)
    os.kill(host.process.pid, signal.SIGSTOP)
    while sum(counts(other).values()) - sum(first[1].values()) < 2 * RING_RECORDS:
        worker.work(read=1000)
    os.kill(host.process.pid, signal.SIGCONT)
    worker.work(read=10)

    def grown(now, before):
        return sum(now.get(name, 0) - before.get(name, 0) for name in names)
    stack.wait_for(lambda: dropped(host) > first[2], PATIENCE, "losses to be counted")
    stack.wait_for(lambda: grown(counts(host), first[0]) + dropped(host) - first[2] == grown(counts(other), first[1]), PATIENCE,
                   "records and losses of one qemond to be what the other one counted")
    check("losses of the other one", dropped(other), 0)
    print(f"  {grown(counts(host), first[0]):.0f} records and {dropped(host) - first[2]:.0f} losses of {grown(counts(other), first[1]):.0f}")
    other.qemon("event", "off", "*")
    host.qemon("pack", "off", "mmio", "--vm", worker.name)
    stack.end(other.process)


def check_sampling(stack, host, worker):
    """Windows follow each other faster than the kernel detaches."""
    host.qemon("event", "on", "virtio_blk_handle_read", "--sample", "20ms/100ms", "--vm", worker.name)
    before = counts(host).get("virtio_blk_handle_read", 0)
    worker.read_for_ever()
    stack.wait_for(lambda: counts(host).get("virtio_blk_handle_read", 0) > before, PATIENCE, "records of a sampled event")
    host.qemon("event", "off", "virtio_blk_handle_read", "--vm", worker.name)
    # An event that nobody reads is recorded whole, of which each record has 64 bytes at least, only until qemond looks at it.
    cost = json.loads(host.qemon("--output", "json", "event", "cost", "virtio_blk_handle_read", "--sample", "500ms"))["vms"][0]
    worker.stop_reading()
    check("backend whose costs are told", cost["backend"], "usdt")
    measured = cost["events"][0]
    if not 0 <= measured["bytes_per_second"] < 32 * measured["records_per_second"]:
        raise Failure(f"an event that is only counted is recorded: {measured}")


def check_rights(stack, worker, without, lacking, on_every_kernel):
    """A qemond that may not says what it lacks and what to do."""
    lame = stack.start_qemond([SimpleNamespace(name="web1", address=f"unix:{worker.vm.witness_path}")], name=f"without{without}",
                              options=worker.build.catalog_options(), command_prefix=["setpriv", f"--bounding-set={without}"])
    try:
        lame.qemon("event", "on", "virtio_blk_handle_read")
    except Failure as refused:
        for words in (lacking, "systemctl edit qemond"):
            if words not in str(refused):
                raise Failure(f"{words} is not in: {refused}") from None
    else:
        if on_every_kernel:
            raise Failure("a qemond without the rights switched an event on")
        print(f"  this kernel does without {lacking}")
    stack.end(lame.process)


def run(stack, build_of_probes, simple):
    worker = Worker(stack, "web1", build_of_probes)
    worker.vm.process_id = worker.vm.process.pid
    witnesses = {name: ProbeWitness(build_of_probes.binary, name) for name in EVENTS}
    packs = stack.folder / "packs"
    packs.mkdir()
    (packs / "sums.yaml").write_text(SUMS, encoding="ascii")
    host = stack.start_qemond([worker.vm], options=[*build_of_probes.catalog_options(), "--budget", "unlimited", "--pack-dir", packs])
    check("what cannot be known while nothing is followed", status(host)["unknown"], [])
    host.qemon("pack", "on", "virtio-blk")
    vm = status(host)
    check("backend", (vm["trace"]["backend"], vm["trace"]["drops_counted"]), ("usdt", True))
    check("what cannot be known", vm["unknown"], ["whether others (bpftrace, SystemTap, perf) are attached to the same probes"])
    check_known_work(stack, host, worker, {"read": 300, "write": 100, "read_eight_sectors": 50})
    # An event that nobody reads whole is only counted, and in no other way.
    host.qemon("event", "on", "virtio_queue_notify")
    notified = counts(host).get("virtio_queue_notify", 0)
    worker.work(read=200)
    settled(stack, host, "virtio_queue_notify", notified + 200)
    check("notifications", counts(host)["virtio_queue_notify"] - notified, 200)
    host.qemon("event", "off", "virtio_queue_notify")
    # One that QEMU lists, of which its program has no probe, since only QEMUs in user mode have such code.
    host.qemon("event", "on", "guest_user_syscall")
    check("what is degraded", degraded(host), ["on, but QEMU's code had no probe of them when they went on (if QEMU has loaded "
                                               "a module of theirs since, switch them off and on): guest_user_syscall"])
    host.qemon("event", "off", "guest_user_syscall")
    check("what is degraded", degraded(host), [])
    check_sums(stack, host, worker)
    check_put_back(stack, host, worker, witnesses)
    check_sampling(stack, host, worker)
    check_bare(stack, host, worker)
    regions = mmio(stack, host, worker)
    if simple.binary:
        twin = Worker(stack, "twin", simple)
        witness = stack.start_qemond([twin.vm], name="simple", options=simple.catalog_options())
        check("regions that mmio has, with simple and here", regions, mmio(stack, witness, twin))
        twin.close()
    worker.vm.close()  # One of its monitors is for another qemond.
    check_losses(stack, host, worker)
    check_rights(stack, worker, "-bpf,-perfmon,-sys_admin", "CAP_BPF and CAP_PERFMON", True)
    check_rights(stack, worker, "-sys_admin", "CAP_SYS_ADMIN", False)
    worker.close()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    probed = list(filter(None, map(backends_build, ("QEMON_BACKENDS_QEMU", "QEMON_DTRACE_QEMU"))))
    if not probed:
        print("no QEMU with the backend dtrace: QEMON_BACKENDS_QEMU, QEMON_DTRACE_QEMU, see tests/tools/prepare-qemu.sh")
        sys.exit(77)
    effective = int(re.search(r"CapEff:\s*(\S+)", pathlib.Path("/proc/self/status").read_text("ascii"))[1], 16)
    lacking = [name for bit, name in NEEDED.items() if not effective >> bit & 1]
    if lacking or not pathlib.Path("/sys/bus/event_source/devices/uprobe").exists():
        print(f"no way to attach to probes here: {' and '.join(lacking) + ' are missing' if lacking else 'this kernel has no uprobes'}")
        sys.exit(77)
    if not (pathlib.Path(sys.argv[1]).resolve().parent / "lib/qemon/modules/qemon-usdt.so").exists():
        print("qemon was built without what USDT needs: install libbpf-dev and clang")
        sys.exit(77)
    for each in probed:
        try:
            with Stack(pathlib.Path(sys.argv[1]).resolve()) as stack:
                run(stack, each, build("simple"))
        except (Failure, RuntimeError, subprocess.SubprocessError) as failure:
            sys.exit(f"FAILED with {each.label}: {failure}")
        print(f"{each.label}: all counts as the guest's work")


main()
