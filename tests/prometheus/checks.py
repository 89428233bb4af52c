#!/usr/bin/env python3
"""Checks of the shipped rules that need nothing running: each is tested by promtool both ways and documented, and asks only for documented metrics.

    checks.py [SOURCE FOLDER]
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEYWORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"}
NOT_OURS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}  # "process_*" in metrics.md.


def selectors(expression):
    """{metric: the labels that are asked of it} of a PromQL expression."""
    found = {}
    text = re.sub(r"\b(by|without|on|ignoring|group_left)\s*\([^)]*\)", r"\1 ", expression)
    for name, matchers in re.findall(r"\b([a-zA-Z_][\w:]*)(?![\w:]*\s*\()\s*(\{[^}]*\})?", re.sub(r"\[\w+\]|offset \w+", "", text)):
        if name in KEYWORDS or not re.search(r"[_:]|^up$", name):
            continue
        found.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
    # Names within matchers' strings are no metrics.
    strings = set(re.findall(r"\w+", " ".join(re.findall(r'"[^"]*"', expression))))
    labels = {label for group in found.values() for label in group}
    return {name: asked for name, asked in found.items() if name not in strings and name not in labels}


def grouping_labels(expression):
    """The labels of its by, without, on and ignoring."""
    lists = re.findall(r"\b(?:by|without|on|ignoring|group_left)\s*\(([^)]*)\)", expression)
    return {label for text in lists for label in re.findall(r"\w+", text)}


def input_series(tests):
    """(metric, its label names) of each series of promtool's tests."""
    return {(name, frozenset(re.findall(r'(\w+)="', labels))) for name, labels in re.findall(r"series: '(\w+)\{(.*?)\}'", tests)}


def base(metric):
    """The name in metrics.md: that of a histogram for its parts."""
    return re.sub(r"_(bucket|sum|count)$", "", metric)


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    rules = (root / "grafana/prometheus/rules/qemon.rules.yml").read_text("utf-8")
    alerts = (root / "grafana/prometheus/rules/qemon.alerts.yml").read_text("utf-8")
    rules_tests = (root / "tests/prometheus/rules.test.yml").read_text("utf-8")
    alerts_tests = (root / "tests/prometheus/alerts.test.yml").read_text("utf-8")
    metrics = (root / "docs/metrics.md").read_text("utf-8")
    page = (root / "docs/prometheus.md").read_text("utf-8")
    problems = []

    records = re.findall(r"(?m)^\s*- record: (\S+)", rules)
    tested = set(re.findall(r"[\w]+:[\w:]+", " ".join(re.findall(r"(?m)expr: '(.*?)'", rules_tests))))
    problems += [f"{name} is not tested in rules.test.yml" for name in sorted(set(records) - tested)]
    problems += [f"{name}: no rule of this name, but a test" for name in sorted(tested - set(records))]

    names = re.findall(r"(?m)^\s*- alert: (\S+)", alerts)
    for number, name in enumerate(names):
        rule = alerts.split(f"- alert: {name}\n")[1].split("- alert: ")[0]
        for wanted in ("severity: ", "summary: ", "description: "):
            if wanted not in rule:
                problems.append(f"{name} has no {wanted[:-2]}")
        if not re.search(rf"alertname: {name}, exp_alerts: \[\]", alerts_tests):
            problems.append(f"{name} is never expected not to fire in alerts.test.yml")
        if not re.search(rf"alertname: {name}\n\s+exp_alerts:\n\s+- exp_labels", alerts_tests):
            problems.append(f"{name} is never expected to fire in alerts.test.yml")
        if f"`{name}`" not in page:
            problems.append(f"{name} is not in docs/prometheus.md")
        if name in names[:number]:
            problems.append(f"{name} is there twice")

    expressions = re.findall(r"(?m)^\s+expr: (?!>-)(.+)", rules + alerts)
    expressions += [re.sub(r"\s+", " ", text) for text in re.findall(r"expr: >-\n((?:\s{10,}.*\n)+)", rules + alerts)]
    if len(expressions) != len(records) + len(names):
        problems.append(f"{len(records) + len(names)} rules but {len(expressions)} expressions were found")
    asked = {name for text in expressions for name in selectors(text)} | {name for name, _ in input_series(rules_tests + alerts_tests)}
    for name in sorted(asked - NOT_OURS):
        if ":" in name and name not in records:
            problems.append(f"{name} is asked for, but no rule records it")
        if ":" not in name and not re.search(rf"`{base(name)}(\{{[^`]*)?`", metrics):
            problems.append(f"{name} is asked for, but not in docs/metrics.md")

    groups = re.findall(r"(?m)^  - name: (\S+)", rules), re.findall(r"(?m)^  - name: (\S+)", alerts)
    for name, tests, wanted in (("rules.test.yml", rules_tests, groups[0]), ("alerts.test.yml", alerts_tests, groups[0] + groups[1])):
        order = re.search(r"(?m)^group_eval_order: \[(.*)\]$", tests)
        if not order or order.group(1).split(", ") != wanted:
            problems.append(f"{name}: group_eval_order must be [{', '.join(wanted)}], or promtool evaluates the groups in a random order")

    for problem in problems:
        print(problem)
    print(f"{len(records)} recording rules, {len(names)} alerts, {len(asked)} metrics: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
