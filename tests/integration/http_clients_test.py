#!/usr/bin/env python3
"""How qemond serves the clients that people use: curl, wrk, and a browser's way of asking; each alone, and while others misbehave.
usage: http_clients_test.py BIN_DIR"""
import contextlib
import gzip
import itertools
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from fake_qemu import FakeQemu  # noqa: E402

BIN = pathlib.Path(sys.argv[1]).resolve()
DEADLINE = 60
VMS = 20


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cleanups = contextlib.ExitStack()
        cls.folder = pathlib.Path(cls.cleanups.enter_context(tempfile.TemporaryDirectory()))
        cls.fake = cls.cleanups.enter_context(FakeQemu(BIN, cls.folder / "vms", "kvm"))
        for number in range(VMS):
            cls.fake.tell(f"add vm{number}")
        cls.control = cls.folder / "control.sock"
        log = cls.cleanups.enter_context(open(cls.folder / "log", "wb"))
        cls.qemond = subprocess.Popen([BIN / "qemond", "--listen", "127.0.0.1:0", "--runtime-dir", cls.folder, "--discover",
                                       f"{cls.folder}/vms/*.qmp"], stdout=log, stderr=log)
        cls.cleanups.callback(cls.end)
        cls.wait(lambda: cls.control.exists() and cls.qemon("status").returncode == 0)
        cls.listen = json.loads(cls.curl("--unix-socket", cls.control, "http://qemond/v1/status").stdout)["listen"]
        cls.url = f"http://{cls.listen}"
        cls.wait(lambda: len(re.findall(r"(?m)^qemu_up\{.*\} 1$", cls.scrape())) == VMS)

    @classmethod
    def tearDownClass(cls):
        cls.cleanups.close()

    @classmethod
    def end(cls):
        cls.qemond.terminate()
        ended = cls.qemond.wait(DEADLINE)
        if ended != 0:
            raise AssertionError(f"qemond ended with {ended}: " + (cls.folder / "log").read_text(encoding="utf-8"))

    @classmethod
    def wait(cls, condition):
        deadline = time.monotonic() + DEADLINE
        while not condition():
            if cls.qemond.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("gave up: " + (cls.folder / "log").read_text(encoding="utf-8"))
            time.sleep(0.05)

    @classmethod
    def qemon(cls, *arguments):
        return subprocess.run([BIN / "qemon", "--socket", cls.control, *arguments], capture_output=True, timeout=DEADLINE, check=False)

    @staticmethod
    def curl(*arguments):
        # --noproxy: whatever http_proxy says.
        return subprocess.run(["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(DEADLINE), *arguments],
                              capture_output=True, timeout=DEADLINE + 10, check=False)

    @classmethod
    def scrape(cls, *arguments):
        done = cls.curl("--fail", *arguments, f"{cls.url}/metrics")
        if done.returncode != 0:
            raise AssertionError(f"curl: {done.stderr}")
        return done.stdout.decode()

    def figure(self, name):
        return float(re.search(rf"(?m)^{name} (\S+)$", self.scrape())[1])

    def answer(self, *arguments, path="/metrics"):
        """(status, {header in small letters: value}, body) as curl shows them."""
        done = self.curl("--include", *arguments, self.url + path)
        self.assertEqual(done.returncode, 0, done.stderr)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        return int(lines[0].split()[1]), {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}, body

    def test_curl_gets_the_same_page_plain_and_compressed(self):
        def shape(text):  # Figures move between two scrapes.
            return sorted(line.rsplit(" ", 1)[0] for line in text.splitlines())

        # Until each collector has had its first turn, series appear in between.
        self.wait(lambda: shape(self.scrape()) == shape(self.scrape("--compressed")))

    def test_pages_are_whole_while_vms_come_and_go(self):
        over = threading.Event()

        def come_and_go():
            for number in itertools.count():
                self.fake.tell(f"add guest{number}")
                if number >= 5:
                    self.fake.tell(f"remove guest{number - 5}")
                if over.is_set():
                    for left in range(max(0, number - 4), number + 1):
                        self.fake.tell(f"remove guest{left}")
                    return

        churn = threading.Thread(target=come_and_go)
        churn.start()
        try:
            for number in range(60):
                text = self.scrape(*["--compressed"] * (number % 2))
                self.assertTrue(text.endswith("\n"))
                names = re.findall(r"(?m)^# TYPE (\S+) ", text)
                self.assertEqual(len(names), len(set(names)), "a family is there twice")
                series = [line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
                self.assertEqual(len(series), len(set(series)), "a series is there twice")
                self.assertEqual(len(re.findall(r'(?m)^qemu_up\{vm="vm\d+"\} 1$', text)), VMS)
        finally:
            over.set()
            churn.join()

    def test_which_coding_is_chosen(self):
        for accepted, coding in (("gzip", "gzip"), ("GZIP", "gzip"), ("x-gzip", "gzip"), ("deflate, gzip, br", "gzip"), ("*", "gzip"),
                                 ("gzip;q=0.5", "gzip"), ("identity;q=0.5, gzip", "gzip"), ("br;q=1, *;q=0.1", "gzip"),
                                 ("identity;q=0, gzip;q=0.1", "gzip"), ("gzip;q=0", None), ("gzip;q=0.000", None), ("identity", None),
                                 ("br", None), ("gzip;q=0.2, identity", None), ("gzip;q=0, *", None), ("gzip;q=2", None),
                                 ("gzipped", None)):
            with self.subTest(accepted):
                status, headers, body = self.answer("--header", f"Accept-Encoding: {accepted}")
                self.assertEqual(status, 200)
                self.assertEqual(headers.get("content-encoding"), coding)
                self.assertEqual(headers["vary"], "Accept-Encoding")
                self.assertEqual(int(headers["content-length"]), len(body))
                self.assertIn(b'qemu_up{vm="vm0"} 1', gzip.decompress(body) if coding else body)
        for accepted in ("identity;q=0", "*;q=0", "br, *;q=0", "gzip;q=0, identity;q=0"):
            with self.subTest(accepted):
                status, _, body = self.answer("--header", f"Accept-Encoding: {accepted}")
                self.assertEqual((status, body), (406, b"Accept-Encoding takes neither of gzip and identity\n"))

    def test_several_lines_of_accept_encoding_are_one(self):
        _, headers, _ = self.answer("--header", "Accept-Encoding: br", "--header", "Accept-Encoding: gzip")

        self.assertEqual(headers["content-encoding"], "gzip")

    def test_head_tells_what_get_sends(self):
        for coding in ("identity", "gzip"):
            _, get, _ = self.answer("--header", f"Accept-Encoding: {coding}", path="/")
            status, head, body = self.answer("--header", f"Accept-Encoding: {coding}", "--head", path="/")
            self.assertEqual((status, body), (200, b""))
            self.assertEqual(head, get)

    def test_health_checks_are_never_compressed(self):
        status, headers, body = self.answer("--header", "Accept-Encoding: gzip", path="/-/healthy")

        self.assertEqual((status, body), (200, b"qemond is Healthy.\n"))
        self.assertNotIn("content-encoding", headers)

    def test_curl_reuses_its_connection(self):
        done = self.curl("--verbose", f"{self.url}/-/healthy", f"{self.url}/metrics", f"{self.url}/-/ready")

        self.assertEqual(done.stderr.count(b"Re-using existing connection"), 2, done.stderr)

    def test_curl_by_http_1_0(self):
        self.assertIn('qemu_up{vm="vm0"} 1', self.scrape("--http1.0"))

    def test_curl_that_speaks_http_2_or_tls_is_told(self):
        for arguments in (("--http2-prior-knowledge", f"{self.url}/metrics"), ("--insecure", f"https://{self.listen}/metrics")):
            self.assertNotEqual(self.curl(*arguments).returncode, 0)
        self.assertEqual(self.curl("--http2", "--fail", f"{self.url}/metrics").returncode, 0)

    def test_curl_that_posts_is_told_what_is_possible(self):
        status, headers, body = self.answer("--data", "@" + str(ROOT / "LICENSE"))

        self.assertEqual((status, headers["allow"]), (405, "GET, HEAD"))
        self.assertEqual(body, b"this address is read-only: control is on the Unix socket, with qemon\n")

    def test_curl_that_posts_too_much_is_told(self):
        big = self.folder / "big"
        big.write_bytes(b"x" * 5_000_000)

        # --expect100-timeout: it would wait a second for an invitation. What it says if it cannot send on is its own affair.
        done = self.curl("--include", "--header", "Expect:", "--data-binary", f"@{big}", f"{self.url}/metrics")

        self.assertIn(b"the body is longer than 65536 bytes\n", done.stdout, done.stderr)

    def wrk(self, *arguments, path="/metrics"):
        if not shutil.which("wrk"):
            self.skipTest("no wrk: install it with tests/tools/install-packages.sh test")
        done = subprocess.run(["wrk", "--duration", "3s", "--timeout", "30s", *arguments, self.url + path], capture_output=True, text=True,
                              timeout=DEADLINE * 2, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def assert_no_error(self, report):
        self.assertGreater(int(re.search(r"(\d+) requests in", report)[1]), 0, report)
        self.assertNotIn("Non-2xx", report)
        self.assertNotIn("Socket errors", report)

    def test_wrk_is_served_and_so_is_everybody_else(self):
        for arguments in (("--connections", "64"), ("--connections", "64", "--header", "Accept-Encoding: gzip"),
                          ("--connections", "32", "--header", "Connection: close")):
            with self.subTest(arguments):
                refused = self.figure("qemond_http_refusals_total")
                with subprocess.Popen([sys.executable, "-c", BYSTANDER, BIN / "qemon", self.control, self.listen],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE) as bystander:
                    report = self.wrk(*arguments)
                    counts = json.loads(bystander.communicate(b"\n", timeout=DEADLINE)[0])
                self.assert_no_error(report)
                self.assertEqual(counts["failed"], [])
                self.assertGreater(counts["scrapes"], 0)
                self.assertGreater(counts["commands"], 0)
                self.assertEqual(self.figure("qemond_http_refusals_total"), refused)

    def test_slow_clients_are_in_nobodys_way(self):
        """While a hundred send a byte of a header now and then, wrk does not notice."""
        slow = []
        for _ in range(100):
            client = socket.create_connection(self.listen.rsplit(":", 1))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
            slow.append(client)
        self.cleanups.callback(lambda: [client.close() for client in slow])
        with subprocess.Popen(["wrk", "--duration", "3s", "--timeout", "30s", "--connections", "16", f"{self.url}/metrics"], stdout=subprocess.PIPE,
                              text=True) if shutil.which("wrk") else contextlib.nullcontext() as wrk:
            for client in slow * 5:
                client.sendall(b"X: y\r\n")
                self.scrape() if client is slow[0] else None
            if wrk is not None:
                self.assert_no_error(wrk.communicate(timeout=DEADLINE)[0])
        self.assertEqual(self.qemon("status").returncode, 0)


# Scrapes and asks for the status until it is told to end.
BYSTANDER = """
import http.client, json, select, subprocess, sys
qemon, control, listen = sys.argv[1:]
counts = {"scrapes": 0, "commands": 0, "failed": []}
while not select.select([sys.stdin], [], [], 0)[0] or not (counts["commands"] or counts["failed"]):
    connection = http.client.HTTPConnection(listen, timeout=60)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    if answer.status == 200 and b'qemu_up{vm="vm0"} 1' in answer.read():
        counts["scrapes"] += 1
    else:
        counts["failed"].append(answer.status)
    connection.close()
    done = subprocess.run([qemon, "--socket", control, "status"], capture_output=True)
    if done.returncode == 0:
        counts["commands"] += 1
    else:
        counts["failed"].append(done.stderr.decode())
print(json.dumps(counts))
"""


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
