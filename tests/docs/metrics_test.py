#!/usr/bin/env python3
"""Whether docs/metrics.md has every metric that there is, with its type and its labels, and none that there is not: against what the
packs define, and against /metrics of a qemond with everything on. promtool must like the names and the help texts, too.
usage: metrics_test.py BIN_DIR"""
import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import stack as stacks  # noqa: E402
from fake_qemu import FakeQemu  # noqa: E402

BIN = pathlib.Path(sys.argv[1]).resolve()
PLUGIN = BIN.parent / "lib" / "libqemon-plugin.so"
DEADLINE = 60

Metric = collections.namedtuple("Metric", "type labels")
FakeVm = collections.namedtuple("FakeVm", "name address")

# What a pack's kinds become.
TYPES = {"counter": "counter", "gauge": "gauge", "histogram": "histogram", "latency": "histogram", "heatmap": "counter", "topk": "gauge"}

# Documented, but not to be seen here, and why.
NOT_HERE = {
    "qemu_block_io_errors_total": "needs a disk that fails; tests/daemon/qmp_event_counters_test.cpp has one",
    "qemu_tcg_discontinuities_total": "needs QEMU 10.2; tests/daemon/collect_tcg_plugin_test.cpp has one",
}
# Here on some machines only.
NOT_EVERYWHERE = {
    "qemu_cgroup_memory_bytes": "needs a QEMU in a cgroup (version 2) other than the root",
    "qemu_cgroup_pressure_seconds_total": "the same, and a kernel with PSI",
}
# More than the packs that ship have: an expression that cannot be evaluated.
WRONG_PACK = """
version: 1
pack: wrong
help: Divides by zero.
metrics:
  - {counter: qemu_wrong_total, help: Nothing., events: virtio_blk_handle_read, add: 1 / (nsectors - nsectors)}
"""


