#!/usr/bin/env python3
"""Checks the dashboards against the types of Grafana's own schema package (@grafana/schema on npm), of Grafana 11 and 13, with the
TypeScript compiler.

    schema.py CACHE    packages are kept in CACHE; exits with 77 if they are not there and the registry cannot be reached
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SKIPPED = 77

# `paths` of a compilation: where "@grafana/schema" is, and the deep imports of types.ts.
VERSIONS = {
    "11": {"@grafana/schema/dist/esm/raw/*": ["./node_modules/@grafana/schema/dist/esm/raw/*.d.ts"]},
    "13": {"@grafana/schema": ["./node_modules/grafana-schema-13/dist/types/index.d.ts"],
           "@grafana/schema/dist/esm/raw/*": ["./node_modules/grafana-schema-13/dist/esm/raw/*.d.ts"]},
}
UNREACHABLE = re.compile(r"ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|E50[234]|network")


def main(cache):
    for command in ("node", "npm"):
        if not shutil.which(command):
            print(f"skipped: there is no {command}; install it with tests/tools/install-packages.sh test")
            return SKIPPED
    modules = packages(pathlib.Path(cache))
    if modules is None:
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="qemon-schema.") as name:
        folder = pathlib.Path(name)
        (folder / "node_modules").symlink_to(modules)
        for source in (HERE / "schema").glob("*.ts"):
            shutil.copy(source, folder)
        dashboards = sorted((ROOT / "grafana/dashboards").glob("*.json"))
        if not dashboards:
            sys.exit("there is no dashboard in grafana/dashboards")
        panels = sum(write_source(path, folder) for path in dashboards)
        wrong = [version for version, paths in VERSIONS.items() if not compiles(folder, version, paths)]
    if wrong:
        return 1
    print(f"{len(dashboards)} dashboards with {panels} panels are what Grafana {' and '.join(VERSIONS)} describe")
    return 0


def packages(cache):
    """The folder node_modules with what package-lock.json says; None if it cannot be had."""
    lock = (HERE / "schema/package-lock.json").read_bytes()
    folder = cache / f"npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "schema" / name, folder)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1",
                               "--fetch-timeout=60000"], cwd=folder, capture_output=True, text=True, timeout=400)
        if done.returncode != 0:
            said = (done.stderr + done.stdout).strip()
            if UNREACHABLE.search(said):
                print("skipped: the npm registry cannot be reached:", next(line for line in said.splitlines() if UNREACHABLE.search(line)))
                return None
            sys.exit(f"npm ci failed: {said}")
        (folder / "complete").touch()
    return folder / "node_modules"


def write_source(path, folder):
    """One constant for each panel, so that a message of the compiler names it, and one for the rest. Returns how many panels there are."""
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    lines = ['import type { DashboardFile, Panels } from "./types";']
    names = []
    for panel in dashboard["panels"]:
        names.append(f"panel_{panel['id']}")
        lines.append(f"const {names[-1]}: Panels[{json.dumps(panel['type'])}] = {json.dumps(panel, indent=1)};")
    dashboard["panels"] = []
    text = json.dumps(dashboard, indent=1).replace('"panels": []', f'"panels": [{", ".join(names)}]')
    lines.append(f"export const dashboard: DashboardFile = {text};")
    (folder / f"{path.stem}.ts").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return sum(panel["type"] != "row" for panel in json.loads(path.read_text(encoding="utf-8"))["panels"])


def compiles(folder, version, paths):
    config = folder / f"tsconfig.{version}.json"
    config.write_text(json.dumps({
        "compilerOptions": {"strict": True, "noEmit": True, "skipLibCheck": True, "target": "es2022", "lib": ["es2022", "dom"],
                            "module": "es2022", "moduleResolution": "bundler", "types": [], "paths": paths},
        "include": ["*.ts"],
    }), encoding="utf-8")
    done = subprocess.run(["node", folder / "node_modules/typescript/bin/tsc", "--project", config], cwd=folder,
                          capture_output=True, text=True, timeout=300, env={**os.environ, "NO_COLOR": "1"})
    if done.returncode != 0:
        print(f"against Grafana {version}:\n{done.stdout}{done.stderr}")
    return done.returncode == 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: schema.py CACHE")
    sys.exit(main(sys.argv[1]))
