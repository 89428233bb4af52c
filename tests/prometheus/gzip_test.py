#!/usr/bin/env python3
"""Whether a real Prometheus scrapes qemond by gzip, and has the same figures as a client that does not: through a relay that notes what is said.

    gzip_test.py BIN_DIR

Exits with 77 where there is no Prometheus. $QEMON_PROMETHEUS is the program, `prometheus` without it.
"""
import collections
import os
import pathlib
import re
import shutil
import socket
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from fake_qemu import FakeQemu  # noqa: E402
from stack import PATIENCE, Failure, Stack, http_get  # noqa: E402

FakeVm = collections.namedtuple("FakeVm", "name address")
VMS = 10


class Relay:
    """Between clients and `target`. `heads`: how each exchange began, as (what the client said first, what it was answered first)."""

    def __init__(self, target):
        self.target = target.rsplit(":", 1)
        self.heads = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.listen = "127.0.0.1:%d" % self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            client, _ = self._server.accept()
            server = socket.create_connection(self.target)
            said = {"request": b"", "response": b""}
            for source, sink, what in ((client, server, "request"), (server, client, "response")):
                threading.Thread(target=self._copy, args=(source, sink, said, what), daemon=True).start()

    def _copy(self, source, sink, said, what):
        while piece := source.recv(65536):
            if len(said[what]) < 4096:
                said[what] += piece
            if what == "response" and b"\r\n\r\n" in said[what] and b"\r\n\r\n" in said["request"]:
                self.heads.append(tuple(said[key].partition(b"\r\n\r\n")[0].decode() for key in ("request", "response")))
                said.update(request=b"", response=b"")
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


def check(condition, problem):
    if not condition:
        raise Failure(problem)


def run(stack, bin_dir):
    with FakeQemu(bin_dir, stack.folder / "vms", "kvm") as fake:
        for number in range(VMS):
            fake.tell(f"add vm{number}")
        host = stack.start_qemond([FakeVm(f"vm{number}", f"unix:{stack.folder}/vms/vm{number}.qmp") for number in range(VMS)])
        relay = Relay(host.listen)
        prometheus = stack.start_prometheus([relay])
        stack.wait_for(lambda: len(prometheus.query("qemu_up == 1")) == VMS, PATIENCE, "all VMs in Prometheus")
        asked, answered = relay.heads[0]
        check(re.search(r"(?im)^Accept-Encoding: gzip\r?$", asked), f"Prometheus asked for no gzip: {asked}")
        check(re.search(r"(?im)^Content-Encoding: gzip\r?$", answered), f"qemond answered without gzip: {answered}")
        length = int(re.search(r"(?im)^Content-Length: (\d+)\r?$", answered)[1])

        text = http_get(f"http://{host.listen}/metrics")
        check(length < len(text) / 4, f"{length} bytes came instead of {len(text)}")
        for name in ("qemu_vm_info", "qemu_up", "qemond_build_info"):
            plain = len(re.findall(rf"(?m)^{name}\{{", text))
            scraped = len(prometheus.query(name))
            check(plain == scraped, f"{plain} of {name} by plain text, {scraped} in Prometheus")
        stack.wait_for(lambda: len(relay.heads) >= 3, PATIENCE, "three scrapes")
        print(f"{len(relay.heads)} scrapes by gzip, the first of {length} bytes instead of {len(text)}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    prometheus = os.environ.get("QEMON_PROMETHEUS", "prometheus")
    if not shutil.which(prometheus):
        print(f"no {prometheus}: install prometheus or set QEMON_PROMETHEUS")
        sys.exit(77)
    bin_dir = pathlib.Path(sys.argv[1]).resolve()
    try:
        with Stack(bin_dir, prometheus=prometheus) as stack:
            run(stack, bin_dir)
    except (Failure, RuntimeError) as failure:
        sys.exit(f"FAILED: {failure}")


if __name__ == "__main__":
    main()
