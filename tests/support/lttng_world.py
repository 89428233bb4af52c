"""LTTng for tests: a session daemon and a relay daemon that nothing outside the test sees or can disturb.

Both have ports and sockets with fixed names, so a test that calls enter() first is started again in namespaces of its own, with a network that is
loopback alone, and with an empty /run/lttng and /dev/shm.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import xml.etree.ElementTree as tree

from stack import PATIENCE, Failure, Process

_INSIDE = "QEMON_TEST_INSIDE_NAMESPACES"
_PROGRAMS = ("lttng", "lttng-sessiond", "lttng-relayd", "babeltrace2", "unshare")


def why_not():
    """What is missing for tests with LTTng; empty if nothing is."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"no {', '.join(missing)}: install lttng-tools, babeltrace2 and util-linux"
    if subprocess.run([*_unshare(), "true"], capture_output=True, check=False).returncode != 0:
        return "no namespaces may be made here: run the test as root, or allow user namespaces"
    return ""


def _unshare():
    return ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]


def enter():
    """Returns within the namespaces."""
    if _INSIDE not in os.environ:
        os.execvpe("unshare", [*_unshare(), sys.executable, *sys.argv], {**os.environ, _INSIDE: "1"})
    # Sockets; and what a session daemon wakes the processes by that wait for it.
    for folder in ("/run/lttng", "/dev/shm"):
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        up, get_flags, set_flags = 1, 0x8913, 0x8914  # IFF_UP, SIOCGIFFLAGS, SIOCSIFFLAGS
        request = struct.pack("16sh14x", b"lo", 0)
        flags, = struct.unpack_from("16xh", fcntl.ioctl(any_socket, get_flags, request))
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", flags | up))


class LttngWorld:
    """`start_*` start the daemons; they end with the stack."""

    def __init__(self, stack):
        self.stack = stack
        self.traces = stack.folder / "relayd"
        os.environ["LTTNG_HOME"] = str(stack.folder)  # Where `lttng` keeps what it remembers.
        self.session_daemon = self.relay = None

    def start_session_daemon(self):
        self.session_daemon = self._start("lttng-sessiond", "--no-kernel", "--group", "root")
        self.stack.wait_for(lambda: self._lttng("list"), PATIENCE, "lttng-sessiond to answer")

    def start_relay(self):
        self.relay = self._start("lttng-relayd", "--group", "root", "--output", self.traces, "--control-port", "tcp://127.0.0.1:5342", "--data-port",
                                 "tcp://127.0.0.1:5343", "--live-port", "tcp://127.0.0.1:5344")
        self.stack.wait_for(lambda: len(self.relay.listening_ports()) == 3, PATIENCE, "lttng-relayd to listen")

    def stop_relay(self):
        self.stack.end(self.relay)

    def _start(self, *command):
        process = Process(command[0], command, self.stack.folder / f"{command[0]}.log")
        self.stack.processes.append(process)
        return process

    @staticmethod
    def _lttng(*arguments):
        done = subprocess.run(["lttng", "--no-sessiond", "--mi", "xml", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode != 0:
            raise Failure(f"lttng {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def sessions(self):
        """Their names."""
        return [session.text for session in self._elements(self._lttng("list"), "session/name")]

    def session(self):
        """The name of the only one."""
        names = self.sessions()
        if len(names) != 1:
            raise Failure(f"sessions {names} instead of one")
        return names[0]

    def enabled(self, session):
        """The names of the events that are on."""
        events = self._elements(self._lttng("list", session), "event")
        return sorted(event.find("{*}name").text for event in events if event.find("{*}enabled").text == "true")

    def discarded(self, session):
        """Records that did not fit the buffers, as lttng-sessiond has them."""
        return sum(int(count.text) for count in self._elements(self._lttng("list", session), "discarded_events"))

    @staticmethod
    def _elements(text, path):
        return tree.fromstring(text).findall(".//" + "/".join("{*}" + name for name in path.split("/")))

    def recorded(self, session):
        """{event: records} that babeltrace2 finds in what lttng-relayd has written of a session so far."""
        folder = next(self.traces.glob(f"*/{session}-*"))
        text = subprocess.run(["babeltrace2", folder], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
        counts = {}
        for name in re.findall(r"(?m) qemu:(\w+): ", text):
            counts[name] = counts.get(name, 0) + 1
        return counts

    def consumers(self):
        """The processes that take records out of the buffers."""
        pids = []
        for task in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = int((task / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.session_daemon.pid and (task / "comm").read_text().startswith("lttng-consumerd"):
                    pids.append(int(task.name))
        return pids

    def written(self):
        """What lttng-relayd has on its disk: {file: bytes}."""
        return {str(file.relative_to(self.traces)): file.stat().st_size for file in self.traces.rglob("*") if file.is_file()}


def helper_of(qemond):
    """The pid of a qemond's qemon-lttng; None if it has none."""
    for task in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            if (task / "comm").read_text().strip() == "qemon-lttng" and int(fields[1]) == qemond.process.pid and fields[0] != "Z":
                return int(task.name)
        except OSError:
            continue
    return None


def status_of(host, vm):
    return next(one for one in json.loads(host.qemon("--output", "json", "status"))["vms"] if one["name"] == vm)
