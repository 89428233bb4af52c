#!/usr/bin/env python3
"""Whether real shells complete the commands of qemon and qemond: with a daemon, without one, and with one that does not answer.
usage: completions_test.py BIN_DIR [bash|zsh|fish]... (all without a name)"""
import collections
import contextlib
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import stack as stacks  # noqa: E402
from fake_qemu import FakeQemu  # noqa: E402

BIN = pathlib.Path(sys.argv[1]).resolve()
SHELLS = sys.argv[2:] or ["bash", "zsh", "fish"]
DEADLINE = 60
FakeVm = collections.namedtuple("FakeVm", "name address")


class Terminal:
    """A shell in a terminal of its own."""

    def __init__(self, command, environment):
        self.text, self.mark = "", 0
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)

    def type(self, text):
        os.write(self.terminal, text.encode())

    def read_until(self, end):
        """What was shown since the last time, up to `end`."""
        deadline = time.monotonic() + DEADLINE
        while end not in self.text[self.mark:]:
            ready, _, _ = select.select([self.terminal], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                raise stacks.Failure(f"{end!r} did not come after {DEADLINE} s, but {self.text[self.mark:]!r}")
            try:
                self.text += os.read(self.terminal, 65536).decode(errors="replace")
            except OSError:
                raise stacks.Failure(f"the shell ended: {self.text[self.mark:]!r}") from None
        place = self.text.index(end, self.mark)
        shown, self.mark = self.text[self.mark:place], place + len(end)
        return shown

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


class LineShell:
    """bash or zsh: what is on the screen when a person presses Tab."""

    def __init__(self, folder, command, setup, environment):
        self.terminal = Terminal(command, environment)
        script = folder / "setup"
        script.write_text(setup, encoding="utf-8")
        self.terminal.type(f" . {script}; echo ''READY''\r")
        self.terminal.read_until("READY\r\n")

    def complete(self, line):
        # Ctrl-A and a colon make a comment of the line, and the words in quotes tell its echo from its output.
        self.terminal.type(line + "\t")
        self.terminal.type("\x01: \r echo E''ND\r")
        shown = self.terminal.read_until("\nEND\r\n")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|[\x07\x08]", "", shown)

    def close(self):
        self.terminal.close()


class Fish:
    """fish tells what it would offer."""

    def __init__(self, folder, environment):
        self.environment, self.folder = environment, folder

    def complete(self, line):
        done = subprocess.run(["fish", "--no-config", "-c", f"source {ROOT}/completions/qemon.fish; complete -C $argv[1]", line],
                              env=self.environment, capture_output=True, text=True, timeout=DEADLINE, check=False, cwd=self.folder)
        return done.stdout + done.stderr

    def close(self):
        pass


def start_shell(name, folder, environment):
    environment = {**environment, "TERM": "dumb", "PS1": "$ ", "HISTFILE": "", "LC_ALL": "C.UTF-8"}
    if name == "fish":
        return Fish(folder, environment)
    if name == "bash":
        setup = (f"cd {folder}; bind 'set show-all-if-ambiguous on'; bind 'set completion-query-items 0'; bind 'set page-completions off'\n"
                 f"bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; . {ROOT}/completions/qemon.bash\n")
        return LineShell(folder, ["bash", "--norc", "--noprofile", "-i"], setup, environment)
    functions = folder / "functions"
    functions.mkdir(exist_ok=True)
    shutil.copy(ROOT / "completions" / "qemon.zsh", functions / "_qemon")
    setup = (f"cd {folder}; fpath=({functions} $fpath); autoload -Uz compinit; compinit -u -d {folder}/dump; bindkey -e\n"
             "unsetopt beep list_beep auto_menu; setopt interactive_comments; LISTMAX=1000; PROMPT_EOL_MARK=; PS1='$ '\n")
    return LineShell(folder, ["zsh", "-f", "-i"], setup, environment)


class Completions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cleanups = contextlib.ExitStack()
        stack = cls.cleanups.enter_context(stacks.Stack(BIN))
        cls.folder = stack.folder
        fake = cls.cleanups.enter_context(FakeQemu(BIN, stack.folder / "vms", "tcg"))
        fake.tell("add beta:vm")
        # Of a fake no event can be switched on.
        vms = [stack.start_vm("alpha-vm"), FakeVm("beta:vm", f"unix:{stack.folder}/vms/beta:vm.qmp")]
        cls.qemond = stack.start_qemond(vms)
        cls.qemond.qemon("event", "on", "apic_deliver_irq", "--vm", "alpha-vm")
        (cls.folder / "trace-of-mine.log").write_text("", encoding="utf-8")
        environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(cls.folder)}
        cls.shells, cls.alone = {}, {}
        for name in SHELLS:
            if not shutil.which(name):
                raise RuntimeError(f"{name} is missing: see tests/tools/install-packages.sh")
            cls.shells[name] = start_shell(name, cls.folder, {**environment, "QEMON_SOCKET": str(cls.qemond.control)})
            cls.cleanups.callback(cls.shells[name].close)
            cls.alone[name] = start_shell(name, cls.folder, {**environment, "QEMON_SOCKET": str(cls.folder / "nothing")})
            cls.cleanups.callback(cls.alone[name].close)

    @classmethod
    def tearDownClass(cls):
        cls.cleanups.close()

    def shown(self, shell, line, expected):
        """What is offered. A daemon that does not answer at once is left alone, for which a busy machine is enough: then the person presses
        the key again."""
        deadline = time.monotonic() + DEADLINE
        while True:
            shown = shell.complete(line)
            if all(re.search(each, shown) for each in expected) or time.monotonic() > deadline:
                return shown

    def offered(self, line, *expected, missing=(), shells=None):
        for name, shell in (self.shells if shells is None else shells).items():
            with self.subTest(shell=name, line=line):
                shown = self.shown(shell, line, [re.escape(word) for word in expected])
                for word in expected:
                    self.assertIn(word, shown)
                for word in missing:
                    self.assertNotIn(word, shown)

    def test_commands(self):
        self.offered("qemon eve", "event")
        self.offered("qemon lease e", "extend", "end")

    def test_options(self):
        self.offered("qemon event on --", "--vm", "--for", "--sample", "--output", missing=["--enabled"])
        self.offered("qemond --run", "--runtime-dir")

    def test_values_that_the_parser_knows(self):
        self.offered("qemon status --output j", "json")
        self.offered("qemon status --output=j", "json")
        self.offered("qemond --log-level ", "error", "warn", "info", "debug")

    def test_vms(self):
        self.offered("qemon event on --vm ", "alpha-vm", "beta:vm")
        self.offered("qemon event on --vm al", "alpha-vm")
        self.offered("qemon event on --vm=al", "--vm=alpha-vm")
        self.offered("qemon vm release be", "beta:vm", missing=["beta:beta"])
        self.offered("qemon vm release beta:", "beta:vm", missing=["beta:beta"])

    def test_events(self):
        self.offered("qemon event on virtio_blk_handle_", "virtio_blk_handle_read", "virtio_blk_handle_write")
        self.offered("qemon event on virtio_blk_req_c", "virtio_blk_req_complete")
        self.offered("qemon event off ap", "apic_deliver_irq", missing=["apic_mem"])

    def test_events_behind_a_quote(self):
        self.offered("qemon event on 'virtio_blk_req_c", "virtio_blk_req_complete")

    def test_packs(self):
        self.offered("qemon pack on virtio", "virtio-blk")
        self.offered("qemond --pack nv", "nvme")
        self.offered("qemon replay --pack nv", "nvme")

    def test_leases(self):
        lease = self.qemond.qemon("lease", "list").splitlines()[-1].split()[0]
        for name, shell in self.shells.items():
            with self.subTest(shell=name):
                offer = rf"(?m)^{lease}\b|lease end {lease}\b"
                self.assertRegex(self.shown(shell, "qemon lease end ", [offer]), offer)

    def test_files(self):
        self.offered("qemon replay trace-of", "trace-of-mine.log")
        self.offered("qemon restore --runtime-dir v", "vms/")

    def test_without_a_daemon_nothing_is_said(self):
        for line in ("qemon event on virtio_", "qemon event on --vm ", "qemon pack on ", "qemon lease end "):
            for name, shell in self.alone.items():
                with self.subTest(shell=name, line=line):
                    shown = shell.complete(line)
                    if name == "fish":
                        self.assertEqual(shown, "")
                    else:
                        for word in ("annot", "rror", "qemond", "virtio_blk", "nothing"):
                            self.assertNotIn(word, shown)
        self.offered("qemon eve", "event", shells=self.alone)

    def test_a_daemon_that_hangs_is_not_waited_for(self):
        pid = self.qemond.process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            for words in (["event", "on", "virtio_"], ["event", "on", "--vm", ""], ["pack", "off", ""], ["lease", "end", ""]):
                before = time.monotonic()
                done = subprocess.run([BIN / "qemon", "complete", "--socket", self.qemond.control, *words], capture_output=True, text=True,
                                      timeout=DEADLINE, check=False)
                took = time.monotonic() - before
                with self.subTest(words=words):
                    self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
                    # Half a second, and what a busy machine and sanitizers add.
                    self.assertLess(took, 5)
        finally:
            os.kill(pid, signal.SIGCONT)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
