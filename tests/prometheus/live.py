#!/usr/bin/env python3
"""The shipped Prometheus files at work: two hosts, each a QEMU with a busy guest and a qemond; a Prometheus that scrapes both with the shipped
rules; an agent that sends to a second Prometheus, which also federates from the first.

    live.py BIN_DIR     the folder of qemond and qemon; exits with 77 if there is no Prometheus or QEMU

The rules run with shorter windows and `for:`, since a test has no hours; names and formulas are the shipped ones. What the rules say is compared
with QEMU's own counters, which the test asks over a monitor of its own.
"""
import os
import pathlib
import re
import shutil
import sys
import time

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(pathlib.Path(__file__).parent)]

from checks import grouping_labels, input_series, selectors  # noqa: E402
from qemu_builds import build  # noqa: E402
from stack import PATIENCE, Failure, Stack, hurried  # noqa: E402

SHIPPED = ROOT / "grafana" / "prometheus"
WINDOWS = {"2m": "24s", "1m": "20s", "5m": "20s", "15m": "60s", "1h": "5s"}
SECONDS = {"2m": 24, "1m": 20}
FLOOD = "exec_tb"  # Far beyond any budget.
# Between a byte that QEMU counts and its sample: the collector's second, the scrape's, and one for a busy machine.
DELAY = 3


def say(text):
    print(f"{time.monotonic() - BEGIN:5.1f} s  {text}", flush=True)


def check(condition, message):
    if not condition:
        raise Failure(message)


