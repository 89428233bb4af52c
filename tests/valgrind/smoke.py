#!/usr/bin/env python3
"""qemond and qemon at their main job under valgrind's memcheck: no use of memory that is not theirs or not set, nothing leaked.

    smoke.py BIN_DIR     BIN_DIR has qemond and qemon, best of the preset dev; exits with 77 if valgrind or QEMU is missing
"""
import gzip
import pathlib
import shutil
import stat
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests/support"))

from known_work import Worker  # noqa: E402
from qemu_builds import builds  # noqa: E402
from stack import Failure, Stack  # noqa: E402

SKIPPED = 77
DEADLINE = 120
PACKS = ["virtio-blk", "block", "irq"]
REPLAYED_BYTES = 1 << 20  # Of a trace of 13 MB, which would take long; it ends inside a record.


def under_valgrind(folder, bin_dir):
    """A folder with programs of the same names that run them under valgrind, and where it tells what it finds."""
    programs, reports = folder / "bin", folder / "reports"
    programs.mkdir()
    reports.mkdir()
    for name in ("qemond", "qemon"):
        program = programs / name
        program.write_text(f"""#!/bin/sh
exec valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite \\
  --log-file='{reports}/{name}.%p' '{bin_dir / name}' "$@"
""", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return programs, reports


def watch(stack):
    """Attach, packs on, work, a look at everything, reload, end."""
    workers = [Worker(stack, build.label, build) for build in builds()]
    catalogs = [option for worker in workers for option in worker.build.catalog_options(worker.name)]
    host = stack.start_qemond([worker.vm for worker in workers], PACKS, "qemond", options=catalogs)

    def reads(worker):
        return host.metrics().partition(f'qemu_virtio_blk_requests_total{{vm="{worker.name}",operation="read"}} ')[2].partition("\n")[0]

    for worker in workers:
        before = int(reads(worker))
        worker.work(read=300, write=100)
        stack.wait_for(lambda worker=worker, before=before: int(reads(worker)) == before + 300, DEADLINE, f"the work of {worker.name} to be counted")
    for command in (["status"], ["vm", "list"], ["event", "list", "virtio_*", "--enabled"], ["pack", "list"], ["pack", "show", "irq"],
                    ["event", "on", "thread_pool_*", "--for", "10m"], ["lease", "list"], ["mark", "under valgrind"], ["reload"],
                    ["vm", "detach", workers[0].name], ["restore"]):
        host.qemon(*command)
    workers[-1].kill()
    stack.wait_for(lambda: f'qemu_up{{vm="{workers[-1].name}"}} 0' in host.metrics(), DEADLINE, "qemond to see that a VM is gone")
    status = stack.end(host.process)
    if status != 0:
        raise Failure(f"qemond ended with {status}; {host.process.last_words()}")
    return host


def replay(stack, host):
    trace = stack.folder / "part.bin"
    with gzip.open(ROOT / "tests/data/simple-7.2.bin.gz") as whole:
        trace.write_bytes(whole.read(REPLAYED_BYTES))
    text = host.qemon("replay", str(trace), "--trace-events", str(ROOT / "tests/data/simple-7.2.events.txt"), "--pack", "virtio-blk", "--pack", "block")
    if "qemu_virtio_blk_request_duration_seconds" not in text:
        raise Failure(f"qemon replay said: {text}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not shutil.which("valgrind"):
        print("no valgrind: install it with tests/tools/install-packages.sh test")
        sys.exit(SKIPPED)
    if not builds():
        print("no qemu-system-x86_64: install qemu-system-x86 or set QEMON_TEST_QEMUS")
        sys.exit(SKIPPED)
    bin_dir = pathlib.Path(sys.argv[1]).resolve()
    try:
        with Stack(bin_dir) as stack:
            stack.bin_dir, reports = under_valgrind(stack.folder, bin_dir)
            try:
                replay(stack, watch(stack))
            finally:
                found = "\n".join(report.read_text("utf-8", "replace") for report in sorted(reports.iterdir()) if report.stat().st_size)
                if found:
                    print(found)
            if found:
                raise Failure("valgrind found what is printed above")
            print(f"nothing found in {len(list(reports.iterdir()))} runs of qemond and qemon")
    except (Failure, RuntimeError) as failure:
        sys.exit(f"FAILED: {failure}")


if __name__ == "__main__":
    main()
