#!/usr/bin/env python3
"""Writes the dashboards in dashboards/ from what source/ says of them.

    generate.py            writes them
    generate.py --check    exits with 1, and says which, if one is not what source/ says
"""
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))
sys.dont_write_bytecode = True

from source import daemon, execution, experiment, fleet, vm  # noqa: E402

DASHBOARDS = [fleet.DASHBOARD, vm.DASHBOARD, experiment.DASHBOARD, execution.DASHBOARD, daemon.DASHBOARD]


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit("usage: generate.py [--check]")
    wanted = {FOLDER / "dashboards" / f"{one.uid}.json": one.text() for one in DASHBOARDS}
    if not arguments:
        for path, text in wanted.items():
            path.write_text(text, encoding="utf-8")
        return 0
    there = {path: path.read_text(encoding="utf-8") for path in (FOLDER / "dashboards").glob("*.json")}
    wrong = sorted(path.name for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path))
    for name in wrong:
        print(f"grafana/dashboards/{name} is not what grafana/source says: run grafana/generate.py")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
