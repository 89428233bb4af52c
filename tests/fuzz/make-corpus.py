#!/usr/bin/env python3
"""Makes the corpora of the fuzzers anew: tests/fuzz/corpus/NAME/, from what was recorded and from what the documentation shows.

usage: make-corpus.py

Where each file comes from is said below, at the function that makes it. Files whose names begin with `found-` are inputs that
once broke a promise; they are kept. What the fuzzers find by themselves is not kept in the repository.
"""

import gzip
import json
import pathlib
import re
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
CORPUS = ROOT / "tests/fuzz/corpus"
SEPARATOR = b"\n----\n"


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__.split("\n\n")[1])
    total = 0
    for name, make in {
        "simple_decoder": simple_traces,
        "log_decoder": logs,
        "catalog": catalogs,
        "pack": packs,
        "monitor_session": qmp_sessions,
        "hmp_prompt": hmp_sessions,
        "config": configurations,
        "control": requests,
        "journal": journals,
    }.items():
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            if not old.name.startswith("found-"):
                old.unlink()
        files = dict(make())
        for file, content in files.items():
            (folder / file).write_bytes(content)
        size = sum(len(content) for content in files.values())
        total += size
        print(f"{name}: {len(files)} files, {size} bytes")
    print(f"all: {total} bytes")


def unpacked(path):
    return gzip.decompress(path.read_bytes())


def recorded(path):
    return [json.loads(line) for line in unpacked(path).splitlines()]


# --- simple traces -------------------------------------------------------------------------------------------------------------


def records_of(trace):
    """The header, the mappings by event id, and the records, each as bytes."""
    mappings, records, at = {}, [], 24
    while at + 20 <= len(trace):
        (kind,) = struct.unpack_from("<Q", trace, at)
        if kind == 0:
            event, length = struct.unpack_from("<QI", trace, at + 8)
            mappings[event] = trace[at : at + 20 + length]
            at += 20 + length
        else:
            (length,) = struct.unpack_from("<I", trace, at + 24)
            records.append(trace[at : at + 8 + length])
            at += 8 + length
    return trace[:24], mappings, records


def simple_traces():
    """Records of tests/data, each with the mappings that they need; some of them damaged."""
    for name, path, step in (
        ("pair", DATA / "packs/pair.simple.gz", 97),
        ("recorded", DATA / "simple-7.2.bin.gz", 20011),
    ):
        header, mappings, records = records_of(unpacked(path))
        for number in range(6):
            some = records[number * step : number * step + 24]
            ids = sorted({struct.unpack_from("<Q", record, 8)[0] for record in some} & set(mappings))
            head = header + b"".join(mappings[event] for event in ids)
            yield f"{name}-{number}", head + b"".join(some)
            body = b"".join(some)
            if number == 0:
                yield f"{name}-missing", head + body[:100] + body[117:]
                yield f"{name}-foreign", head + some[0] + b"not of a trace" + body[len(some[0]) :]
                yield f"{name}-torn", head + body[:-9]
                yield f"{name}-hole", bytes(256) + body
                yield f"{name}-again", head + some[0] + head + body
                flipped = bytearray(head + body)
                flipped[len(head) + 24] ^= 0x40
                yield f"{name}-length", bytes(flipped)
                yield f"{name}-dropped", head + some[0] + dropped(some[0], 5) + b"".join(some[1:])
    yield "header", header
    yield "swapped", header[:8] + header[8:16][::-1] + header[16:]


def dropped(record, count):
    """What QEMU writes when it lost `count` events, in the place of another record."""
    _, _, time, _, pid = struct.unpack_from("<QQQII", record)
    return struct.pack("<QQQIIQ", 1, 2**64 - 2, time, 32, pid, count)


# --- logs and catalogs ---------------------------------------------------------------------------------------------------------