class Live:
    def __init__(self, stack, simple):
        self.stack = stack
        self.simple = simple
        self.rules = [hurried((SHIPPED / "rules" / name).read_text("utf-8"), WINDOWS, "2s") for name in ("qemon.rules.yml", "qemon.alerts.yml")]

    def start(self):
        # The guests wait until all is counted, so that QEMU, qemond and Prometheus count from the same moment.
        polls = {name: "1s" for name in ("block", "block-latency", "irq", "threads", "process")}
        packs = ["virtio-blk", "irq", "block"]
        self.vms = [self.stack.start_vm("web1"), self.stack.start_vm("db1", self.simple.options, self.simple.binary)]
        for vm in self.vms:
            vm.qmp("stop")
        self.at_first = [vm.block_statistics() for vm in self.vms]
        self.hosts = [self.stack.start_qemond([self.vms[0]], packs, "host1", polls),
                      self.stack.start_qemond([self.vms[1]], packs, "host2", polls,
                                              ["--budget", "db1=records=10000,lag=unlimited,drops=unlimited,grace=3s", *self.simple.catalog_options("db1")])]
        self.instance = {vm.name: host.listen for vm, host in zip(self.vms, self.hosts)}
        self.first = self.stack.start_prometheus(self.hosts, self.rules, "first")
        self.second = self.stack.start_prometheus_with(self.federation(), "second", ["--web.enable-remote-write-receiver"])
        self.agent = self.stack.start_prometheus_with(self.shipped_agent(), "agent", agent=True)
        self.first.wait_for_series("qemu_virtio_blk_bytes_total == 0", at_least=4)
        for vm in self.vms:
            vm.qmp("cont")
        self.running_since = time.time()
        self.witnesses = [self.stack.watch(vm.block_statistics) for vm in self.vms]
        say("two hosts, two guests and three Prometheus processes run")

    def federation(self):
        text = (SHIPPED / "federation.yml").read_text("utf-8")
        return self.adapted(text, {r"targets: \[.*\]": f"targets: ['{self.first.url.removeprefix('http://')}']"})

    def shipped_agent(self):
        text = (SHIPPED / "agent.yml").read_text("utf-8")
        return self.adapted(text, {r"targets: \[.*\]": f"targets: {[host.listen for host in self.hosts]}",
                                   r"(?m)^ +relabel_configs:\n.*\n": "",
                                   r"url: \S+": f"url: {self.second.url}/api/v1/write"})

    @staticmethod
    def adapted(text, changes):
        for pattern, value in {r"scrape_interval: \S+": "scrape_interval: 1s", **changes}.items():
            text, times = re.subn(pattern, value, text)
            check(times == 1, f"a shipped configuration has {pattern} {times} times")
        return text

    # ---- What the rules say

    def records_are_there(self):
        """Every recording rule has data, of both hosts unless it is of the whole fleet. Returns the rules as Prometheus has them."""
        groups = self.first.api("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        records = {rule["name"] for rule in rules if rule["type"] == "recording"}
        shipped = set(re.findall(r"record: (\S+)", (SHIPPED / "rules" / "qemon.rules.yml").read_text("utf-8")))
        check(records == shipped, f"Prometheus has loaded other rules: {records ^ shipped}")

        def complete():
            missing = {name for name in records if len({sample.labels.get("instance") for sample in self.first.query(name)}) <
                       (2 if name.startswith("instance") else 1)}
            check(not missing, f"none for {sorted(missing)}")
            return True
        self.stack.wait_for(complete, PATIENCE, "every recording rule to have data of both hosts")
        broken = [rule["name"] for rule in rules if rule["health"] != "ok"]
        check(not broken, f"rules that fail: {broken}")
        not_numbers = [name for name in records for sample in self.first.query(name) if sample.value != sample.value]
        check(not not_numbers, f"rules that make NaN: {not_numbers}")
        say(f"{len(records)} recorded metrics have data of both hosts, none is NaN")
        return rules

    def figures_are_true(self):
        """Rates and means of the rules lie between what QEMU's own counters allow for the same window."""
        longest = max(SECONDS.values()) + DELAY + 10  # What is evaluated late is of a window that began earlier.
        self.stack.wait_for(lambda: time.time() > self.running_since + longest, longest + PATIENCE, "a whole window of load")
        checked = 0
        for vm, witness in zip(self.vms, self.witnesses):
            for operation, short in (("read", "rd"), ("write", "wr")):
                for rule, key, window in (("qemu_blockdev_bytes:rate2m", f"{short}_bytes", "2m"),
                                          ("qemu_blockdev_operations:rate2m", f"{short}_operations", "2m"),
                                          ("qemu_virtio_blk_bytes:rate1m", f"{short}_bytes", "1m"),
                                          ("qemu_virtio_blk_requests:rate1m", f"{short}_operations", "1m"),
                                          ("qemu_block_bytes:rate1m", f"{short}_bytes", "1m")):
                    self.rate_is_true(vm, witness, f"instance_vm_operation:{rule}", operation, key, SECONDS[window])
                    checked += 1
                self.mean_is_true(vm, witness, operation, short)
        say(f"{checked} rates and 4 mean latencies lie where QEMU's own counters say")

    def recorded(self, vm, witness, rule, operation):
        """A recorded value and when it was evaluated, which the witness has seen as well."""
        selector = f'{rule}{{instance="{self.instance[vm.name]}",vm="{vm.name}",operation="{operation}"}}'
        now = time.time()
        value, when = self.first.query(selector, now), self.first.query(f"timestamp({selector})", now)
        check(len(value) == 1 and len(when) == 1, f"{selector} has {len(value)} values")
        self.stack.wait_for(lambda: witness.points[-1][0] > when[0].value, PATIENCE, "the witness")
        return value[0].value, when[0].value

    def rate_is_true(self, vm, witness, rule, operation, key, window):
        value, when = self.recorded(vm, witness, rule, operation)
        # A sample is what QEMU had counted up to DELAY before; rate() takes what lies between the first and the last sample of the window, up to
        # a scrape interval shorter at each end, and extends it in proportion: 2 s of the window at most.
        low = (witness.at(when - DELAY, key) - witness.at(when - window, key)) / window
        high = (witness.at(when, key) - witness.at(when - window - DELAY, key)) / window
        slack = 2 / window
        check(low * (1 - slack) <= value <= high * (1 + slack),
              f"{vm.name}: {rule} of {operation} is {value:.1f}, but QEMU's own counter grew by {low:.1f} to {high:.1f} a second")
        if key.endswith("bytes"):
            print(f"         {vm.name} {operation:5} {rule:50} {value:10.0f}   QEMU: {witness.rate(when - window, when, key):10.0f}")

    def mean_is_true(self, vm, witness, operation, short):
        rule = "instance_vm_operation:qemu_blockdev_latency_seconds:mean2m"
        value, when = self.recorded(vm, witness, rule, operation)
        window = SECONDS["2m"]
        means = [witness.rate(when - window - delay, when - delay, f"{short}_total_time_ns") * 1e-9 /
                 witness.rate(when - window - delay, when - delay, f"{short}_operations") for delay in (0, 1, 2, DELAY)]
        # Single requests differ by orders of magnitude on a busy machine, and one at the edge may be in one window only.
        check(min(means) * 0.7 <= value <= max(means) * 1.3, f"{vm.name}: {rule} of {operation} is {value:.6f}, QEMU's own counters say {means}")
        print(f"         {vm.name} {operation:5} {rule:50} {value * 1e6:7.0f} us   QEMU: {means[1] * 1e6:7.0f} us")

    def totals_are_exact(self):
        """With the guests stopped, Prometheus has what QEMU has, to the byte: all of it by the collector, and since the packs are on by them. Only
        if QEMU's own writer of traces got no processor for so long that QEMU dropped records, and says so, may the packs have less."""
        for vm, witness in zip(self.vms, self.witnesses):
            witness.stop()
            vm.qmp("stop")
        for vm, before in zip(self.vms, self.at_first):
            after = vm.block_statistics()
            dropped = f'qemu_trace_dropped_events_total{{instance="{self.instance[vm.name]}",vm="{vm.name}"}}'
            for operation, short in (("read", "rd"), ("write", "wr")):
                labels = f'{{instance="{self.instance[vm.name]}",vm="{vm.name}",operation="{operation}"}}'
                for metric, wanted in (("qemu_blockdev_bytes_total", after[f"{short}_bytes"]),
                                       ("qemu_blockdev_operations_total", after[f"{short}_operations"]),
                                       ("qemu_virtio_blk_bytes_total", after[f"{short}_bytes"] - before[f"{short}_bytes"]),
                                       ("qemu_virtio_blk_request_duration_seconds_count", after[f"{short}_operations"] - before[f"{short}_operations"]),
                                       ("qemu_block_bytes_total", after[f"{short}_bytes"] - before[f"{short}_bytes"])):
                    def as_wanted():
                        found = [sample.value for sample in self.first.query(metric + labels)]
                        drops = sum(sample.value for sample in self.first.query(dropped))
                        # Each record that is missing may have been of a request, which are of 8 sectors (tests/guest/demo.S).
                        missing = 0 if "blockdev" in metric else drops * (8 * 512 if "bytes" in metric else 1)
                        return len(found) == 1 and wanted - missing <= found[0] <= wanted
                    self.stack.wait_for(as_wanted, PATIENCE, f"{metric}{labels} to be {wanted}")
            drops = sum(sample.value for sample in self.first.query(dropped))
            say(f"{vm.name}: {after['rd_bytes']} bytes read and {after['wr_bytes']} written, and Prometheus has the same, by collector and packs" +
                (f", but for {drops:g} records that QEMU dropped" if drops else ""))

    # ---- Many hosts

    def both_hosts_are_elsewhere(self):
        """While nothing moves: what the second Prometheus has of both hosts, by federation and from the agent, is what the first has."""
        def same(expression, only, drop=()):
            def values(prometheus, matchers):
                return {tuple(sorted((label, value) for label, value in sample.labels.items() if label not in drop)): sample.value
                        for sample in prometheus.query(expression.replace("}", matchers + "}"))}
            mine, theirs = values(self.first, ""), values(self.second, only)
            check(len({dict(labels)["instance"] for labels in mine}) == 2, f"{expression} has not both hosts: {mine}")
            check(mine == theirs, f"{expression} differs: {sorted(set(mine.items()) ^ set(theirs.items()))[:4]}")
            return len(mine)

        for expression in ("qemu_up{}", "qemu_vm_info{}", "instance_vm:qemond_trace_space_used_per_space:ratio{}"):
            count = self.stack.wait_for(lambda expression=expression: same(expression, 'site=""'), PATIENCE, f"{expression} by federation")
        for expression in ("qemu_up{}", "qemu_blockdev_bytes_total{}", "qemu_virtio_blk_request_duration_seconds_bucket{}", "qemu_irq_raised_total{}"):
            count = self.stack.wait_for(lambda expression=expression: same(expression, 'site="north"', ("site",)), PATIENCE, f"{expression} from the agent")
        say(f"the second Prometheus has the same series of both hosts, by federation and from the agent (the last: {count})")

    # ---- Alerts

    def nothing_is_wrong_yet(self):
        for alert in ("QemondTraceFileSystemFull", "QemondTraceSpaceLow", "QemondBudgetTripped", "QemuBlockOperationsFailed", "QemuInterruptStorm"):
            check(not self.first.alerts(alert), f"{alert} although nothing is wrong: {self.first.alerts(alert)}")
        # For these something that a busy machine did not do in time is a reason, which goes by.
        for alert in ("QemondDown", "QemuVmUnreachable", "QemuTraceEventsDropped", "QemuTraceIncomplete", "QemondCollectorFailing"):
            self.stack.wait_for(lambda alert=alert: not self.first.alerts(alert), PATIENCE, f"no {alert}, since nothing is wrong")

    def fires(self, name, meanwhile=lambda: None, **labels):
        def firing():
            meanwhile()
            return [alert for alert in self.first.alerts(name) if alert["state"] == "firing" and labels.items() <= alert["labels"].items()]
        alert = self.stack.wait_for(firing, PATIENCE, f"the alert {name} of {labels}")[0]
        say(f"{name} fires: {alert['annotations']['summary']}")
        for text in alert["annotations"].values():
            check("{{" not in text and "<no value>" not in text and "error" not in text.split(":")[0], f"{name} says: {text}")
        return alert

    def alerts_fire(self):
        web1, db1 = (dict(instance=self.instance[vm.name], vm=vm.name) for vm in self.vms)
        self.fires("QemuTraceEventOnForLong", **web1)
        # A disk that QEMU lets do five operations a second: each waits 200 ms.
        unlimited = {limit: 0 for limit in ("bps", "bps_rd", "bps_wr", "iops_rd", "iops_wr")}
        self.vms[0].qmp("block_set_io_throttle", device="virtio0", iops=5, **unlimited)
        for vm in self.vms:
            vm.qmp("cont")
        self.hosts[1].qemon("event", "on", FLOOD, "--vm", "db1")
        self.fires("QemondBudgetTripped", event=FLOOD, **db1)
        check(not [alert for alert in self.first.alerts("QemondBudgetTripped") if alert["labels"]["vm"] == "web1"], "web1 has tripped too")
        if self.simple.label:
            self.keep_writer_from_running(self.vms[1])
            self.hosts[1].qemon("event", "on", "visit_*", "--vm", "db1")  # 100,000 records for each answer of this command.
            self.fires("QemuTraceEventsDropped", lambda: self.vms[1].qmp("query-qmp-schema"), **db1)
        else:
            say("no QEMU with the backend `simple` in QEMON_TEST_QEMUS: no events are dropped, so QemuTraceEventsDropped was not tried")
        for alert in ("QemuBlockLatencyHigh", "QemuBlockMeanLatencyHigh"):
            self.fires(alert, **web1)

        self.vms[0].kill()
        self.fires("QemuVmUnreachable", **web1)
        check(self.first.query('count_over_time(ALERTS{alertname="QemuVmUnreachable",alertstate="pending"}[5m])'),
              "QemuVmUnreachable was never pending")
        check(len(self.first.alerts("QemuVmUnreachable")) == 1, "db1 is told to be unreachable too")
        self.stack.wait_for(lambda: [sample for sample in self.second.query('ALERTS{alertname="QemuVmUnreachable",alertstate="firing"}')
                                     if web1.items() <= sample.labels.items()], PATIENCE, "the alert in the second Prometheus")

        self.stack.processes.remove(self.hosts[1].process)
        self.hosts[1].process.stop()
        self.fires("QemondDown", instance=self.instance["db1"])

    @staticmethod
    def keep_writer_from_running(vm):
        """Lets the thread that empties QEMU's trace buffer run only when no other thread of this QEMU wants to: a burst then overflows it."""
        processor = {min(os.sched_getaffinity(0))}
        for thread in map(int, os.listdir(f"/proc/{vm.process.pid}/task")):
            os.sched_setaffinity(thread, processor)
            if pathlib.Path(f"/proc/{thread}/comm").read_text("utf-8").strip() == "trace-thread":
                os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))

    # ---- Names

    def names_are_real(self, rules):
        """Every metric and label that rules, alerts and promtool's tests name was seen."""
        seen = {}
        for labels in self.first.api("series", **{"match[]": '{__name__=~".+"}'}):
            seen.setdefault(labels["__name__"], set()).add(frozenset(labels) - {"__name__"})
        problems = []
        for rule in rules:
            asked = selectors(rule["query"])
            for name, labels in asked.items():
                if name not in seen:
                    problems.append(f"{rule['name']}: {name} was not seen")
                elif not any(labels <= names for names in seen[name]):
                    problems.append(f"{rule['name']}: {name} has no labels {labels}, but {[sorted(names) for names in seen[name]]}")
            known = {label for name in asked for names in seen.get(name, ()) for label in names}
            problems += [f"{rule['name']}: {label} is a label of none of {set(asked)}" for label in grouping_labels(rule["query"]) - known]
            for label in re.findall(r"\$labels\.(\w+)", " ".join(rule.get("annotations", {}).values())):
                if label not in known:
                    problems.append(f"{rule['name']}: its text names the label {label}")
        tests = "".join((ROOT / "tests/prometheus" / name).read_text("utf-8") for name in ("rules.test.yml", "alerts.test.yml"))
        for name, labels in sorted(input_series(tests), key=str):
            if labels not in seen.get(name, ()):
                problems.append(f"promtool's tests use {name} with the labels {sorted(labels)}, seen were {[sorted(names) for names in seen.get(name, ())]}")
        check(not problems, "\n".join(problems))
        say(f"every metric and label of {len(rules)} rules and {len(input_series(tests))} kinds of series of promtool's tests was seen")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    prometheus = os.environ.get("QEMON_PROMETHEUS", "prometheus")
    for program, cure in ((prometheus, "install prometheus or set QEMON_PROMETHEUS"), ("qemu-system-x86_64", "install qemu-system-x86")):
        if not shutil.which(program):
            print(f"no {program}: {cure}")
            sys.exit(77)
    try:
        with Stack(sys.argv[1], prometheus=prometheus) as stack:
            live = Live(stack, build("simple"))
            live.start()
            rules = live.records_are_there()
            live.figures_are_true()
            live.nothing_is_wrong_yet()
            live.totals_are_exact()
            live.both_hosts_are_elsewhere()
            live.alerts_fire()
            live.names_are_real(rules)
        say("all ended")
    except (Failure, RuntimeError) as failure:
        sys.exit(f"FAILED: {failure}")


BEGIN = time.monotonic()
if __name__ == "__main__":
    main()
