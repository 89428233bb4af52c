#!/usr/bin/env python3
"""Checks the dashboards as files: that they are what grafana/source says, that they are complete and consistent, and that every metric
they ask for is in docs/metrics.md. Needs neither Prometheus nor Grafana."""
import collections
import gzip
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "grafana"))

import generate  # noqa: E402

# Uids are in people's bookmarks and links: they never change.
UIDS = {"qemon-fleet", "qemon-vm", "qemon-experiment", "qemon-execution", "qemon-daemon"}

# Of Grafana's: bytes and bytes a second; shares and processors; seconds; events, operations, requests and instructions a second; counts.
UNITS = {"bytes", "Bps", "percentunit", "s", "cps", "iops", "reqps", "ops", "short", "none"}

# Of Prometheus itself, about every target; and what every client library exports (docs/metrics.md: process_*).
OF_PROMETHEUS = {"up", "scrape_duration_seconds", "scrape_samples_scraped"}
OF_CLIENTS = {f"process_{name}" for name in (
    "cpu_seconds_total", "open_fds", "max_fds", "virtual_memory_bytes", "resident_memory_bytes", "start_time_seconds")}

OF_GRAFANA = re.compile(r"__\w+|\d+")  # Variables of Grafana's own; groups of regular expressions.


def documented():
    """The metrics of docs/metrics.md, with what histograms are exported as."""
    names = set(OF_PROMETHEUS | OF_CLIENTS)
    for line in (ROOT / "docs/metrics.md").read_text(encoding="utf-8").splitlines():
        found = re.findall(r"`((?:qemu|qemond)_[a-z0-9_]+)(?:\{[^}`]*\})?`", line)
        names.update(found)
        if "histogram" in [cell.strip() for cell in line.split("|")]:
            names.update(name + suffix for name in found for suffix in ("_bucket", "_sum", "_count"))
    return names | kvm_names()


def kvm_names():
    """docs/metrics.md says how a name of the kernel's becomes one of ours; which there are, a recording of a KVM host says."""
    with gzip.open(ROOT / "tests/data/qmp-7.2-kvm.jsonl.gz", "rt", encoding="utf-8") as recording:
        schemas = next(line for line in recording if '"cumulative' in line or '\\"cumulative' in line)
    counters = set()
    for found in re.finditer(r"\{[^{}]*\}", schemas.replace("\\", "")):
        name = re.search(r'"name": ?"([a-z0-9_]+)"', found[0])
        if name and "cumulative" in found[0]:
            counters.add("qemu_kvm_" + re.sub(r"_ns$", "_seconds", name[1]) + "_total")
    return counters


def metrics_in(expression):
    without_strings = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    return set(re.findall(r"(?<![\w$])(?:(?:qemu|qemond|process|scrape)_\w+|up)\b(?!\s*\()", without_strings))


def variables_in(value):
    """Names of variables in all strings of some JSON."""
    if isinstance(value, str):
        return {name for name in re.findall(r"\$\{?(\w+)", value) if not OF_GRAFANA.fullmatch(name)}
    if isinstance(value, dict):
        value = list(value.values())
    return set().union(*map(variables_in, value)) if isinstance(value, list) else set()


def strings_in(value):
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for one in value for text in strings_in(one)] if isinstance(value, list) else []


