#!/usr/bin/env python3
"""qemon heatmap of a program of known work (tests/guest/accesses_program.S) in user-mode QEMU: from its log, from its plugin's file and from a
trace, against a few lines of Python that count the log themselves.

    heatmap_test.py QEMON PLUGIN

Exits with 77 where there is no qemu-x86_64 that takes plugins.
"""
import collections
import json
import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from plugin_figures import PluginFigures, qemu_user  # noqa: E402
from stack import PATIENCE, ROOT, Failure  # noqa: E402

ROUNDS = 5000
PAGE = 4096


def check(what, found, expected):
    if found != expected:
        raise Failure(f"{what}: {found} instead of {expected}")


def run(*command, **options):
    """Its standard output."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, **options)
    check(f"exit status of {command} ({done.stderr.strip()})", done.returncode, 0)
    return done.stdout


def build(folder):
    run("as", "--64", "--defsym", f"ROUNDS={ROUNDS}", "-o", folder / "program.o", ROOT / "tests/guest/accesses_program.S")
    run("ld", "-o", folder / "program", folder / "program.o")
    return folder / "program"


def count(log, pattern):
    """{program counter: how often a line of the log has it}."""
    counts = collections.Counter()
    with open(log, encoding="ascii") as lines:
        for line in lines:
            if found := re.match(pattern, line):
                counts[int(found[1], 16)] += 1
    return counts


BLOCK, DUMP = r"Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/", r"RIP=([0-9a-f]+)"


def pages_of(counters):
    pages = collections.Counter()
    for address, times in counters.items():
        pages[address // PAGE * PAGE] += times
    return pages


def check_figures(shown, counters):
    """What qemon tells is what those counters say."""
    check("samples", shown["samples"], sum(counters.values()))
    check("lowest and highest", (shown["lowest"], shown["highest"]), (hex(min(counters)), hex(max(counters))))
    check("pages", {int(page["address"], 16): page["count"] for page in shown["pages"]}, dict(pages_of(counters)))
    check("program counters", {int(each["address"], 16): (each["count"], each["error"]) for each in shown["top"]},
          {address: (times, 0) for address, times in counters.items()})


def check_program(qemon, qemu, plugin, folder):
    """A log, and the plugin's file, of a program that enters one block, another ROUNDS times, and a last one."""
    program, log, figures = build(folder), folder / "exec.log", folder / "figures.tcg"
    run(qemu, "-d", "exec,nochain,cpu", "-D", log, "-plugin", f"{plugin},path={figures},level=blocks", program)
    symbols = {name: int(address, 16) for address, name in re.findall(r"(?m)^(\S+) [tT] (\S+)$", run("nm", program))}

    lines = count(log, BLOCK)
    check("the program's rounds in the log", (lines[symbols["round"]], sum(lines.values())), (ROUNDS, ROUNDS + 2))
    check("its dumps", count(log, DUMP), lines)
    shown = json.loads(run(qemon, "heatmap", log, "--top", "100", "--elf", program, "--output", "json"))
    check_figures(shown, lines)
    check("of what", shown["samples_of"], "lines of -d exec, each with a register dump")
    check("symbol of the busiest", shown["top"][0]["symbol"], "round")
    check("text", bool(re.search(rf"hottest   0x[0-9a-f]+ \(round\), {ROUNDS} times, 100.0 %\n", run(qemon, "heatmap", log, "--elf", program))), True)

    blocks = collections.Counter()
    for block in PluginFigures(figures).blocks:
        blocks[block.address] += block.executions
    check("the plugin's blocks", blocks, lines)
    (folder / "link").symlink_to(figures)
    for path in (figures, folder / "link"):
        shown = json.loads(run(qemon, "heatmap", path, "--top", "100", "--output", "json"))
        check_figures(shown, blocks)
        check("kind", shown["kind"], "tcg-plugin")

    run(qemu, "-d", "cpu,nochain", "-D", log, program)
    shown = json.loads(run(qemon, "heatmap", log, "--top", "100", "--output", "json"))
    check_figures(shown, lines)
    check("of what", shown["samples_of"], "register dumps of -d cpu")


