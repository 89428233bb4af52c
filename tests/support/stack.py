"""Whole stacks for tests: real QEMUs with a guest that works, qemonds that watch them, Prometheus that scrapes the qemonds.

    with Stack(bin_dir) as stack:
        vm = stack.start_vm("web1")
        host = stack.start_qemond([vm], packs=["virtio-blk", "irq", "block"])
        prometheus = stack.start_prometheus([host], rules=["grafana/prometheus/rules/qemon.rules.yml"])
        prometheus.wait_for_series('qemu_virtio_blk_bytes_total{operation="read"}')
        stack.wait_for(lambda: prometheus.query("rate(qemu_virtio_blk_bytes_total[10s]) > 0"), 30, "bytes to move")

Every port is chosen by the system, every file is in one temporary folder, and every process ends with the `with` block, or with the
test if that is killed. A wait that takes too long raises Failure with what the processes said last.
"""
import collections
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUEST = ROOT / "tests" / "guest" / "demo.S"

PATIENCE = 120  # Seconds that things may take to start or to answer: only failures wait so long, and machines can be busy.

Sample = collections.namedtuple("Sample", "labels value time")   # labels: a dictionary, __name__ in it.
Series = collections.namedtuple("Series", "labels points")       # points: a list of (time, value).

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # Whatever http_proxy says.


class Failure(Exception):
    """What the test found wrong, in one line or a few."""


def wait_for(condition, seconds, what):
    """The first true value of condition(), which is asked again and again. What it raises of OSError and Failure counts as false."""
    deadline = time.monotonic() + seconds
    while True:
        why = ""
        try:
            value = condition()
            if value:
                return value
        except (OSError, http.client.HTTPException, Failure) as error:
            why = f": {error}"
        if time.monotonic() > deadline:
            raise Failure(f"gave up after {seconds} s waiting for {what}{why}")
        time.sleep(0.1)


def http_get(url, data=None, seconds=PATIENCE):
    with _DIRECT.open(url, data=data, timeout=seconds) as answer:
        return answer.read().decode()


def hurried(rules, windows, hold="0s"):
    """The text of a rule file for a test that has no hours: `windows` maps what stands in brackets or behind `offset` to
    something shorter, and `for:` becomes `hold`. Nothing else changes, names included."""
    text = re.sub(r"(\[|\boffset )(\w+)", lambda found: found[1] + windows.get(found[2], found[2]), rules)
    return re.sub(r"(?m)^(\s*)for: \S+", rf"\g<1>for: {hold}", text)


class Process:
    """A child that the kernel ends should the test be killed. Its output is in a file."""

    def __init__(self, name, command, log, piped=False):
        self.name, self.log = name, pathlib.Path(log)
        self.copier = None
        with open(self.log, "ab") as output:  # One that is started again goes on in its log.
            if piped:  # Through a pipe, as under most supervisors.
                self.copier = self._start(["cat"], subprocess.PIPE, output)
                self.child = self._start(command, subprocess.DEVNULL, self.copier.stdin)
                self.copier.stdin.close()
            else:
                self.child = self._start(command, subprocess.DEVNULL, output)
        self.pid = self.child.pid

    @staticmethod
    def _start(command, stdin, output):
        # A session of its own: an impatient Ctrl-C reaches only the test, which ends things in order.
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *map(str, command)], stdin=stdin, stdout=output, stderr=output,
                                start_new_session=True)

    def check(self):
        if self.child.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.child.returncode}; {self.last_words()}")

    def last_words(self, lines=5):
        text = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{self.name} said: " + ("\n  ".join(text[-lines:]) or "nothing")

    def stop(self, how=signal.SIGTERM, seconds=PATIENCE):
        """False if it had to be killed."""
        killed = False
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)  # One that a test has stopped would not hear us.
            self.child.send_signal(how)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                killed = True
                self.child.kill()
                self.child.wait()
        if self.copier is not None:
            self.copier.wait()
        return not killed

    def cpu_seconds(self):
        """Processor time of all its threads, as the scheduler has it."""
        return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir()) / 1e9

    def listening_ports(self):
        """TCP ports on which the process listens, as the kernel tells."""
        sockets = set()
        for descriptor in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(OSError):
                found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{self.pid}/fd/{descriptor}"))
                sockets.add(found[1] if found else None)
        ports = []
        for table in ("tcp", "tcp6"):
            with contextlib.suppress(OSError), open(f"/proc/{self.pid}/net/{table}", encoding="ascii") as lines:
                for fields in map(str.split, lines):
                    if fields[3] == "0A" and fields[9] in sockets:
                        ports.append(int(fields[1].rsplit(":", 1)[1], 16))
        return ports


