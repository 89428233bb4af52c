"""A VM for tests in Python whose guest does a known number of instructions and memory accesses (tests/guest/accesses.S), counted by libqemon-plugin.so."""
import socket

from plugin_figures import PluginFigures
from stack import PATIENCE, ROOT, Failure


class AccessesGuest:
    """`plugin`: None for a QEMU without it; `arguments`: more of the plugin's."""

    def __init__(self, stack, build, plugin, arguments=""):
        self.figures_path = stack.folder / "web1.tcg"
        serial = stack.folder / "serial"
        listener = socket.socket(socket.AF_UNIX)
        listener.settimeout(PATIENCE)
        listener.bind(str(serial))
        listener.listen(1)
        options = [*build.options, "-m", "16", "-smp", "2", "-chardev", f"socket,id=serial,path={serial}", "-serial", "chardev:serial"]
        if plugin:
            options += ["-plugin", f"{plugin},path={self.figures_path}{arguments}"]
        self.vm = stack.start_vm("web1", options, build.binary, ROOT / "tests/guest/accesses.S")
        self._serial = listener.accept()[0]
        listener.close()
        self._serial.settimeout(PATIENCE)
        self._stack = stack
        self._expect(b">")

    def _expect(self, answer):
        got = self._serial.recv(1)
        if got != answer:
            raise Failure(f"the guest said {got!r} instead of {answer!r}")

    def work(self, rounds):
        """Returns when the guest has done so many."""
        self._serial.sendall(rounds.to_bytes(2, "little"))
        self._expect(b".")

    def work_and_halt(self, rounds):
        """Returns when the guest has halted again as well, so that the plugin has published all of it."""
        # A byte at a time: after each of them the guest halts once.
        for byte in rounds.to_bytes(2, "little"):
            idles = self.figures().vcpus[0].idles
            self._serial.sendall(bytes([byte]))
            self._stack.wait_for(lambda idles=idles: self.figures().vcpus[0].idles > idles, PATIENCE, "the guest to halt")
        self._expect(b".")

    def figures(self):
        return PluginFigures(self.figures_path)

    def close(self):
        self._serial.close()