def check_larger_program(qemon, qemu, folder):
    """A program of the system, with libraries: many pages, far apart. Its log comes plain, compressed and through a pipe."""
    log = folder / "true.log"
    run(qemu, "-d", "exec,nochain", "-D", log, shutil.which("true"))
    lines = count(log, BLOCK)
    shown = json.loads(run(qemon, "heatmap", log, "--top", "65536", "--output", "json"))
    check_figures(shown, lines)
    run("gzip", "-k", log)
    with open(log, encoding="ascii") as piped:
        for others in (run(qemon, "heatmap", f"{log}.gz", "--top", "65536", "-o", "json"),
                       run(qemon, "heatmap", "-", "--top", "65536", "-o", "json", stdin=piped)):
            check_figures(json.loads(others), lines)
    text = run(qemon, "heatmap", log, "--svg", folder / "map.svg", "--png", folder / "map.png")
    check("region", f"active    {len(pages_of(lines))} pages from {min(lines):#x} to {max(lines):#x}, of 4 KiB each\n" in text, True)
    # Every page with samples is a cell of the map and a title of the picture, since there are few enough.
    check("cells with samples", sum(len(re.findall(r"[^.]", row)) for row in re.findall(r"(?m)^0x[0-9a-f]+ +(\S+)$", text)), len(pages_of(lines)))
    check("titles", (folder / "map.svg").read_text(encoding="utf-8").count("<title>"), len(pages_of(lines)))
    check("PNG", (folder / "map.png").read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
    return log


def refused(*command):
    """What it says when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    check(f"exit status and output of {command}", (done.returncode, done.stdout), (1, ""))
    return done.stderr.removeprefix("qemon: ").rstrip("\n")


def check_symbols(qemon, folder):
    """Files that name nothing are refused; where one is loaded may be told."""
    program, log = folder / "program", folder / "exec.log"
    run("strip", "-o", folder / "stripped", program)
    check("a stripped program", refused(qemon, "heatmap", log, "--elf", folder / "stripped"),
          f"--elf {folder}/stripped: has no symbols of code (it is stripped): give the file as it was before, or its debug file")
    check("an object file", refused(qemon, "heatmap", log, "--elf", folder / "program.o"),
          f"--elf {folder}/program.o: is an object file, whose addresses are not settled: give the linked program")
    check("a log", refused(qemon, "heatmap", log, "--elf", log),
          f"--elf {log}: is not an ELF file: give the guest's program or vmlinux, not a compressed image")
    shown = json.loads(run(qemon, "heatmap", log, "--elf", f"{program}@0x500000", "-o", "json"))
    check("symbol of a program that is said to be elsewhere", shown["top"][0]["symbol"], None)
    first = int(re.search(r"LOAD\s+0x0+\s+0x([0-9a-f]+)", run("readelf", "-lW", program))[1], 16)
    shown = json.loads(run(qemon, "heatmap", log, "--elf", f"{program}@{first:#x}", "-o", "json"))
    check("symbol of a program that is said to be where it is", shown["top"][0]["symbol"], "round")


def check_trace(qemon, qemu, folder, program):
    """Records of exec_tb, which are fewer: of blocks that are entered from QEMU's main loop."""
    log = folder / "trace.log"
    run(qemu, "-d", "trace:exec_tb,nochain", "-D", log, program)
    records = count(log, r"(?:\S+:)?exec_tb tb:0x[0-9a-f]+ pc=0x([0-9a-f]+)")
    if not records:
        print("this qemu-x86_64 has no trace events: records of exec_tb not compared")
        return
    check_figures(json.loads(run(qemon, "heatmap", log, "--top", "100", "--output", "json")), records)


def on_terminal(command, environment):
    """What the command writes to a terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], [str(word) for word in command], {**environment, "PATH": os.environ["PATH"]})
    text = b""
    try:
        while part := os.read(terminal, 65536):
            text += part
    except OSError:  # That is how a terminal ends.
        pass
    os.close(terminal)
    check(f"exit status on a terminal ({text.decode(errors='replace')})", os.waitpid(pid, 0)[1], 0)
    return text.decode()


def check_colours(qemon, log):
    command = [qemon, "heatmap", log]
    for environment, sequence in (({"COLORTERM": "truecolor", "TERM": "xterm"}, "\x1b[48;2;253;231;37m"),
                                  ({"TERM": "xterm-256color"}, "\x1b[48;5;220m")):
        check(f"colours with {environment}", sequence in on_terminal(command, environment), True)
    for environment in ({"NO_COLOR": "1", "COLORTERM": "truecolor"}, {"TERM": "dumb"}):
        check(f"no colours with {environment}", "\x1b[48" in on_terminal(command, environment), False)
    wide = on_terminal(command, {"NO_COLOR": "1", "COLUMNS": "200"})
    check("cells in a row of 200 columns", {len(row) for row in re.findall(r"(?m)^0x[0-9a-f]+ +([^\s]+)\r$", wide)}, {128})


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    qemon, plugin = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    qemu = qemu_user()
    if not qemu or not shutil.which("as") or os.uname().machine != "x86_64":
        print("no qemu-x86_64 that takes plugins, or no assembler: install qemu-user and binutils")
        sys.exit(77)
    try:
        with tempfile.TemporaryDirectory(prefix="qemon-heatmap.") as name:
            folder = pathlib.Path(name)
            check_program(qemon, qemu, plugin, folder)
            check_symbols(qemon, folder)
            log = check_larger_program(qemon, qemu, folder)
            check_trace(qemon, qemu, folder, folder / "program")
            check_colours(qemon, log)
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")


if __name__ == "__main__":
    main()
