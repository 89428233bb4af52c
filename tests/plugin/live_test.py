#!/usr/bin/env python3
"""libqemon-plugin.so in running VMs, through qemond: a guest of known work (tests/guest/accesses.S) on each QEMU that takes plugins.

    live_test.py BIN_DIR PLUGIN

Exits with 77 where no QEMU takes plugins.
"""
import collections
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from accesses_guest import AccessesGuest  # noqa: E402
from plugin_figures import takes_plugins  # noqa: E402
from qemu_builds import builds  # noqa: E402
from stack import PATIENCE, Failure, Stack  # noqa: E402

ROUND, ROUND_INSTRUCTIONS, DEVICE_LOADS = 0x7d00, 9, 100  # As the guest says.


def check(what, found, expected):
    if found != expected:
        raise Failure(f"{what}: {found} instead of {expected}")


def grown(before, after):
    """What vCPU 0 counted meanwhile."""
    first, last = before.vcpus[0], after.vcpus[0]
    accesses = {key: last.accesses[key] - first.accesses[key] for key in last.accesses}
    return last.instructions - first.instructions, {key: count for key, count in accesses.items() if count}


def samples(text, name):
    """{labels as text: value} of a metric."""
    return {labels: float(value) for labels, value in re.findall(rf"(?m)^{name}\{{(.*)\}} (\S+)$", text)}


def check_work(guest):
    """At level all: exact figures of the guest's work."""
    totals = {}
    for rounds in (10_000, 30_000):
        before = guest.figures()
        guest.work_and_halt(rounds)
        after = guest.figures()
        totals[rounds], accesses = grown(before, after)
        for size in (1, 4, 8):
            for operation in ("load", "store"):
                check(f"{operation}s of {size} bytes of RAM in {rounds} rounds", accesses["ram", operation, size], rounds)
        check("loads of devices", accesses["device", "load", 4], DEVICE_LOADS)
        check("stores to devices", accesses["device", "store", 4], 2 * DEVICE_LOADS)
        blocks = {block.address: block for block in after.blocks}
        known = {block.address: block for block in before.blocks}
        executed = blocks[ROUND].executions - (known[ROUND].executions if ROUND in known else 0)
        check("the round's block", (executed, blocks[ROUND].instructions), (rounds, ROUND_INSTRUCTIONS))
    check("instructions of 20000 rounds more", totals[30_000] - totals[10_000], 20_000 * ROUND_INSTRUCTIONS)


def check_translations(guest):
    """QEMU's own count is the same as long as it has thrown nothing away."""
    said = guest.vm.qmp("human-monitor-command", **{"command-line": "info jit"})
    check("flushes", (guest.figures().flushes, re.search(r"TB flush count\s+(\d+)", said)[1]), (0, "0"))
    check("translations", guest.figures().translations, int(re.search(r"(?m)^TB count\s+(\d+)", said)[1]))


def check_metrics(stack, host, guest):
    figures = guest.figures()

    def shown(name, labels):
        return samples(host.metrics(), name).get(labels)
    vcpu = figures.vcpus[0]
    wanted = {("qemu_tcg_instructions_total", 'vm="web1",vcpu="0"'): vcpu.instructions,
              ("qemu_tcg_blocks_total", 'vm="web1",vcpu="0"'): vcpu.blocks,
              ("qemu_tcg_memory_accesses_total", 'vm="web1",vcpu="0",operation="store",size="4",target="device"'): vcpu.accesses["device", "store", 4],
              ("qemu_tcg_memory_accesses_total", 'vm="web1",vcpu="0",operation="load",size="8",target="ram"'): vcpu.accesses["ram", "load", 8],
              ("qemu_tcg_plugin_level", 'vm="web1",state="all"'): 1}
    for (name, labels), value in wanted.items():
        stack.wait_for(lambda name=name, labels=labels, value=value: shown(name, labels) == value, PATIENCE, f"{name}{{{labels}}} to be {value}")
    pages = samples(host.metrics(), "qemu_tcg_page_instructions_total")
    check("instructions of all pages", sum(pages.values()), sum(block.executions * block.instructions for block in figures.blocks))
    check("classes", {key.split('"')[3]: value for key, value in samples(host.metrics(), "qemu_tcg_classified_instructions_total").items() if value},
          figures.classes())


