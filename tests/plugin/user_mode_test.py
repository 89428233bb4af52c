#!/usr/bin/env python3
"""libqemon-plugin.so in user-mode QEMU: a program of known work (tests/guest/accesses_program.S), and QEMU's own plugin `mem` as a witness.

    user_mode_test.py PLUGIN

Exits with 77 where there is no qemu-x86_64 that takes plugins. $QEMON_MEM_PLUGIN is QEMU's plugin; without it that part is left out.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from plugin_figures import PluginFigures, qemu_user  # noqa: E402
from stack import PATIENCE, ROOT, Failure  # noqa: E402

ROUNDS = 100_000
SIZES = (1, 2, 4, 8, 16)


def check(what, found, expected):
    if found != expected:
        raise Failure(f"{what}: {found} instead of {expected}")


def run(command, status=0):
    """Its standard error."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    check(f"exit status of {command}", done.returncode, status)
    return done.stderr


def build(folder):
    subprocess.run(["as", "--64", "--defsym", f"ROUNDS={ROUNDS}", "-o", folder / "program.o", ROOT / "tests/guest/accesses_program.S"], check=True)
    subprocess.run(["ld", "-o", folder / "program", folder / "program.o"], check=True)
    return folder / "program"


def check_totals(figures, level):
    check("level", figures.level, level)
    check("ended", figures.ended, True)
    check("vCPUs", list(figures.vcpus), [0])
    vcpu = figures.vcpus[0]
    check("instructions", vcpu.instructions, 3 + 12 * ROUNDS + 3)
    check("blocks", vcpu.blocks, 1 + ROUNDS + 1)
    check("translations", (figures.translations, figures.translated_instructions), (3, 18))


def check_accesses(figures):
    vcpu = figures.vcpus[0]
    for operation in ("load", "store"):
        counts = {size: vcpu.accesses["ram", operation, size] for size in (1, 2, 4, 8, 16, 32)}
        check(f"{operation}s of 1, 2 and 4 bytes", [counts[size] for size in (1, 2, 4)], [ROUNDS] * 3)
        # Accesses of 16 bytes are two of 8 for older QEMUs.
        check(f"bytes by {operation}s", sum(size * count for size, count in counts.items()), ROUNDS * sum(SIZES))
    check("accesses of devices", sum(count for key, count in vcpu.accesses.items() if key[0] == "device"), 0)


def check_blocks(figures):
    loop = max(figures.blocks, key=lambda block: block.executions)
    check("the loop", (loop.executions, loop.instructions), (ROUNDS, 12))
    # 8 moves, dec, jnz and 2 of vectors; before it lea, mov, jmp; behind it xor, mov, syscall.
    check("classes", figures.classes(), {"move": 8 * ROUNDS + 3, "integer": ROUNDS + 1, "branch": ROUNDS + 1, "vector": 2 * ROUNDS, "system": 1})


def check_against_mem(qemu, program, figures):
    mem = os.environ.get("QEMON_MEM_PLUGIN", "")
    if not mem:
        print("no $QEMON_MEM_PLUGIN: not compared with QEMU's own plugin")
        return

    def counted(track):
        said = run([qemu, "-d", "plugin", "-plugin", f"{mem},callback=true,track={track}", program])
        return int(re.search(r"mem accesses: (\d+)", said)[1])
    accesses = figures.vcpus[0].accesses
    loads = sum(count for key, count in accesses.items() if key[1] == "load")
    check("loads, as QEMU's plugin mem has them", loads, counted("r"))
    check("accesses, as QEMU's plugin mem has them", sum(accesses.values()), counted("rw"))


def check_refusals(qemu, plugin, program, folder):
    (folder / "note").write_text("mine\n", encoding="utf-8")
    for arguments, why in {
            "level=count": "no path",
            "path=relative.tcg": "is not absolute",
            f"path={folder}/x,level=most": "unknown level 'most': use count, memory, blocks or all",
            f"path={folder}/x,blocks=7": "is not a number from 1024 to",
            f"path={folder}/x,speed=9": "unknown argument 'speed=9'",
            f"path={folder}/nowhere/x": "No such file or directory",
            f"path={folder}/note": "is not a file of this plugin"}.items():
        said = run([qemu, "-plugin", f"{plugin},{arguments}", program], status=1)
        line = next((line for line in said.splitlines() if line.startswith("qemon-plugin: ")), said)
        if why not in line:
            raise Failure(f"{arguments}: {line!r} does not say {why!r}")
    check("a file of somebody else's", (folder / "note").read_text(encoding="utf-8"), "mine\n")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    plugin = pathlib.Path(sys.argv[1]).resolve()
    qemu = qemu_user()
    if not qemu or not shutil.which("as") or os.uname().machine != "x86_64":
        print("no qemu-x86_64 that takes plugins, or no assembler: install qemu-user and binutils")
        sys.exit(77)
    try:
        with tempfile.TemporaryDirectory(prefix="qemon-plugin.") as name:
            folder = pathlib.Path(name)
            program = build(folder)
            for level in ("count", "memory", "blocks", "all"):
                path = folder / "figures.tcg"  # The same each time: what an ended QEMU left is replaced.
                run([qemu, "-plugin", f"{plugin},path={path},level={level}", program])
                figures = PluginFigures(path)
                check_totals(figures, level)
                if level in ("memory", "all"):
                    check_accesses(figures)
                if level in ("blocks", "all"):
                    check_blocks(figures)
            check_against_mem(qemu, program, figures)
            check_refusals(qemu, plugin, program, folder)
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")


if __name__ == "__main__":
    main()