class Checker:
    def __init__(self):
        self.problems = []
        self.known = documented()
        self.counts = collections.Counter()

    def expect(self, condition, where, what):
        if not condition:
            self.problems.append(f"{where}: {what}")

    def expression(self, where, expression):
        self.counts["queries"] += 1
        names = metrics_in(expression)
        self.expect(names, where, f"asks for no metric: {expression}")
        for name in sorted(names - self.known):
            self.expect(False, where, f"{name} is not in docs/metrics.md")
        self.expect(not re.search(r"vector\s*\(|absent\w*\s*\(", expression), where, "makes up a figure where there is none")
        for window in re.findall(r"\b(?:rate|irate|increase|changes)\([^\[]*\[([^\]]*)\]", expression):
            self.expect(window in ("$__rate_interval", "$__range"), where, f"a rate over [{window}]")

    def dashboard(self, path):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        where = path.name
        self.expect(path.stem == dashboard["uid"], where, "is not named after its uid")
        self.expect(dashboard["schemaVersion"] >= 39, where, "schemaVersion is that of an old Grafana")
        self.expect(len(dashboard["description"]) > 20, where, "has no description")
        self.expect(dashboard["tags"] == ["qemon"], where, "lacks the tag by which the dashboards link to each other")
        self.expect(any(link["tags"] == ["qemon"] for link in dashboard["links"]), where, "has no links to the others")
        self.variables(where, dashboard)
        for annotation in dashboard["annotations"]["list"]:
            self.expression(f"{where}: annotation {annotation['name']}", annotation["target"]["expr"])
        self.expect(len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"]), where, "two panels have the same id")
        self.places(where, dashboard["panels"])
        for panel in dashboard["panels"]:
            if panel["type"] != "row":
                self.panel(f"{where}: {panel['title']}", panel)
        for text in strings_in(dashboard):
            for uid in re.findall(r"/d/([\w-]+)", text):
                self.expect(uid in UIDS, where, f"links to {uid}, which there is not")
            self.expect(not re.search(r"https?://", text), where, f"holds an address: {text}")
        return dashboard["uid"]

    def variables(self, where, dashboard):
        defined = []
        for variable in dashboard["templating"]["list"]:
            query = variable["query"]["query"] if isinstance(variable["query"], dict) else ""
            for name in variables_in(query):
                self.expect(name in defined, where, f"the variable {variable['name']} asks for ${name}, which does not come before it")
            if query:
                self.expression(f"{where}: variable {variable['name']}", query)
            self.expect(variable["name"] not in defined, where, f"${variable['name']} is defined twice")
            defined.append(variable["name"])
        rest = [dashboard["panels"], dashboard["annotations"]]
        used = variables_in(rest) | variables_in(dashboard["templating"])
        for name in sorted(used - set(defined)):
            self.expect(False, where, f"${name} is used and not defined")
        for name in sorted(set(defined) - used):
            self.expect(False, where, f"${name} is defined and not used")

    def places(self, where, panels):
        taken = {}
        for panel in panels:
            place = panel["gridPos"]
            in_grid = place["x"] >= 0 and place["w"] > 0 and place["h"] > 0 and place["x"] + place["w"] <= 24
            self.expect(in_grid, where, f"{panel['title']} is not in the grid")
            for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
                if cell in taken:
                    self.expect(False, where, f"{panel['title']} overlaps {taken[cell]}")
                    break
                taken[cell] = panel["title"]

    def panel(self, where, panel):
        self.counts["panels"] += 1
        described = len(panel["description"]) >= 40 and panel["description"].endswith(".")
        self.expect(described, where, "does not say what the figure is and what to do")
        self.expect(panel["fieldConfig"]["defaults"].get("unit") in UNITS, where, "has no unit, or one of Grafana's that the others do not use")
        self.expect(panel["datasource"]["uid"] == "${datasource}", where, "is bound to one data source")
        self.expect(panel["targets"], where, "asks for nothing")
        self.expect(len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), where, "two queries have the same name")
        for target in panel["targets"]:
            self.expression(where, target["expr"])
            self.expect(target["instant"] == (panel["type"] in ("table", "stat")), where,
                        "an instant query is for tables and single figures, and only for them")
            if panel["type"] == "timeseries":
                self.expect(target["legendFormat"] != "__auto", where, "a line has no name")
            if "_bucket" in target["expr"]:
                drawn = "histogram_quantile" in target["expr"] or panel["type"] == "heatmap"
                self.expect(drawn, where, "buckets are for quantiles and heat maps")
        if panel["type"] in ("timeseries", "heatmap", "state-timeline"):
            legend = panel["options"]["legend"]
            self.expect(legend.get("showLegend", legend.get("show")), where, "has no legend")


def main():
    if generate.main(["--check"]) != 0:
        return 1
    checker = Checker()
    uids = [checker.dashboard(path) for path in sorted((ROOT / "grafana/dashboards").glob("*.json"))]
    checker.expect(sorted(uids) == sorted(UIDS), "grafana/dashboards", f"the uids are {uids}")
    page = (ROOT / "docs/grafana.md").read_text(encoding="utf-8")
    for uid in uids:
        checker.expect(f"`{uid}`" in page, "docs/grafana.md", f"does not tell of {uid}")
    for problem in checker.problems:
        print(problem)
    print(f"{len(uids)} dashboards, {checker.counts['panels']} panels, {checker.counts['queries']} queries: {len(checker.problems)} problems")
    return 1 if checker.problems else 0


if __name__ == "__main__":
    sys.exit(main())