def logs():
    """The first lines and some from the middle of every log of tests/data/packs, and lines of each event of paired-7.2."""
    for path in sorted((DATA / "packs").glob("*.log.gz")):
        lines = unpacked(path).splitlines(keepends=True)
        name = path.name.removesuffix(".log.gz")
        yield name, b"".join(lines[:6])
        if len(lines) > 100:
            middle = len(lines) // 2
            yield name + "-middle", b"".join(lines[middle : middle + 12])[:3000]
    lines = paired_lines()
    for number in range(0, len(lines), 24):
        yield f"paired-{number // 24}", b"".join(lines[number : number + 24])
    yield "new-times", b"2026-11-22T20:17:07.141597Z " + lines[5].split(b":", 1)[1] + b"[GUEST] qemu(7:CPU 0/KVM): " + lines[9]
    yield "hole", bytes(100) + lines[0] + bytes(64) + lines[3].rstrip(b"\n") + b"\r\n"


def paired_lines():
    """One line of each event; long ones are cut, since their ends are JSON of a monitor."""
    lines = {}
    for record in recorded(DATA / "paired-7.2.jsonl.gz"):
        lines.setdefault(record["event"], record["line"].encode()[:300] + b"\n")
    return list(lines.values())


def catalogs():
    """A few lines of the excerpt of QEMU 7.2's file, and lines of the log that its events made."""
    text = (DATA / "catalog-7.2-excerpt.txt").read_bytes().splitlines(keepends=True)
    texts = {}
    for line in paired_lines():
        name, _, rest = line.split(b":", 1)[1].partition(b" ")
        texts[name] = rest
    for number in range(0, len(text), 8):
        some = text[number : number + 8]
        names = [re.search(rb"(\w+)\(", line) for line in some if not line.startswith(b"#")]
        lines = [texts[name[1]] for name in names if name and name[1] in texts]
        yield f"excerpt-{number // 8}", b"".join(some) + SEPARATOR[1:] + b"".join(lines)
    yield "tcg", b'vcpu tcg guest_mem_before(TCGv vaddr, uint16_t info) "info=%d", "vaddr=0x%016"PRIx64" info=%d"\n'
    yield "wrong", b'no_format(\nx(int a) "%d\ny(int a, int a) "%d"\nz(int) "%d"\nw(float f) "%f"\n'


# --- packs and configurations --------------------------------------------------------------------------------------------------


