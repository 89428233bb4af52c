#!/usr/bin/env python3
"""Runs clang-tidy on the product's C++ files that may have changed since they last passed.

usage: tidy.py BUILD_DIR CACHE_DIR [FILE...]

BUILD_DIR has a compile_commands.json, and was built with Ninja, which knows the headers of each file. A file that passed
is remembered under a hash of everything its result depends on: clang-tidy, its configuration, the compile command, the
contents of the file and of our headers, and the size and time of all others. Exit status 1 if there are findings.
Tests are not checked: they would take as long again.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

UNUSED_DAYS = 60
SKIPPED = {
    "base/asio_impl.cpp",  # Two includes, which make it all of Asio.
}


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__.split("\n\n")[1])
    root = pathlib.Path(__file__).resolve().parents[2]
    build = pathlib.Path(sys.argv[1]).resolve()
    cache = pathlib.Path(sys.argv[2])
    cache.mkdir(parents=True, exist_ok=True)
    forget_unused(cache)
    tool = shutil.which("clang-tidy-14") or shutil.which("clang-tidy")
    if tool is None:
        sys.exit("tidy.py: no clang-tidy; install it with tests/tools/install-packages.sh test")

    entries = json.loads((build / "compile_commands.json").read_text())
    wanted = {str(pathlib.Path(name).resolve()) for name in sys.argv[3:]}
    headers = headers_of_objects(build)
    common = hashed(
        subprocess.run([tool, "--version"], capture_output=True, check=True).stdout,
        (root / ".clang-tidy").read_bytes(),
    )
    todo = []
    files = 0
    for entry in entries:
        source = str(pathlib.Path(entry["directory"], entry["file"]).resolve())
        if not is_product(source, root, build) or (wanted and source not in wanted):
            continue
        files += 1
        passed = cache / key_of(entry, source, headers, common, root, build)
        if passed.exists():
            passed.touch()
        else:
            todo.append((source, passed))

    print(f"clang-tidy: {len(todo)} of {files} files to check", file=sys.stderr, flush=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = [pool.submit(check, tool, build, *item) for item in todo]
        failed = sum(not result.result() for result in concurrent.futures.as_completed(results))
    if failed:
        sys.exit(f"clang-tidy: {failed} file(s) with findings, listed above")


def check(tool, build, source, passed):
    """True if there is nothing to find in the file, which is then remembered."""
    result = subprocess.run([tool, "--quiet", "--extra-arg=-Wno-unknown-warning-option", "-p", build, source], capture_output=True, text=True, check=False)
    if result.returncode == 0:
        passed.touch()
        return True
    print(result.stdout or result.stderr, end="", flush=True)
    return False


def key_of(entry, source, headers, common, root, build):
    """Names what a result depends on. Paths below the root count as relative: a second clone profits from the first."""
    command = entry.get("command") or shlex.join(entry["arguments"])
    parts = [common, command.replace(str(root), "").encode()]
    for name in [source, *sorted(headers.get(object_of(entry), []))]:
        path = pathlib.Path(name)
        if is_ours(name, root, build):
            parts += [str(path.relative_to(root)).encode(), path.read_bytes()]
        else:
            stat = path.stat()
            parts.append(f"{name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return hashed(*parts)


def object_of(entry):
    """The object file, as Ninja names it."""
    if "output" in entry:
        return entry["output"]
    words = shlex.split(entry["command"])
    return words[words.index("-o") + 1]


def headers_of_objects(build):
    """For each object file what it was made from, as Ninja has recorded it."""
    text = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True).stdout
    result = {}
    for block in text.split("\n\n"):
        lines = block.splitlines()
        if lines and ": #deps" in lines[0]:
            result[lines[0].split(": #deps")[0]] = [os.path.normpath(build / line.strip()) for line in lines[1:]]
    return result


def is_ours(name, root, build):
    """Sources that are made during the build, and those of libraries, are not for us to mend."""
    path = pathlib.Path(name)
    return path.is_relative_to(root) and not path.is_relative_to(build)


def is_product(name, root, build):
    if not is_ours(name, root, build):
        return False
    relative = pathlib.Path(name).relative_to(root)
    return relative.parts[0] != "tests" and str(relative) not in SKIPPED


def forget_unused(cache):
    limit = time.time() - UNUSED_DAYS * 86400
    for path in cache.iterdir():
        if path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)


def hashed(*parts):
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


main()
