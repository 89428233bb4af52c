#!/usr/bin/env python3
"""`qemon event cost` on one qemond that watches the same guest on six VMs, each with another of QEMU's trace backends.

    cmake --preset release && cmake --build build/release
    . /var/cache/qemon/test-env
    tests/bench/event_cost.py [--bin build/release/bin] [--sample 1s] [EVENT...]

A guest that sleeps most of the time (tests/guest/ticks.S). The QEMU of QEMON_BACKENDS_QEMU writes each event that is on in it to all its backends:
those that are not followed get a syslog(3) that does nothing, or /dev/null for the kernel's trace_marker. Needs root, LTTng and rsyslogd. Nothing else should run on the machine. Exits with 0 whatever the figures are.
"""
import argparse
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from backends import qemu_for  # pylint: disable=wrong-import-position
from lttng_world import LttngWorld, enter, why_not  # pylint: disable=wrong-import-position
from stack import PATIENCE, Failure, Stack  # pylint: disable=wrong-import-position
from system_logs import Rsyslogd, enter_own_namespace, without_backends  # pylint: disable=wrong-import-position

BACKENDS = ("simple", "log", "usdt", "ftrace", "lttng", "syslog")
EVENTS = ("exec_tb", "memory_region_ops_write")
WRITES = 500  # 100 times a second; a block each.


def start_vm(stack, backend):
    qemu = qemu_for(backend)
    if qemu is None or qemu.binary is None:
        raise Failure(f"no QEMU for {backend}: source the file that tests/tools/prepare-qemu.sh makes")
    others = {"ftrace", "syslog"} - {backend} if backend in ("ftrace", "lttng", "syslog") else set()
    program = without_backends(stack, qemu.binary, others)
    return stack.start_vm(backend, [*qemu.options, "-d", "nochain"], program, ROOT / "tests/guest/ticks.S", symbols=[f"WRITES={WRITES}"]), qemu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=ROOT / "build/release/bin", type=pathlib.Path)
    parser.add_argument("--sample", default="1s")
    parser.add_argument("events", nargs="*", default=EVENTS)
    options = parser.parse_args()
    missing = why_not()
    if missing:
        sys.exit(missing)
    enter()
    refused = enter_own_namespace()
    if refused:
        sys.exit(refused)
    try:
        with Stack(options.bin.resolve()) as stack:
            lttng = LttngWorld(stack)
            lttng.start_session_daemon()
            lttng.start_relay()
            rsyslogd = Rsyslogd(stack, formats=["rfc3339"])
            vms = [start_vm(stack, backend) for backend in BACKENDS]
            choices = []
            for vm, qemu in vms:
                place = f":{rsyslogd.files['rfc3339']}" if vm.name == "syslog" else ""
                choices += ["--backend", f"{vm.name}={vm.name}{place}", *qemu.catalog_options(vm.name)]
            host = stack.start_qemond([vm for vm, _ in vms], options=["--budget", "unlimited", *choices])
            command = [stack.bin_dir / "qemon", "--socket", host.control, "event", "cost", *options.events, "--sample", options.sample]
            subprocess.run(command, timeout=10 * PATIENCE, check=True)
    except Failure as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
