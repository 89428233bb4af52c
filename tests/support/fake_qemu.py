"""VMs that there are not, for tests in Python: their monitors answer from a recording of tests/data."""
import json
import pathlib
import socket
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


class FakeQemu:
    """One fake-qemu. The monitor of the VM NAME is FOLDER/NAME.qmp; tests/fake_qemu/control.hpp lists what it can be told."""

    def __init__(self, bin_dir, folder, recording):
        folder.mkdir(exist_ok=True)
        self._here, there = socket.socketpair()
        self._here.settimeout(60)
        with there:
            self._child = subprocess.Popen([bin_dir / "fake-qemu", folder, ROOT / "tests" / "data" / f"qmp-7.2-{recording}.jsonl.gz"],
                                           stdin=there, stdout=there)
        self._answers = self._here.makefile("r", encoding="utf-8")

    def tell(self, line):
        self._here.sendall(f"{line}\n".encode())
        answer = json.loads(self._answers.readline())
        if "error" in answer:
            raise RuntimeError(f"{line}: {answer['error']}")
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._answers.close()
        self._here.close()
        self._child.wait(60)
