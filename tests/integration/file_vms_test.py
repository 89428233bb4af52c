#!/usr/bin/env python3
"""VMs that are files: traces and logs of real QEMUs without a monitor, followed by qemond while they are written.

    file_vms_test.py BIN_DIR PLUGIN

The programs that run in user-mode QEMU do known work (tests/guest/accesses_program.S); the figures are compared with what the logs say
to a few lines of Python and to QEMU's own simpletrace.py. Exits with 77 where there is no user-mode QEMU.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from plugin_figures import qemu_user  # noqa: E402
from qemu_builds import build  # noqa: E402
from stack import PATIENCE, ROOT, Failure, Stack, wait_for  # noqa: E402

ROUNDS = 20_000
ENDLESS = 2_000_000_000
LOOP = "0x40100e"


def check(what, found, expected):
    if found != expected:
        raise Failure(f"{what}: {found!r} instead of {expected!r}")


def assemble(folder, rounds):
    target = folder / f"program-{rounds}"
    subprocess.run(["as", "--64", "--defsym", f"ROUNDS={rounds}", "-o", f"{target}.o", ROOT / "tests/guest/accesses_program.S"], check=True)
    subprocess.run(["ld", "-o", target, f"{target}.o"], check=True)
    return target


def sample(text, series):
    found = re.search(rf"(?m)^{re.escape(series)} (\S+)$", text)
    return float(found[1]) if found else None


class Test:
    def __init__(self, stack, qemu, plugin):
        self.stack, self.qemu, self.plugin = stack, qemu, plugin
        self.folder = stack.folder
        self.program = assemble(self.folder, ROUNDS)

    def path(self, name):
        return self.folder / name

    def run(self, *arguments, program=None):
        subprocess.run([self.qemu, *arguments, program or self.program], check=True, timeout=PATIENCE)

    def expect(self, host, series, value):
        def told():
            found = sample(host.metrics(), series)
            if found != value:
                raise Failure(f"it is {found}")
            return True
        wait_for(told, PATIENCE, f"{series} to be {value}")

    def vm(self, host, name):
        return next(vm for vm in json.loads(host.qemon("-o", "json", "status"))["vms"] if vm["name"] == name)

    def refused(self, host, *arguments):
        done = subprocess.run([self.stack.bin_dir / "qemon", "--socket", host.control, *arguments], capture_output=True, text=True, timeout=PATIENCE)
        check(f"exit status of {arguments}", done.returncode, 1)
        return done.stderr


def execution_logs(test):
    host = test.stack.start_qemond([], options=["--vm", f"blocks=file:{test.path('blocks.log')}", "--vm",
                                                f"dumps=file:{test.path('dumps.log')},backend=exec-log", "--pack", "exec-log"])
    check("the reason while there is no file", test.vm(host, "blocks")["reason"], f"{test.path('blocks.log')}: is not there yet")
    test.run("-d", "exec,nochain", "-D", test.path("blocks.log"))
    test.run("-d", "cpu,nochain", "-D", test.path("dumps.log"))
    executed = test.path("blocks.log").read_text(encoding="ascii").count("Trace 0: ")
    check("blocks in the log", executed, ROUNDS + 2)
    dumps = len(re.findall("(?m)^RIP=", test.path("dumps.log").read_text(encoding="ascii")))
    test.expect(host, 'qemu_exec_log_blocks_total{vm="blocks"}', executed)
    test.expect(host, f'qemu_exec_log_hot_pc{{vm="blocks",pc="{LOOP}"}}', ROUNDS)
    test.expect(host, 'qemu_exec_log_page_total{vm="blocks",page="0x401000"}', executed)
    test.expect(host, 'qemu_exec_log_register_dumps_total{vm="dumps"}', dumps)
    check("what it is", (test.vm(host, "blocks")["trace"]["backend"], test.vm(host, "blocks")["trace"]["how"]), ("exec-log", "as its beginning shows"))
    check("what cannot be known", test.vm(host, "blocks")["unknown"], ["when a block was entered: the log has no times"])
    map_of_vm = json.loads(host.qemon("-o", "json", "heatmap", "--vm", "blocks"))
    check("samples of the heat map", map_of_vm["samples"], executed)
    # Another program writes the same file anew: what it does comes on top. Not the same one, whose log may be the same to the last byte
    # and all there before qemond looks again.
    test.run("-d", "exec,nochain", "-D", test.path("blocks.log"), program=assemble(test.folder, ROUNDS // 2))
    test.expect(host, 'qemu_exec_log_blocks_total{vm="blocks"}', executed + ROUNDS // 2 + 2)
    # One that is killed and comes back counts what happens from then on.
    host.kill()
    host.start()
    wait_for(lambda: test.vm(host, "blocks")["state"] == "attached", PATIENCE, "the file to be followed again")
    with test.path("blocks.log").open("a", encoding="ascii") as log:
        log.write("Trace 0: 0x7f0000000100 [0000000000000000/0000000000401000/0000c0b3/ff000000] \n" * 3)
    test.expect(host, 'qemu_exec_log_blocks_total{vm="blocks"}', 3)


def trace_log(test):
    log = test.path("trace.log")
    host = test.stack.start_qemond([], options=["--vm", f"user=file:{log}"])
    counted = {}
    # The second log is not the first one to the last byte, which nobody could tell from one that was left alone.
    for events in (("translate_block", "target_mmap"), ("translate_block",)):
        test.run("-d", ",".join(f"trace:{event}" for event in events), "-D", log)
        text = log.read_text(encoding="ascii")
        for event in events:
            records = len(re.findall(rf"(?m)^{event} ", text))
            check(f"{event} in the log", records > 0, True)
            counted[event] = counted.get(event, 0) + records
        for event, count in counted.items():
            test.expect(host, f'qemu_trace_events_total{{vm="user",event="{event}"}}', count)
    def on():
        return sorted(line.split()[1] for line in host.qemon("event", "list", "--enabled").splitlines()[1:])
    wait_for(lambda: on() == ["target_mmap", "translate_block"], PATIENCE, "the events to be on that were seen")
    check("what cannot be known", test.vm(host, "user")["unknown"], ["which events are on, but for those that records have come of"])
    check("switching on", "user: has no monitor, so its events cannot be switched" in test.refused(host, "event", "on", "translate_block"), True)
    check("lending", "user has no monitor that could be lent" in test.refused(host, "vm", "release", "user", "--for", "1s"), True)
    check("measuring", "user: has no monitor" in test.refused(host, "event", "cost", "translate_block"), True)
    for address in (f"file:{log}", f"file:{log},from=beginning"):
        check(f"attaching {address} twice", "is watched already" in test.refused(host, "vm", "attach", "again", address), True)
    host.qemon("vm", "attach", "other", f"file:{test.path('not,there.log')}".replace(",", ",,"))
    test.path("not,there.log").write_text("translate_block tb:0x1, pc:0x2, tb_code:0x3\n", encoding="ascii")
    test.expect(host, 'qemu_trace_events_total{vm="other",event="translate_block"}', 1)
    test.path("not,there.log").unlink()
    check("what is said of a file that is gone", test.vm(host, "other")["degraded"][0],
          f"{test.path('not,there.log')} was removed: it is followed again once it is made anew")


def process_that_ends(test):
    log = test.path("endless.log")
    program = assemble(test.folder, ENDLESS)
    child = subprocess.Popen([test.qemu, "-d", "trace:translate_block", "-D", log, program])
    try:
        host = test.stack.start_qemond([], options=["--vm", f"endless=file:{log},pid={child.pid},from=beginning"])
        wait_for(lambda: "qemu_process_cpu_seconds_total" in host.metrics(), PATIENCE, "the process's figures")
        check("pid", test.vm(host, "endless")["pid"], child.pid)
        check("up", sample(host.metrics(), 'qemu_up{vm="endless"}'), 1.0)
    finally:
        child.kill()
        child.wait()
    wait_for(lambda: test.vm(host, "endless")["state"] == "unreachable", PATIENCE, "its end to be noticed")
    check("why it is not followed", test.vm(host, "endless")["reason"], f"process {child.pid} has ended, and what it wrote was read to the end")
    records = len(re.findall("(?m)^translate_block ", log.read_text(encoding="ascii")))
    check("records", test.vm(host, "endless")["trace"]["records"], records)
    check("what cannot be known of one that has ended", test.vm(host, "endless")["unknown"], [])


def plugin_figures(test):
    path = test.path("figures.tcg")
    host = test.stack.start_qemond([], options=["--vm", f"counted=file:{path}", "--collector", "tcg-plugin=200ms"])
    test.run("-plugin", f"{test.plugin},path={path},level=all")
    test.expect(host, 'qemu_tcg_instructions_total{vm="counted",vcpu="0"}', 3 + 12 * ROUNDS + 3)
    test.expect(host, 'qemu_tcg_memory_accesses_total{vm="counted",vcpu="0",operation="load",size="4",target="ram"}', ROUNDS)
    check("the plugin in qemon status", test.vm(host, "counted")["plugin"], str(path))
    check("what cannot be known", test.vm(host, "counted")["unknown"], ["when what the plugin counts happened: it has no times"])
    check("blocks", f"{LOOP}" in host.qemon("plugin", "show", "counted"), True)


def what_a_file_is(test):
    """Concluded again when what was there at first did not tell, and when the file is replaced by one of another kind."""
    log = test.path("late.log")
    log.write_text("qemu: warning: something\n", encoding="ascii")
    host = test.stack.start_qemond([], options=["--vm", f"late=file:{log},from=beginning", "--pack", "exec-log"])
    wait_for(lambda: test.vm(host, "late")["trace"]["backend"] == "log", PATIENCE, "the text to be taken for a log")
    block = "Trace 0: 0x7f0000000100 [0000000000000000/0000000000401000/0000c0b3/ff000000] \n"
    with log.open("a", encoding="ascii") as file:
        file.write(block * 50)
    test.expect(host, 'qemu_exec_log_blocks_total{vm="late"}', 50)
    fresh = test.path("fresh.log")
    fresh.write_text("translate_block tb:0x1, pc:0x2, tb_code:0x3\n", encoding="ascii")
    fresh.rename(log)
    test.expect(host, 'qemu_trace_events_total{vm="late",event="translate_block"}', 1)


def processes_that_ended(test):
    log, figures = test.path("done.log"), test.path("killed.tcg")
    done = subprocess.Popen([test.qemu, "-d", "exec,nochain", "-D", log, test.program])
    done.wait(PATIENCE)
    child = subprocess.Popen([test.qemu, "-plugin", f"{test.plugin},path={figures},level=blocks", assemble(test.folder, ENDLESS)])
    try:
        wait_for(figures.exists, PATIENCE, "the plugin's file")
        host = test.stack.start_qemond([], options=["--vm", f"done=file:{log},pid={done.pid},from=beginning", "--vm", f"killed=file:{figures},pid={child.pid}",
                                                    "--pack", "done=exec-log", "--vm", f"other=file:{log},pid={os.getpid()}"])
        wait_for(lambda: test.vm(host, "killed")["state"] == "attached", PATIENCE, "the plugin's file to be followed")
        check("of a process that writes something else", test.vm(host, "other")["reason"],
              f"process {os.getpid()} does not write {log}: give the pid of the QEMU that does, or none")
    finally:
        child.kill()
        child.wait()
    test.expect(host, 'qemu_exec_log_blocks_total{vm="done"}', ROUNDS + 2)
    wait_for(lambda: test.vm(host, "killed")["state"] == "unreachable", PATIENCE, "its end to be noticed")
    check("instructions of what was killed", sample(host.metrics(), 'qemu_tcg_instructions_total{vm="killed",vcpu="0"}') > 0, True)
    check("its blocks", LOOP in host.qemon("plugin", "show", "killed"), True)
    # After a crash there is nothing to put back, and nothing that stays in the journal.
    host.kill()
    done = subprocess.run([test.stack.bin_dir / "qemon", "--socket", host.control, "restore", "--runtime-dir", test.folder / host.name],
                          capture_output=True, text=True, timeout=PATIENCE)
    check("qemon restore", (done.returncode, done.stderr), (0, ""))
    check("what the journal has", [path.name for path in (test.folder / host.name / "journal").iterdir() if "done" in path.read_text(encoding="utf-8")], [])


def follow_command(test):
    """`qemon follow`: what was written is shown when the process that wrote it has ended, and while it runs."""
    log, figures, program = test.path("followed.log"), test.path("followed.tcg"), assemble(test.folder, ENDLESS)
    qemon = [test.stack.bin_dir / "qemon", "follow"]

    def started(*arguments):
        return subprocess.Popen([*qemon, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ended(following, status=0):
        out, err = following.communicate(timeout=PATIENCE)
        check(f"exit status, after {err!r}", following.returncode, status)
        return out, err
    following = started(log, "--pack", "exec-log", "-o", "prometheus")
    # It takes signals from then on.
    check("what is said while there is no file", following.stderr.readline(), f"qemon: {log}: is not there yet; waiting for it\n")
    test.run("-d", "exec,nochain", "-D", log)
    wait_for(lambda: log.read_text(encoding="ascii").count("\n") == ROUNDS + 2, PATIENCE, "the program to end")
    following.send_signal(signal.SIGINT)
    out, err = ended(following)
    check("blocks that were read", sample(out, 'qemu_exec_log_blocks_total{vm="follow"}'), ROUNDS + 2)
    child = subprocess.Popen([test.qemu, "-plugin", f"{test.plugin},path={figures}", program])
    try:
        following = started(figures, "--interval", "100ms", "--pid", str(child.pid))
        head = following.stdout.readline().split()
        check("head of the plugin's figures", head[1:3], ["INSTRUCTIONS", "PER"])
        lines = [following.stdout.readline().split() for _ in range(3)]
        check("that instructions grow", int(lines[0][2]) < int(lines[2][2]), True)
    finally:
        child.kill()
        child.wait()
    ended(following)
    out, err = ended(started(log, "--pid", str(child.pid), "--pack", "exec-log", "-o", "prometheus"))
    check("blocks, of a process that has ended", sample(out, 'qemu_exec_log_blocks_total{vm="follow"}'), ROUNDS + 2)
    check("what is said of it", err, f"qemon: there is no process {child.pid} any more: what is in the file is shown\n")
    log.unlink()
    out, err = ended(started(log, "--for", "200ms"), status=1)
    check("of a file that does not come", err, f"qemon: {log}: is not there yet; waiting for it\nqemon: {log}: is not there yet\n")


def simple_trace(test):
    """A QEMU whose monitor is somebody else's."""
    simple, tool = build("simple"), os.environ.get("QEMON_SIMPLETRACE", "")
    if simple.binary is None or not tool:
        print("no QEMU with the backend simple: its traces were not followed")
        return
    path = test.path("simple.trace")
    host = test.stack.start_qemond([], options=["--vm", f"quiet=file:{path}", "--pack", "virtio-blk", *simple.catalog_options()])
    vm = test.stack.start_vm("quiet", qemu=simple.binary, options=[*simple.options, "-trace", f"enable=virtio_blk_*,file={path}"])
    wait_for(lambda: vm.block_statistics()["rd_operations"] > 200, PATIENCE, "the guest to read")
    vm.qmp("quit")
    vm.process.child.wait(PATIENCE)
    told = subprocess.run([sys.executable, tool, simple.catalog, path], capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    sectors = [int(count, 16) for count in re.findall(r"(?m)^virtio_blk_handle_read .*nsectors=0x([0-9a-f]+)", told)]
    check("reads that simpletrace.py tells", len(sectors) > 200, True)
    test.expect(host, 'qemu_trace_events_total{vm="quiet",event="virtio_blk_handle_read"}', len(sectors))
    test.expect(host, 'qemu_virtio_blk_bytes_total{vm="quiet",operation="read"}', 512 * sum(sectors))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    bin_dir, plugin = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    qemu = qemu_user()
    if not qemu or not shutil.which("as") or os.uname().machine != "x86_64":
        print("no qemu-x86_64 that takes plugins, or no assembler: install qemu-user and binutils")
        sys.exit(77)
    try:
        for each in (execution_logs, trace_log, process_that_ends, plugin_figures, what_a_file_is, processes_that_ended, follow_command, simple_trace):
            with Stack(bin_dir) as stack:
                each(Test(stack, qemu, plugin))
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")


if __name__ == "__main__":
    main()