def documented():
    """{(part, heading): {name: Metric}} of the tables of docs/metrics.md whose first column is `metric`; parts are headings of the second
    level, headings those of the third. Below Collectors and Packs every metric has the label `vm` besides those that are told."""
    found, part, heading, columns = {}, "", "", None
    for line in (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").splitlines():
        if line.startswith(("## ", "### ")):
            heading = line.lstrip("# ")
            part = heading if line.startswith("## ") else part
        if not line.startswith("|"):
            columns = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if columns is None:
            columns = cells
        elif columns[0] == "metric" and not cells[0].startswith("---"):
            row = dict(zip(columns, cells))
            for name, braces in re.findall(r"`(\w+)(?:\{([\w,]*)\})?`", row["metric"]):
                labels = set(filter(None, braces.split(","))) | set(re.findall(r"`(\w+)`", row.get("labels", "")))
                if part in ("Collectors", "Packs"):
                    labels.add("vm")
                if name in found.setdefault((part, heading), {}):
                    raise stacks.Failure(f"docs/metrics.md: {heading}: {name} is there twice")
                found[part, heading][name] = Metric(row["type"], frozenset(labels))
    return found


def exported(text):
    """{name: {Metric}} of a text of /metrics: one, if all its samples have the same labels."""
    types = dict(re.findall(r"(?m)^# TYPE (\w+) (\w+)$", text))
    labels = collections.defaultdict(set)
    for name, braces in re.findall(r"(?m)^(\w+)(?:\{(.*)\})? \S+$", text):
        family = name if name in types else re.sub(r"_(bucket|sum|count)$", "", name)
        hidden = {"le"} if types[family] == "histogram" else set()
        labels[family].add(frozenset(re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', braces)) - hidden)
    return {name: {Metric(kind, each) for each in labels[name]} for name, kind in types.items()}


def pack_metrics(pack):
    """The same of a pack, as `qemon pack show` tells it."""
    found = {}
    for metric in pack["metrics"]:
        shape = Metric(TYPES[metric["kind"]], frozenset(metric["labels"]) | {"vm"})
        found[metric["name"]] = shape
        if metric["kind"] == "topk":
            found[metric["name"] + "_error"] = shape
    return found


class Metrics(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.cleanups = contextlib.ExitStack()
        cls.stack = cls.cleanups.enter_context(stacks.Stack(BIN))
        cls.docs = documented()
        # A VM that counts instructions, with all that collectors ask for; one that migrates, costs too much, and ends; and one of KVM, of
        # which only the monitor was recorded.
        cls.real = cls.stack.start_vm("real", ["-icount", "shift=auto", "-object", "iothread,id=io1", "-device", "virtio-balloon-pci",
                                             "-plugin", f"{PLUGIN},path={cls.stack.folder}/real.tcg,level=all"])
        cls.moving = cls.stack.start_vm("moving")
        fake = cls.cleanups.enter_context(FakeQemu(BIN, cls.stack.folder / "vms", "kvm"))
        fake.tell("add fake")
        wrong = cls.stack.folder / "packs" / "wrong.yaml"
        wrong.parent.mkdir()
        wrong.write_text(WRONG_PACK, encoding="utf-8")
        collectors = dict.fromkeys(("block", "block-latency", "irq", "jit", "jobs", "kvm-stats", "memory", "migration", "process", "replay",
                                    "sync-profile", "tcg-plugin", "threads"), "1s")
        cls.qemond = cls.stack.start_qemond(
            [cls.real, cls.moving, FakeVm("fake", f"unix:{cls.stack.folder}/vms/fake.qmp")], collectors=collectors,
            options=["--pack-dir", wrong.parent, "--budget", "real=unlimited", "--budget", "moving=records=1,grace=1s"])
        cls.packs = {file.stem: json.loads(cls.qemond.qemon("--output", "json", "pack", "show", file.stem))
                     for file in (ROOT / "packs").glob("*.yaml")}
        cls.make_everything_happen()

    @classmethod
    def make_everything_happen(cls):
        live = [name for name, pack in cls.packs.items() if not pack["only_replay"]]
        cls.qemond.qemon("pack", "on", "--vm", "real", "wrong", *live)
        cls.qemond.qemon("event", "on", "qmp_job_cancel", "--vm", "real", "--sample", "100ms/1s")
        cls.qemond.qemon("pack", "on", "--vm", "moving", "virtio-blk")
        cls.qemond.qemon("mark", "of one VM", "--vm", "real")
        cls.qemond.qemon("experiment", "start", "run", "--vm", "real")
        cls.real.qmp("system_reset")
        cls.real.qmp("calc-dirty-rate", **{"calc-time": 1})
        device = cls.real.qmp("query-block")[0]["device"]
        cls.real.qmp("drive-mirror", device=device, target=str(cls.stack.folder / "mirror.img"), format="raw", sync="full", speed=1)
        cls.moving.qmp("migrate-set-parameters", **{"max-bandwidth": 100000})
        cls.moving.qmp("migrate", uri="exec:cat >/dev/null")

    def end_what_moves(self):
        """The migration, and then the VM."""
        self.moving.qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.stack.wait_for(lambda: 'qemu_migration_status{vm="moving",status="completed"} 1' in self.qemond.metrics(), DEADLINE,
                            "the migration to be over")
        seen = exported(self.qemond.metrics())
        self.stack.processes.remove(self.moving.process)
        self.moving.qmp("quit")
        return seen

    @classmethod
    def tearDownClass(cls):
        cls.cleanups.close()

    def test_every_metric_of_a_pack_is_documented(self):
        documented_packs = {heading.strip("`"): metrics for (part, heading), metrics in self.docs.items() if part == "Packs"}
        self.assertEqual(sorted(documented_packs), sorted(self.packs))
        for name, pack in self.packs.items():
            with self.subTest(pack=name):
                self.assertEqual(pack_metrics(pack), documented_packs[name])

    def test_every_metric_that_is_exported_is_documented(self):
        of_packs = {name: metric for pack in self.packs.values() for name, metric in pack_metrics(pack).items()}
        own = {name: metric for (part, _), metrics in self.docs.items() if part != "Packs" for name, metric in metrics.items()}
        wanted = set(own) - set(NOT_HERE) - set(NOT_EVERYWHERE)
        seen = collections.defaultdict(set)

        def look(metrics=None):
            for name, shapes in (metrics or exported(self.qemond.metrics())).items():
                seen[name].update(shapes)

        def missing(but=()):
            look()
            return sorted(wanted - set(seen) - set(but))
        # What comes when the migration and the VM end.
        late = ["qemu_migration_downtime_seconds", "qemu_shutdowns_total"]
        with contextlib.suppress(stacks.Failure):
            self.stack.wait_for(lambda: not missing(but=late), DEADLINE, "all but the last")
        self.assertEqual(missing(but=late), [], "documented, but not exported")
        look(self.end_what_moves())
        with contextlib.suppress(stacks.Failure):
            self.stack.wait_for(lambda: not missing(), DEADLINE, "everything")
        self.assertEqual(missing(), [], "documented, but not exported")

        for name, shapes in seen.items():
            # The kernel has the names, by a rule that the documentation tells.
            if name.startswith(("qemu_kvm_", "qemu_wrong_")):
                continue
            with self.subTest(metric=name):
                self.assertIn(name, {**own, **of_packs}, "exported, but not documented")
                self.assertEqual(shapes, {{**own, **of_packs}[name]})
        self.assertTrue(any(name.startswith("qemu_kvm_") for name in seen))
        self.assertEqual(sorted(set(NOT_HERE) & set(seen)), [], "exported after all")

    def test_promtool_likes_them(self):
        promtool = os.environ.get("QEMON_PROMTOOL") or shutil.which("promtool")
        self.assertTrue(promtool, "promtool is missing: see tests/tools/install-packages.sh")
        text = self.qemond.metrics()
        there = set(exported(text))
        # What did not happen here has no samples yet.
        for pack in self.packs.values():
            for metric in pack["metrics"]:
                if metric["name"] in there:
                    continue
                kind = TYPES[metric["kind"]]
                labels = ",".join(f'{label}="x"' for label in ["vm", *metric["labels"]])
                text += f"# HELP {metric['name']} {metric['help']}\n# TYPE {metric['name']} {kind}\n"
                if kind == "histogram":
                    text += f"{metric['name']}_bucket{{{labels},le=\"+Inf\"}} 1\n{metric['name']}_sum{{{labels}}} 1\n"
                    text += f"{metric['name']}_count{{{labels}}} 1\n"
                else:
                    text += f"{metric['name']}{{{labels}}} 1\n"
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=DEADLINE, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        for name in exported(text):
            self.assertRegex(text, rf"(?m)^# HELP {name} \S")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