def yaml_of(document):
    return re.findall(r"^```yaml\n(.*?)^```", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


def packs():
    """The packs that ship, whole and rule by rule; one with the log that its golden test reads; what docs/packs.md shows."""
    for path in sorted((ROOT / "packs").glob("*.yaml")):
        text = path.read_text()
        yield path.stem, text.encode()
        head, *rules = re.split(r"^(?=  - )", text, flags=re.MULTILINE)
        if len(rules) > 1:
            yield path.stem + "-first", (head + rules[0]).encode()
    log = unpacked(DATA / "packs/block-10.0.log.gz").splitlines(keepends=True)[:20]
    yield "virtio-blk-log", (ROOT / "packs/virtio-blk.yaml").read_bytes() + SEPARATOR[1:] + b"".join(log)
    for number, text in enumerate(yaml_of("docs/packs.md")):
        yield f"documented-{number}", text.encode()


def configurations():
    """What docs/configuration.md shows and the file that ships, whole and key by key, and options of the command line."""
    texts = yaml_of("docs/configuration.md") + [(ROOT / "systemd/qemond.yaml").read_text()]
    for number, text in enumerate(texts):
        # The groups of another host are a mistake, and hide what else there is.
        yield f"whole-{number}", re.sub(r"\[(qemon|adm)\]", "[root]", text).encode()
    parts = re.split(r"^(?=\w)", texts[0], flags=re.MULTILINE)
    for part in parts:
        if part.strip():
            yield "key-" + part.split(":")[0], part.encode()
    for number, words in enumerate(
        (
            "--vm web1=unix:/run/vms/web1.qmp --vm arm=tcp:127.0.0.1:4444 --pack web*=irq --pack block",
            "--discover hmp:/run/old/*.mon --collector jit=off --collector web1=kvm-stats=30s/2s --poll-interval 5s",
            "--vm a=hmp:tcp:[::1]:55 --budget records=100000,grace=10s --budget a=unlimited --trace-space 64MiB --lease forever",
            "--vm a=unix:/a --listen 127.0.0.1:0 --control-socket /run/c.sock --control-group root --read-group root --log-level debug",
            "--vm a=unix:/a --grafana-url http://127.0.0.1:3000 --grafana-tags a,b --grafana-annotate marks --pack-dir /p --check",
            "--trace-events a=/usr/share/qemu/trace-events-all --trace-events /t --discover /run/vms/*.qmp --runtime-dir /run/q",
        )
    ):
        yield f"words-{number}", SEPARATOR + words.replace(" --", "\n--").replace(" ", "\n").encode() + b"\n"


# --- monitors ------------------------------------------------------------------------------------------------------------------

# What is asked in which order, by the names that monitor_peer.hpp knows.
ASKED = {
    "block": ["query-blockstats"],
    "block-latency": ["query-blockstats", "block-latency-histogram-set", "query-blockstats"],
    "irq": ["x-query-irq"],
    "jit": ["x-query-jit"],
    "jobs": ["query-block-jobs"],
    "kvm-stats": ["query-stats-schemas", "query-stats", "query-stats", "query-cpus-fast"],
    "memory": ["query-memory-size-summary", "query-balloon", "query-dirty-rate"],
    "migration": ["query-migrate"],
    "replay": ["query-replay"],
    "sync-profile": ["sync-profile on", "info sync-profile 50"],
    "identity": ["query-name", "query-uuid", "query-target", "query-status", "query-kvm", "query-accelerators", "qom-get",
                 "query-cpus-fast", "query-iothreads"],
    "trace": ["help trace-file", "log help", "trace-file"],
}
EVENT = b'{"timestamp": {"seconds": 1795378848, "microseconds": 64870}, "event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}\r\n'
GREETING = b"QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) "


def replies_of(path):
    """The replies of a recorded session by command, by line where it is one of the human monitor; the longest are left out."""
    replies = {}
    for entry in recorded(path):
        if "reply" in entry:
            arguments = entry.get("arguments", {})
            name = arguments.get("command-line", entry["execute"])
            if len(json.dumps(entry["reply"])) < 8000:
                replies.setdefault(name, []).append(entry["reply"])
    return replies


def qmp_sessions():
    """The sessions of tests/data as the server sent them, and their replies for whoever asks."""
    for accelerator in ("kvm", "tcg"):
        path = DATA / f"qmp-7.2-{accelerator}.jsonl.gz"
        replies = replies_of(path)
        greeting = json.dumps(recorded(path)[0]["greeting"]).encode() + b"\r\n"
        hello = greeting + b'{"return": {}, "id": "qemon-1"}\r\n'
        short = [reply for group in replies.values() for reply in group if len(json.dumps(reply)) < 800]
        for number in range(0, len(short), 8):
            lines = [json.dumps({**reply, "id": f"qemon-{i + 2}"}).encode() + b"\r\n" for i, reply in enumerate(short[number : number + 8])]
            yield f"{accelerator}-{number // 8}", hello + EVENT + b"".join(lines)
        for name, commands in ASKED.items():
            used = {}
            lines = []
            for command in commands * 2:
                known = replies.get(command, [{"return": {}}])
                lines.append(json.dumps(known[used.get(command, 0) % len(known)]).encode())
                used[command] = used.get(command, 0) + 1
            yield f"{accelerator}-{name}", b"ask " + name.encode() + b"\n" + b"\n".join(lines) + b"\n"
    pretty = json.dumps(recorded(path)[0]["greeting"], indent=4).replace("\n", "\r\n").encode()
    yield "pretty", pretty + b"\r\n" + json.dumps({"return": {}, "id": "qemon-1"}, indent=4).replace("\n", "\r\n").encode() + b"\r\n"
    yield "refused", greeting + b'{"error": {"class": "GenericError", "desc": "Parse error"}}\r\n'
    yield "blocked", hello + EVENT * 3 + b'{"return": {}, "id": "qemon-9"}\r\n{"return": {}, "id": 7}\r\n'
    histograms = {"rd_latency_histogram": {"boundaries": [10000, 100000], "bins": [1, 2, 3]}}
    stats = {"return": [{"device": "vd0", "stats": {**histograms, "rd_bytes": 5, "failed_rd_operations": 0}}]}
    yield "histograms", b"ask block-latency\n" + (json.dumps(stats) + '\n{"return": {}}\n').encode() * 3


def hmp_echo(line):
    """What the terminal shows while `line` is typed and ended, as tests/qmp/hmp_terminal.hpp says."""
    shown = b"".join(b"\033[D" * size + line[: size + 1] + b"\033[K" for size in range(len(line)))
    return shown + b"\r\n"


def hmp_sessions():
    """What human monitors print, as docs and tests of QEMU 7.2 have it: in a session, and by the command it answers."""
    texts = {
        "query-version": b"7.2.22Debian 1:7.2+dfsg-7+deb12u18+b3\r\n",
        "query-name": b"web1\r\n",
        "query-uuid": b"00000000-0000-4000-8000-000000000001\r\n",
        "query-status": b"VM status: paused (postmigrate)\r\n",
        "query-cpus-fast": b"* CPU #0: thread_id=28048\r\n  CPU #1: thread_id=28049\r\n",
        "query-iothreads": b"io0:\r\n  thread_id=1\r\n  poll-max-ns=32768\r\n",
        "query-kvm": b"kvm support: disabled\r\n",
        "qom-get": b'"pc-i440fx-7.2-machine"\r\n',
        "trace-event-get-state": b"virtio_notify : state 1\r\nvirtio_queue_notify : state 0\r\n",
        "trace-event-set-state": SEPARATOR + b"virtio_notify : state 1\r\n",
        "human-monitor-command": b'Trace file "trace-4711" on.\r\n',
        "query-blockstats": b"vd0: rd_bytes=1024 wr_bytes=0 rd_operations=2 wr_operations=0 flush_operations=0 wr_total_time_ns=0 "
        b"rd_total_time_ns=12345 flush_total_time_ns=0 rd_merged=0 wr_merged=0 idle_time_ns=98765\r\n" + SEPARATOR
        + b"vd0 (#block171): /d.img (raw)\r\n    Attached to:      /machine/peripheral/vd0/virtio-backend\r\n    Cache mode:       writeback\r\n",
        "query-block-jobs": b"Streaming device vd0: Completed 65536 of 1048576 bytes, speed limit 0 bytes/s\r\n",
        "query-memory-size-summary": b"base memory: 67108864\r\nplugged memory: 0\r\n",
        "query-balloon": b"balloon: actual=64\r\n",
        "query-dirty-rate": b"Status: measured\r\nStart Time: 5 (ms)\r\nPeriod: 1 (sec)\r\nMode: page-sampling\r\nDirty rate: 7 (MB/s)\r\n",
        "query-migrate": b"globals:\r\nstore-global-state: on\r\nMigration status: active\r\ntotal time: 1234 ms\r\nexpected downtime: 300 ms\r\n"
        b"setup: 2 ms\r\ntransferred ram: 1024 kbytes\r\nremaining ram: 60 kbytes\r\ntotal ram: 65536 kbytes\r\ndirty sync count: 2\r\n",
        "query-replay": b"Recording execution 'replay.bin': instruction count = 12345\r\n",
        "query-commands": b"",
    }
    for command, text in texts.items():
        yield f"translate-{command}", b"translate " + command.encode() + b"\n" + text
    recorded_lines = replies_of(DATA / "qmp-7.2-tcg.jsonl.gz")
    asked = {
        "block": [texts["query-blockstats"]] * 2,
        "jobs": [texts["query-block-jobs"]] * 2,
        "memory": [texts["query-memory-size-summary"], texts["query-balloon"], texts["query-dirty-rate"]] * 2,
        "migration": [texts["query-migrate"]] * 2,
        "replay": [texts["query-replay"]] * 2,
        "threads": [texts["query-cpus-fast"], texts["query-iothreads"]],
        "identity": [texts[each] for each in ("query-name", "query-uuid", "query-status", "query-kvm", "qom-get", "query-cpus-fast", "query-iothreads")],
    }
    for name, lines in (("jit", ["info jit"]), ("irq", ["info irq"]), ("trace", ["help trace-file", "log help", "info irq", "trace-file"])):
        asked[name] = [recorded_lines[line][0].get("return", "").encode() for line in lines] * 2
    for name, answers in asked.items():
        yield f"ask-{name}", b"ask " + name.encode() + b"\n" + SEPARATOR.join(answers)
    # As HmpSession types it; letters go on from line to line.
    session = GREETING
    lines = ("info version", "info status", "info name", "info cpus", "", "trace-event \"virtio_notify\" on", "info trace-events \"virtio_notify\"")
    answers = [texts[each] for each in ("query-version", "query-status", "query-name", "query-cpus-fast", "query-commands")]
    answers += [b"", b"virtio_notify : state 1\r\n"]
    for number, (line, answer) in enumerate(zip(lines, answers)):
        letter = bytes([ord("a") + number])
        session += hmp_echo(line.encode()) + answer + b"(qemu) " + letter + b"\033[K\033[D\033[K"
        yield f"session-{number}", session
    yield "qmp", b'{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}}}\r\n'
    yield "mux", GREETING[:-7] + b"\x1b[1mshell# "


# --- what qemond itself serves and keeps -------------------------------------------------------------------------------------------


def requests():
    """The requests of docs/control-api.md, and those of Prometheus and of a browser; some broken."""
    bodies = {
        "/v1/vms/web3/attach": {"address": "unix:/run/vms/web3.qmp"},
        "/v1/vms/web1/detach": {},
        "/v1/vms/web1/release": {"seconds": 60},
        "/v1/events": {"action": "on", "patterns": ["virtio_blk_*"], "vm": "web1", "for_seconds": 30, "sample": {"on_seconds": 0.02, "period_seconds": 1}},
        "/v1/events/cost": {"patterns": ["exec_tb"], "vm": "web1", "seconds": 0.2},
        "/v1/packs": {"action": "on", "packs": ["irq"], "for_seconds": None, "sample": None},
        "/v1/marks": {"text": "cache dropped", "vm": "web1", "tags": ["cold"]},
        "/v1/leases/7": {"action": "extend", "seconds": 60},
        "/v1/experiments": {"action": "start", "name": "cold", "packs": ["irq"], "labels": {"cache": "cold"}, "command": ["make", "-j2"], "attended": True, "replace": True},
        "/v1/experiments/cold": {"action": "stop"},
        "/v1/restore": {"vm": "web1"},
        "/v1/reload": {},
    }

    def post(path, body, length=None):
        text = json.dumps(body)
        return f"POST {path} HTTP/1.1\r\nHost: qemond\r\nContent-Type: application/json\r\nContent-Length: {len(text) if length is None else length}\r\n\r\n{text}".encode()

    def get(path, method="GET", version="1.1", more=""):
        return f"{method} {path} HTTP/{version}\r\nHost: qemond\r\n{more}\r\n".encode()

    for number, (path, body) in enumerate(bodies.items()):
        yield f"post-{number}", post(path, body)
    places = ["/v1/status", "/v1/vms", "/v1/events?pattern=virtio_*&vm=web1&enabled=1", "/v1/packs?vm=web1", "/v1/packs/irq", "/v1/marks?vm=web2",
              "/v1/leases?vm=web1", "/v1/experiments", "/v1/experiments/cold", "/metrics", "/", "/-/healthy", "/-/ready", "/v1/vms/web%201/release?a+b=%41"]
    for number, path in enumerate(places):
        yield f"get-{number}", get(path)
    yield "pipelined", get("/-/healthy") + post("/v1/marks", bodies["/v1/marks"]) + get("/v1/marks") + get("/", "HEAD")
    yield "old", get("/metrics", version="1.0")
    yield "proxy", get("http://qemond/metrics", more="Accept-Encoding: gzip\r\nAccept: text/html\r\n")
    yield "half", post("/v1/events", bodies["/v1/events"], 4096)
    yield "expect", get("/v1/marks", "POST", more="Expect: 100-continue\r\nContent-Length: 13\r\n") + b'{"text": "x"}'
    yield "chunked", get("/v1/marks", "POST", more="Transfer-Encoding: chunked\r\n") + b'd\r\n{"text": "x"}\r\n0\r\n\r\n'
    yield "other", get("/v1/status", "DELETE") + get("/v1/packs", "PUT") + get("*", "OPTIONS")


def journals():
    """A journal's file and an experiment's as qemond writes them, and figures as /metrics has them."""
    lease = {"id": 7, "patterns": [], "pack": "irq", "user": "configuration", "uid": None, "since": 5000000000, "until": None, "events": []}
    asked = {"id": 8, "patterns": ["virtio_*"], "pack": "", "user": "alice", "uid": 1000, "since": 6000000000, "until": 3600000000000,
             "events": ["virtio_notify"], "sample": {"on_ms": 20, "period_ms": 1000}}
    entry = {
        "version": 1, "address": "unix:/run/vms/web1.qmp", "vm": "web1", "boot": "6f1c2f0e-7f5f-4b57-9c43-0a2b9c1d5e7a",
        "attached_by_command": True, "process": {"pid": 4711, "start_ticks": 123456789}, "threads": [4712, 4713], "on": ["a", "b"],
        "about_to_be_on": ["c"], "off_by_others": ["d"], "tripped": [{"event": "e", "why": "too much"}],
        "trace": {"log_away": True, "log_restore": "/proc/self/fd/2", "trace_file_ours": True, "trace_file": "trace-4711"},
        "collecting": {"latency_histograms": ["vd0"], "sync_profile": True,
                       "plugin_level": {"path": "/run/vms/web1.tcg", "found": 0, "wanted": 1, "until": 3600000000000}}, "leases": [lease, asked],
    }  # fmt: skip
    yield "entry", json.dumps(entry).encode()
    old = {key: value for key, value in entry.items() if key not in ("tripped", "collecting")}
    yield "older", json.dumps({**old, "process": None, "leases": [lease]}, indent=1).encode()
    yield "another-version", json.dumps({**entry, "version": 2}).encode()
    run = {"name": "run", "state": "running", "started": 1795378848.5, "vms": ["web1"], "labels": {"cache": "cold"}, "packs": ["irq"],
           "command": ["make"], "by": "alice", "leases": [{"vm": "web1", "id": 7}]}
    yield "experiment-running", json.dumps(run).encode()
    done = {**run, "state": "finished", "length_seconds": 32.1, "complete": True, "remaining_seconds": None,
            "vms": [{"vm": "web1", "notes": [], "counters": [{"name": "qemu_irq_raised_total", "labels": {"line": "0"}, "delta": 5, "curve": [0, 5]}]}]}
    yield "experiment-finished", json.dumps(done).encode()
    page = (
        '# HELP qemu_irq_raised_total Interrupts.\n# TYPE qemu_irq_raised_total counter\nqemu_irq_raised_total{vm="web1",line="0"} %d\n'
        'qemu_irq_raised_total{vm="web1",line="a\\"b\\\\c\\n"} 1.5e+20\n# TYPE qemu_up gauge\nqemu_up{vm="web1"} 1\n'
        '# TYPE qemu_d_seconds histogram\nqemu_d_seconds_bucket{vm="web1",le="0.5"} %d\nqemu_d_seconds_bucket{vm="web1",le="+Inf"} %d\n'
        'qemu_d_seconds_sum{vm="web1"} 1.25\nqemu_d_seconds_count{vm="web1"} %d\n'
    )
    yield "figures", page.replace("%d", "7").encode()
    yield "figures-growing", SEPARATOR.join(page.replace("%d", str(value)).encode() for value in (1, 5, 9, 2, 8, 30, 31))


main()