def check_pack(stack, host, guest):
    """Without blocks, qemon heatmap has what the pack tcg counts."""
    host.qemon("pack", "on", "tcg", "--vm", "web1")
    guest.work_and_halt(1000)

    def shown():
        answer = subprocess.run([stack.bin_dir / "qemon", "--socket", host.control, "heatmap", "web1", "-o", "json"], capture_output=True, text=True,
                                timeout=PATIENCE, check=False).stdout
        heat = json.loads(answer or "{}")
        return heat.get("kind") == "pack" and hex(ROUND // 4096 * 4096) in [page["address"] for page in heat["pages"]]
    stack.wait_for(shown, PATIENCE, "the guest's page in what the pack tcg counted")
    host.qemon("pack", "off", "tcg", "--vm", "web1")


def ask(host, target):
    """Status and body of an answer of the control API."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(host.control))
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def check_blocks_in_parts(host, guest):
    """All blocks, a few at a time; and what is asked for wrongly."""
    target, blocks = "/v1/vms/web1/plugin/blocks", []
    while True:
        status, answer = ask(host, f"{target}?first={len(blocks)}&count=100")
        check("status", status, 200)
        if not answer["blocks"]:
            break
        check("blocks in one answer", len(answer["blocks"]) <= 100, True)
        blocks += answer["blocks"]
    check("blocks", blocks, [[*block[:2], block.instructions, block.bytes] for block in guest.figures().blocks])
    check("how many there are", answer["block_count"], len(blocks))
    for wrong, why in {"count=0": '"count" must be from 1 to 8192', "count=8193": '"count" must be from 1 to 8192',
                       "first=-1": '"first" must be a number', "first=x": '"first" must be a number'}.items():
        check(wrong, ask(host, f"{target}?{wrong}"), (400, {"error": why}))
    for place in ("plugin/blocks", "heatmaps"):
        check("status of a VM that is not there", ask(host, f"/v1/vms/none/{place}")[0], 404)


def check_watching(stack, host, guest):
    """--watch draws again and again what is so far, until Ctrl-C."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(stack.bin_dir / "qemon", ["qemon", "--socket", str(host.control), "heatmap", "web1", "--watch"])
    try:
        drawn, last = "", []
        while len(set(last)) < 2:  # Ends with the pseudoterminal at the latest.
            if not select.select([terminal], [], [], PATIENCE)[0]:
                raise Failure(f"qemon heatmap --watch drew nothing more after {drawn!r}")
            drawn += os.read(terminal, 65536).decode()
            last = re.findall(r"samples   (\d+) executions of ", drawn)
            if len(last) == 1:
                guest.work(1000)
        check("where it begins to draw", drawn.startswith("\x1b[H"), True)
        os.write(terminal, b"\x03")
        status = os.waitpid(pid, 0)[1]
        check("what ended it", os.WTERMSIG(status), signal.SIGINT)
    finally:
        os.close(terminal)


def check_heat_map(host, guest):
    """qemon heatmap has all blocks, not only the hottest, and the guest's among the busiest."""
    counters, pages = collections.Counter(), collections.Counter()
    for block in guest.figures().blocks:
        counters[block.address] += block.executions
        pages[block.address // 4096 * 4096] += block.executions
    shown = json.loads(host.qemon("--output", "json", "heatmap", "web1", "--top", "65536"))
    check("executions", shown["samples"], sum(counters.values()))
    check("counters", {int(each["address"], 16): each["count"] for each in shown["top"]}, {at: count for at, count in counters.items() if count})
    check("pages", {int(page["address"], 16): page["count"] for page in shown["pages"]}, {at: count for at, count in pages.items() if count})
    check("the round's block", shown["top"][0]["address"] == hex(ROUND) or counters[ROUND] < shown["top"][0]["count"], True)


def level_is(stack, guest, level):
    stack.wait_for(lambda: guest.figures().level == level, PATIENCE, f"level {level}")


def run(stack, build, plugin):
    guest = AccessesGuest(stack, build, plugin)
    host = stack.start_qemond([guest.vm], collectors={"tcg-plugin": "100ms"})
    guest.work_and_halt(1000)
    check("level", guest.figures().level, "count")
    check_translations(guest)
    refused = subprocess.run([stack.bin_dir / "qemon", "--socket", host.control, "heatmap", "web1"], capture_output=True, text=True, check=False)
    if refused.returncode != 1 or "counts at level count: use qemon plugin level web1 blocks --for 1m, or qemon pack on tcg" not in refused.stderr:
        raise Failure(f"without blocks, qemon heatmap says {refused}")

    check_pack(stack, host, guest)
    said = host.qemon("plugin", "level", "web1", "all", "--for", "1h")
    check("what qemon says", bool(re.fullmatch(r"web1: plugin level all until \S+, then count\n", said)), True)
    guest.work_and_halt(1)  # A vCPU that runs takes up the level.
    level_is(stack, guest, "all")
    guest.work_and_halt(1000)  # All of the round's code is translated.
    check_work(guest)
    check_metrics(stack, host, guest)
    check_heat_map(host, guest)
    check_blocks_in_parts(host, guest)
    check_watching(stack, host, guest)
    shown = json.loads(host.qemon("--output", "json", "plugin", "show", "web1"))
    check("the guest's block in qemon plugin show", ROUND in [block["address"] for block in shown["hottest"]], True)
    check("levels", (shown["level"], shown["found_level"]), ("all", "count"))
    table = host.qemon("plugin", "show", "web1")
    for word in ("HOTTEST BLOCK", "0x7d00", "CLASS", "integer", "until"):
        if word not in table:
            raise Failure(f"{word} is not in what qemon plugin show says: {table}")

    # It ends by itself.
    host.qemon("plugin", "level", "web1", "memory", "--for", "300ms")
    stack.wait_for(lambda: guest.figures().wanted_level == "count", PATIENCE, "the level to end")
    host.qemon("plugin", "level", "web1", "blocks")
    check("wanted level", guest.figures().wanted_level, "blocks")
    host.qemon("restore")
    check("wanted level after qemon restore", guest.figures().wanted_level, "count")
    # What was switched is put back when qemond ends, and after a crash, with qemond and without.
    stack.end(host.process)
    host.start()
    for restart in (True, False):
        host.qemon("plugin", "level", "web1", "memory")
        check("wanted level", guest.figures().wanted_level, "memory")
        host.kill()
        if restart:
            host.start()
            check("the level of a lease that still runs", guest.figures().wanted_level, "memory")
            stack.end(host.process, signal.SIGTERM)
            check("wanted level after qemond ended", guest.figures().wanted_level, "count")
            host.start()
        else:
            subprocess.run([stack.bin_dir / "qemon", "--socket", host.control, "restore", "--runtime-dir", stack.folder / host.name], check=True,
                           capture_output=True, timeout=PATIENCE)
            check("wanted level after qemon restore", guest.figures().wanted_level, "count")
    guest.work_and_halt(1000)
    level_is(stack, guest, "count")
    guest.close()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    bin_dir, plugin = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    able = [build for build in builds() if takes_plugins(build)]
    if not able:
        print("no QEMU takes plugins: install qemu-system-x86")
        sys.exit(77)
    for build in able:
        try:
            with Stack(bin_dir) as stack:
                run(stack, build, plugin)
        except (Failure, RuntimeError) as failure:
            sys.exit(f"FAILED with {build.label}: {failure}")
        print(f"{build.label}: all figures as the guest's work")


if __name__ == "__main__":
    main()
