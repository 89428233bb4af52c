"""VMs for tests in Python whose guests do exactly the work that they are told (tests/guest/workload.S)."""
import collections
import socket

from stack import PATIENCE, ROOT, Failure

LETTERS = {"read": b"R", "write": b"W", "read_eight_sectors": b"M"}
SECTOR_BYTES = 512


class Worker:
    """A VM with that guest. Its work since the first start is added up in `done`: {"read_requests": ..., "write_bytes": ...}."""

    def __init__(self, stack, name, build, options=()):
        self.name, self.build, self.done = name, build, collections.Counter()
        serial = stack.folder / f"{name}.serial"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(PATIENCE)
        self._listener.bind(str(serial))
        self._listener.listen(1)
        self._serial, self._asked = None, []
        self.vm = stack.start_vm(name, [*build.options, "-m", "16", "-chardev", f"socket,id=serial,path={serial}",
                                        "-serial", "chardev:serial", *options], build.binary, ROOT / "tests/guest/workload.S")
        self._connect()

    def _connect(self):
        self._serial = self._listener.accept()[0]
        self._serial.settimeout(3 * PATIENCE)
        self._expect(b">")

    def _expect(self, answer):
        got = self._serial.recv(1)
        if got != answer:
            raise Failure(f"the guest of {self.name} said {got!r} instead of {answer!r}")

    def begin(self, **counts):
        """Has the guest do so many requests of each kind of LETTERS, one after another; finish() waits for them."""
        for kind, count in counts.items():
            if count:
                self._serial.sendall(LETTERS[kind] + count.to_bytes(2, "little"))
                self._asked.append((kind, count))

    def finish(self):
        for kind, count in self._asked:
            self._expect(b".")
            operation = kind.partition("_")[0]
            self.done[f"{operation}_requests"] += count
            self.done[f"{operation}_bytes"] += count * SECTOR_BYTES * (8 if kind == "read_eight_sectors" else 1)
        self._asked = []

    def work(self, **counts):
        self.begin(**counts)
        self.finish()

    def read_for_ever(self):
        """Until stop_reading() or kill(). How much, only QEMU knows."""
        self._serial.sendall(b"L")

    def stop_reading(self):
        self._serial.sendall(b"P")
        self._expect(b".")

    def reset(self):
        """Returns when the guest has booted again."""
        self.vm.qmp("system_reset")
        self._expect(b">")

    def kill(self):
        self.vm.kill()
        self._serial.close()
        self._asked = []

    def start(self):
        """After kill(). Returns when the guest has booted."""
        self.vm.start()
        self._connect()

    def close(self):
        self._serial.close()
        self._listener.close()
