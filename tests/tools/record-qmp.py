#!/usr/bin/env python3
"""Records what a real QEMU answers to every command that qemond sends, for the fake monitor (tests/fake_qemu).

    record-qmp.py [--qemu PROGRAM] [--accel kvm|tcg] [--vcpus N] OUTPUT.jsonl.gz

The VM has three disks, an iothread and a balloon, and is asked after its firmware has given up booting.

Each line of the recording is an object: {"greeting": ...} first, then
    {"execute": NAME, "arguments": {...}, "reply": {"return": ...} or {"error": ...}}
with the arguments left out where there are none. The recordings in tests/data were made by
    record-qmp.py --accel kvm --vcpus 1 tests/data/qmp-7.2-kvm.jsonl.gz
    record-qmp.py --accel tcg --vcpus 2 tests/data/qmp-7.2-tcg.jsonl.gz
"""
import argparse
import gzip
import json
import socket
import subprocess
import tempfile
import time

COMMANDS = [
    ("query-name", None), ("query-uuid", None), ("query-target", None), ("query-status", None), ("query-kvm", None),
    ("query-accelerators", None), ("qom-get", {"path": "/machine", "property": "type"}), ("query-cpus-fast", None),
    ("query-iothreads", None), ("query-commands", None), ("trace-event-get-state", {"name": "*"}),
    ("query-blockstats", None), ("query-block", None), ("query-jobs", None), ("query-block-jobs", None),
    ("query-stats-schemas", None), ("query-stats", {"target": "vm"}), ("query-stats", {"target": "vcpu"}),
    ("query-memory-size-summary", None), ("query-balloon", None), ("query-dirty-rate", None), ("query-migrate", None),
    ("query-replay", None), ("x-query-irq", None), ("x-query-jit", None),
]
HUMAN = ["help trace-file", "log help", "info trace-events", "info irq", "info jit", "sync-profile",
         "info sync-profile 50", "logfile /dev/null", "trace-file"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--qemu", default="/usr/bin/qemu-system-x86_64")
    parser.add_argument("--accel", choices=["kvm", "tcg"], default="kvm")
    parser.add_argument("--vcpus", type=int, default=2)
    parser.add_argument("output")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        qemu = subprocess.Popen(command_line(options, folder), cwd=folder)
        try:
            records = record(folder + "/qmp")
        finally:
            qemu.kill()
            qemu.wait()
    text = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
    # Without a time in the file, the same recording is the same file.
    with open(options.output, "wb") as out, gzip.GzipFile("", "wb", 9, out, mtime=0) as zipped:
        zipped.write(text.encode())
    print(f"{options.output}: {len(records)} lines, {len(text)} bytes before compression")


def command_line(options, folder):
    command = [options.qemu, "-accel", options.accel, "-m", "64", "-smp", str(options.vcpus), "-name", "guest=recorded", "-nodefaults",
               "-display", "none", "-uuid", "00000000-0000-4000-8000-000000000001", "-object", "iothread,id=io0",
               "-device", "virtio-balloon-pci,id=balloon0", "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
               "-drive", f"if=none,id=vd0,format=raw,file={folder}/disk"]
    with open(folder + "/disk", "wb") as disk:
        disk.truncate(16 << 20)
    for i in range(1, 3):
        command += ["-blockdev", f"null-co,node-name=null{i},size=1073741824,read-zeroes=on"]
    command += ["-device", "virtio-blk-pci,id=disk0,drive=vd0,iothread=io0", "-device", "virtio-blk-pci,id=disk1,drive=null1"]
    return command + ["-device", "virtio-scsi-pci,id=scsi0", "-device", "scsi-hd,id=disk2,drive=null2"]


def record(path):
    """Connects when QEMU listens, waits until the firmware is done, and asks everything."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(20)
        for attempt in range(100):
            try:
                monitor.connect(path)
                break
            except OSError:
                if attempt == 99:
                    raise
                time.sleep(0.1)
        lines = monitor.makefile("rb")
        records = [{"greeting": json.loads(lines.readline())}]
        ask(monitor, lines, "qmp_capabilities", None)
        time.sleep(8)
        questions = COMMANDS + [("human-monitor-command", {"command-line": line}) for line in HUMAN]
        for name, arguments in questions:
            reply = ask(monitor, lines, name, arguments)
            entry = {"execute": name, "arguments": arguments, "reply": reply}
            if arguments is None:
                del entry["arguments"]
            records.append(entry)
    return records


def ask(monitor, lines, name, arguments):
    request = {"execute": name}
    if arguments is not None:
        request["arguments"] = arguments
    monitor.sendall(json.dumps(request).encode() + b"\n")
    while True:
        message = json.loads(lines.readline())
        if "event" not in message:
            return message


if __name__ == "__main__":
    main()