class Qmp:
    """A monitor client of the test's own, beside qemond: an independent witness."""

    def __init__(self, path, once_connected=lambda: None):
        """`once_connected` is called before the greeting, which QEMU sends when no other client holds the monitor."""
        self.lock = threading.Lock()  # A Witness asks from a thread of its own.
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))
        once_connected()
        self.lines = self.socket.makefile("rb")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        with self.lock:
            return self._ask(command, arguments)

    def _ask(self, command, arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            line = self.lines.readline()
            if not line:
                raise Failure(f"QEMU closed its monitor before it answered {command}")
            answer = json.loads(line)
            if "error" in answer:
                raise Failure(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def close(self):
        self.lines.close()
        self.socket.close()


class Vm:
    """A QEMU. Its guest reads and writes its disk in bursts that swell and ebb with a period of 32 s (tests/guest/demo.S), or is another one."""

    def __init__(self, stack, name, qemu, options, guest, symbols):
        self.name = name
        self.qmp_path = stack.folder / f"{name}.qmp"
        self.witness_path = stack.folder / f"{name}.witness"
        image = stack.folder / f"{name}.img"
        subprocess.run([ROOT / "tests/tools/build-guest.sh", guest, image, *symbols], check=True)
        self._command = [qemu, "-name", name, "-accel", "tcg", "-display", "none", "-nodefaults", "-msg", "timestamp=on",
                         "-drive", f"file={image},if=virtio,format=raw", "-qmp", f"unix:{self.qmp_path},server=on,wait=off",
                         "-qmp", f"unix:{self.witness_path},server=on,wait=off", *options]
        self._stack = stack
        self._qmp = None
        self.start()

    def start(self):
        """Also after kill(): the same VM with what its disk had."""
        self.witness_path.unlink(missing_ok=True)
        # A log on a regular file would be followed in place, and grow.
        self.process = Process(self.name, self._command, self._stack.folder / f"{self.name}.log", piped=True)
        self._stack.processes.append(self.process)
        self._stack.wait_for(self.witness_path.exists, PATIENCE, f"QEMU {self.name} to make its monitor")

    @property
    def address(self):
        return f"unix:{self.qmp_path}"

    def qmp(self, command, **arguments):
        if self._qmp is None:
            self._qmp = Qmp(self.witness_path)
        return self._qmp.ask(command, **arguments)

    def block_statistics(self):
        """What QEMU's own counters say of the disk: {"rd_bytes": ..., "wr_operations": ..., "rd_total_time_ns": ...}."""
        return next(device["stats"] for device in self.qmp("query-blockstats") if device.get("device") or device.get("qdev"))

    def kill(self):
        """Ends QEMU without a warning."""
        self._stack.end(self.process, signal.SIGKILL)
        self.close()

    def close(self):
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None


class Qemond:
    """A qemond, as on a host of its own."""

    def __init__(self, stack, name, vms, packs, collectors, options, config, command_prefix=()):
        self.name, self.stack, self._vms, self._packs = name, stack, vms, packs
        self.control = stack.folder / f"{name}.control"
        polls = ", ".join(f"{collector}: {value}" for collector, value in collectors.items())
        lines = [f'listen: 127.0.0.1:0\ncontrol_socket: "{self.control}"\nruntime_dir: "{stack.folder / name}"\ncontrol_groups: []']
        if vms:
            lines.append("vms:")
        for vm in vms:
            lines.append(f'  - {{name: "{vm.name}", address: "{vm.address}", packs: [{", ".join(packs)}], collectors: {{{polls}}}}}')
        path = stack.folder / f"{name}.yaml"
        path.write_text("\n".join(lines) + f"\n{config}", encoding="utf-8")
        self._command = [*command_prefix, stack.bin_dir / "qemond", "--config", path, *options]
        self.start()

    def start(self):
        """Also after kill(). Returns when it is attached to all its VMs and the packs are on."""
        self.process = Process(self.name, self._command, self.stack.folder / f"{self.name}.log")
        self.stack.processes.append(self.process)
        self.listen = self.stack.wait_for(lambda: json.loads(self.qemon("--output", "json", "status"))["listen"], PATIENCE, f"{self.name} to answer")
        for vm in self._vms:
            self.stack.wait_for(lambda vm=vm: self.serves(vm), PATIENCE, f"{self.name} to attach to {vm.name} and switch its packs on")

    def serves(self, vm):
        metrics = self.metrics()
        wanted = [f'qemu_up{{vm="{vm.name}"}} 1', *(f'qemond_pack_enabled{{vm="{vm.name}",pack="{pack}"}} 1' for pack in self._packs)]
        return all(each in metrics for each in wanted)

    def kill(self):
        """Ends it without a warning."""
        self.stack.end(self.process, signal.SIGKILL)

    def qemon(self, *arguments):
        """Runs `qemon` on this qemond; its standard output."""
        done = subprocess.run([self.stack.bin_dir / "qemon", "--socket", self.control, *arguments], capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise Failure(f"qemon {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def metrics(self):
        return http_get(f"http://{self.listen}/metrics")


class Prometheus:
    """A Prometheus with its data in the stack's folder. `config` is its configuration as text."""

    def __init__(self, stack, name, config, options, agent=False):
        self.name, self.stack = name, stack
        self.folder = stack.folder / name
        self.folder.mkdir()
        config_file = self.folder / "prometheus.yml"
        config_file.write_text(config, encoding="utf-8")
        storage = [f"--storage.agent.path={self.folder / 'data'}", "--enable-feature=agent"] if agent else [
            f"--storage.tsdb.path={self.folder / 'data'}"]
        self.process = Process(name, [stack.prometheus, f"--config.file={config_file}", "--web.listen-address=127.0.0.1:0", *storage,
                                      *options], self.folder / "log")
        stack.processes.append(self.process)
        self.url = "http://127.0.0.1:%d" % stack.wait_for(self.process.listening_ports, PATIENCE, f"{name} to listen")[0]
        stack.wait_for(lambda: http_get(f"{self.url}/-/ready"), PATIENCE, f"{name} to be ready")

    def api(self, path, **parameters):
        """`data` of an answer of the HTTP API."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            return json.loads(http_get(url))["data"]
        except urllib.error.HTTPError as error:
            raise Failure(f"{self.name}: {path} {parameters}: {error.read().decode(errors='replace')}") from None

    def query(self, expression, time=None):
        """The samples of an instant vector (a scalar is one without labels) at `time`, now if there is none."""
        parameters = {"query": expression} if time is None else {"query": expression, "time": f"{time:.3f}"}
        data = self.api("query", **parameters)
        if data["resultType"] in ("scalar", "string"):
            data["result"] = [{"metric": {}, "value": data["result"]}]
        return [Sample(one["metric"], float(one["value"][1]), float(one["value"][0])) for one in data["result"] if "value" in one]

    def query_range(self, expression, start, end, step=1):
        data = self.api("query_range", query=expression, start=f"{start:.3f}", end=f"{end:.3f}", step=step)
        return [Series(one["metric"], [(float(when), float(value)) for when, value in one["values"]]) for one in data["result"]]

    def names(self):
        """The names of all metrics that it has."""
        return set(self.api("label/__name__/values"))

    def alerts(self, name):
        """The alerts of that name which are pending or firing: dictionaries with `labels`, `annotations`, `state`."""
        return [alert for alert in self.api("alerts")["alerts"] if alert["labels"]["alertname"] == name]

    def wait_for_series(self, expression, seconds=40, at_least=1):
        """Waits until the expression has that many samples, and returns them."""
        def found():
            samples = self.query(expression)
            return samples if len(samples) >= at_least else None
        return self.stack.wait_for(found, seconds, f"{self.name} to have {at_least} of {expression}")


class Stack:
    """Starts things and ends them. `bin_dir` has qemond and qemon. Prometheus is that of QEMON_PROMETHEUS, else of the PATH."""

    def __init__(self, bin_dir, qemu="qemu-system-x86_64", prometheus=None):
        self.bin_dir, self.qemu = pathlib.Path(bin_dir), qemu
        self.prometheus = prometheus or os.environ.get("QEMON_PROMETHEUS", "prometheus")
        self.processes, self.vms, self.witnesses = [], [], []
        self._folder = None
        self.folder = None

    def __enter__(self):
        # A Unix socket's path has at most 107 bytes, whatever TMPDIR says.
        base = os.environ.get("TMPDIR", "/tmp")
        self._folder = tempfile.TemporaryDirectory(prefix="qemon-stack.", dir=base if len(base) < 50 else "/tmp")
        self.folder = pathlib.Path(self._folder.name)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # So that __exit__ comes then too.
        return self

    def __exit__(self, *_):
        for witness in self.witnesses:
            witness.stop()
        for vm in self.vms:
            vm.close()
        # The last first: qemond switches its events off while the VM still answers.
        for process in reversed(self.processes):
            process.stop()
        self._folder.cleanup()

    def start_vm(self, name, options=(), qemu=None, guest=GUEST, symbols=()):
        """`guest` is one of tests/guest, assembled with `symbols`: at most one SYMBOL=VALUE."""
        vm = Vm(self, name, qemu or self.qemu, list(options), guest, symbols)
        self.vms.append(vm)
        return vm

    def start_qemond(self, vms, packs=(), name=None, collectors=None, options=(), config="", command_prefix=()):
        """Returns when qemond is attached to all `vms` and the packs are on. `collectors`: {"block": "1s", ...}; `config`: more of
        the configuration, as text; `command_prefix`: a command that starts it."""
        return Qemond(self, name or f"qemond{len(self.processes)}", vms, packs, collectors or {}, list(options), config, command_prefix)

    def end(self, process, how=signal.SIGTERM):
        """Ends one of ours before the stack does. Its exit status."""
        self.processes.remove(process)
        if not process.stop(how):
            raise Failure(f"{process.name} did not end within {PATIENCE} s of signal {how}; {process.last_words()}")
        return process.child.returncode

    def start_prometheus(self, hosts, rules=(), name="prometheus", interval="1s", config="", options=()):
        """Scrapes `hosts` (Qemonds) by file-based discovery. `rules`: files, or texts of rule files; `config`: more of the
        configuration, as text."""
        return self.start_prometheus_with(self.configuration(hosts, rules, name, interval) + config, name, options)

    def start_prometheus_with(self, config, name, options=(), agent=False):
        return Prometheus(self, name, config, list(options), agent)

    def configuration(self, hosts, rules=(), name="prometheus", interval="1s"):
        targets = self.folder / f"{name}.targets.json"
        targets.write_text(json.dumps([{"targets": [host.listen for host in hosts]}]), encoding="utf-8")
        files = []
        for number, rule in enumerate(rules):
            if "\n" in str(rule):
                path = self.folder / f"{name}.{number}.rules.yml"
                path.write_text(rule, encoding="utf-8")
                rule = path
            files.append(str(pathlib.Path(rule).resolve()))
        return (f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: {interval}}}\n"
                f"rule_files: {json.dumps(files)}\n"
                f'scrape_configs:\n  - {{job_name: qemon, file_sd_configs: [{{files: ["{targets}"]}}]}}\n')

    def watch(self, probe, interval=0.25):
        """Calls probe() again and again, in a thread of its own, until the stack ends."""
        witness = Witness(probe, interval)
        self.witnesses.append(witness)
        return witness

    def wait_for(self, condition, seconds, what):
        def alive():
            for process in self.processes:
                process.check()
            return condition()
        try:
            return wait_for(alive, seconds, what)
        except Failure as failure:
            words = "\n".join(process.last_words() for process in self.processes)
            raise Failure(f"{failure}\n{words}") from None


class Witness:
    """Figures over time: a probe that returns a number or a dictionary of numbers."""

    def __init__(self, probe, interval):
        self.points, self.error = [], None
        self._probe, self._interval, self._over = probe, interval, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(self._interval):
            try:
                before = time.time()
                value = self._probe()
                self.points.append(((before + time.time()) / 2, value))
            except (OSError, ValueError, Failure) as error:
                self.error = error
                return

    def at(self, when, key):
        """The figure at a moment, between two points in proportion."""
        points = self.points
        for (before, low), (after, high) in zip(points, points[1:]):
            if before <= when <= after:
                return low[key] + (high[key] - low[key]) * (when - before) / max(after - before, 1e-9)
        raise Failure(f"the witness saw nothing at {when:.1f}, but from {points[0][0]:.1f} to {points[-1][0]:.1f}" if points else
                      f"the witness saw nothing: {self.error}")

    def rate(self, start, end, key):
        return (self.at(end, key) - self.at(start, key)) / (end - start)

    def stop(self):
        self._over.set()
        self._thread.join()
