#!/usr/bin/env python3
"""Runs the wrong inputs of the tables here (*.table) through the real programs, and reports every answer that is not what the table says.

usage: inputs_test.py BIN_DIR [TABLE]...
       inputs_test.py --accept BIN_DIR [TABLE]...    writes what was answered into the tables, to be read before it is committed

A table is made of blocks between blank lines, a line each beginning with
  #   a remark; ## a group
  $   the command, as bash takes it
  @   a file that there is beforehand, and below it
  |   its lines, or
  %   its bytes with Python's escapes (\\x00, \\t) and without an end of line, or
  <   the file of tests/data that it is a copy of
  =   the exit status, if it is not 2
  >   what is said, on standard error
A block of ## gives command, files and status to the cases behind it that do not have their own. `- ` in front of > says that no cure is
expected in that line, or no culprit: only where there is none.

Every case must also: say one line for each mistake, and name in it something that stands in the input and a cure; write nothing to
standard output (= 1! allows that: what could be done was shown); end by itself, not by a signal; and leave no file behind, but for a
qemond's below run/. QEMON_SOCKET is the socket of a qemond with one VM, web1.
"""
import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from fake_qemu import FakeQemu  # noqa: E402

DATA = HERE.parent / "data"
DEADLINE = 60
CASES_MIN = 130
# A cure says what to do, or what would be right. Where a file is missing that the user has named, there is none to tell.
CURES = re.compile(r"\b(write|give|use|see|did you mean|for instance|should|must|need|name|remove|start|make|choose|say|correct|detach|one by one|"
                   r"indent|leave|the keys are|It has|each has|no regular file|No such file|(is|are) (missing|required)|there are|ends? in|"
                   r"begins with|at most|at least|from 1 to 65535|given twice|watches|not in \{)")


@dataclasses.dataclass
class Case:
    place: str = ""
    command: str = ""
    files: dict = dataclasses.field(default_factory=dict)
    status: int = 2
    may_show: bool = False
    said: list = dataclasses.field(default_factory=list)
    excused: set = dataclasses.field(default_factory=set)  # Lines without cure or culprit.
    lines: list = dataclasses.field(default_factory=list)  # As they stand in the table, without what is said.


def read_block(block, place, group):
    case = Case(place, group.command, {}, group.status)
    name = next(iter(group.files), None)
    own = {}
    for line in block:
        mark, rest = line[0], line[2:]
        if mark == "$":
            case.command = rest
        elif mark == "@":
            name = rest
            own[name] = b""
        elif mark == "|":
            own[name] = own.get(name, b"") + rest.encode() + b"\n"
        elif mark == "%":
            own[name] = own.get(name, b"") + rest.encode().decode("unicode_escape").encode("latin-1")
        elif mark == "<":
            own[name] = (DATA / rest).read_bytes()
        elif mark == "=":
            case.status = int(rest.rstrip("!"))
            case.may_show = rest.endswith("!")
        elif mark == ">":
            case.said.append(rest)
        elif line.startswith("- >"):
            case.said.append(line[4:])
            case.excused.add(len(case.said) - 1)
        elif mark != "#":
            sys.exit(f"{place}: what does {line!r} mean?")
        if mark != ">" and not line.startswith("- >"):
            case.lines.append(line)
    case.files = {**group.files, **own}
    return case


def read_table(path):
    """[(block of lines, Case or None)] in the order of the file."""
    found, group, number = [], Case(), 0
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    for text in blocks:
        block = [line for line in text.split("\n") if line]
        place = f"{path.name}:{number + 1}"
        number += text.count("\n") + 2
        if block and block[0].startswith("##"):
            group = read_block([line for line in block if line[0] != "#"], place, Case())
            if group.said:
                sys.exit(f"{place}: a ## block says nothing: an empty line is missing")
            found.append((block, None))
        elif not block or all(line[0] == "#" for line in block):
            found.append((block, None))
        else:
            found.append((block, read_block(block, place, group)))
    return found


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def run(case, environment):
    """(what was said, complaints)"""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for path, content in case.files.items():
            if path.endswith("/"):
                (folder / path).mkdir(parents=True)
                continue
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        before = contents(folder)
        try:
            done = subprocess.run(["bash", "-c", case.command], cwd=folder, env={**environment, "HOME": name, "HERE": name},
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE, check=False)
        except subprocess.TimeoutExpired:
            return [], [f"does not end within {DEADLINE} s"]
        said = done.stderr.decode(errors="backslashreplace")
        for absolute in (name, str(pathlib.Path(environment["QEMON_SOCKET"]).parent)):
            said = said.replace(absolute + "/", "")
        said = said.splitlines()
        complaints = []
        left = sorted(path for path in set(contents(folder)) ^ set(before) if not path.startswith("run"))
        if left or contents(folder).items() < before.items():
            complaints.append(f"left behind, changed or removed: {left}")
        if done.stdout and not case.may_show:
            complaints.append(f"standard output: {done.stdout[:200]}")
        if done.returncode != case.status:
            complaints.append(f"exit status {done.returncode}, not {case.status}")
        return said, complaints


def complaints_about(case, said):
    """What every message must have, whatever it is."""
    text = case.command + " " + " ".join(content.decode(errors="replace") for content in case.files.values())
    words = {word.lower() for word in re.findall(r"[\w-]{2,}|\d", text)}
    for number, line in enumerate(said):
        if number in case.excused:
            continue
        if not words & {word.lower() for word in re.findall(r"[\w-]{2,}|\d", line.split(": ", 1)[-1])}:
            yield f"names no culprit: {line}"
        if not CURES.search(line):
            yield f"names no cure: {line}"


@contextlib.contextmanager
def running_qemond(bin_dir):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with FakeQemu(bin_dir, folder / "vms", "tcg") as fake:
            fake.tell("add web1")
            with open(folder / "log", "wb") as log:
                daemon = subprocess.Popen([bin_dir / "qemond", "--listen", "127.0.0.1:0", "--runtime-dir", folder, "--vm",
                                           f"web1=unix:{folder}/vms/web1.qmp"], stdout=log, stderr=log)
            try:
                environment = {"PATH": f"{bin_dir}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "QEMON_SOCKET": f"{folder}/control.sock"}
                deadline = time.monotonic() + DEADLINE
                while b"web1: attached" not in subprocess.run([bin_dir / "qemon", "status"], env=environment, capture_output=True,
                                                              check=False).stdout:
                    if daemon.poll() is not None or time.monotonic() > deadline:
                        sys.exit("qemond is not ready: " + (folder / "log").read_text(encoding="utf-8"))
                    time.sleep(0.05)
                yield environment
            finally:
                daemon.terminate()
                if daemon.wait(DEADLINE) != 0:
                    sys.exit("qemond did not end well: " + (folder / "log").read_text(encoding="utf-8"))


def leases(bin_dir, environment):
    return subprocess.run([bin_dir / "qemon", "lease", "list"], env=environment, capture_output=True, check=False).stdout


def write_table(path, table, answers):
    blocks = []
    for block, case in table:
        if case is None:
            blocks.append("\n".join(block))
        else:
            said = answers[case.place]
            marks = ["- > " if number in case.excused else "> " for number in range(len(said))]
            blocks.append("\n".join(case.lines + [mark + line for mark, line in zip(marks, said)]))
    path.write_text("\n\n".join(blocks).rstrip("\n") + "\n", encoding="utf-8")


def main():
    arguments = sys.argv[1:]
    accept = arguments[:1] == ["--accept"]
    arguments = arguments[accept:]
    if not arguments:
        sys.exit(__doc__)
    bin_dir = pathlib.Path(arguments[0]).resolve()
    paths = [pathlib.Path(path).resolve() for path in arguments[1:]] or sorted(HERE.glob("*.table"))
    count, problems, seen = 0, [], {}
    with running_qemond(bin_dir) as environment:
        leases_before = leases(bin_dir, environment)
        for path in paths:
            table, answers = read_table(path), {}
            for case in (case for _, case in table if case):
                count += 1
                said, complaints = run(case, environment)
                answers[case.place] = said
                complaints += complaints_about(case, said)
                if said != case.said and not accept:
                    complaints.append("was to say\n    " + "\n    ".join(case.said) + "\n  but said\n    " + "\n    ".join(said))
                key = (case.command, tuple(sorted(case.files.items())))
                if key in seen:
                    complaints.append(f"is {seen[key]} once more")
                seen[key] = case.place
                problems += [f"{case.place}: {case.command}: {complaint}" for complaint in complaints]
            if accept:
                write_table(path, table, answers)
        if leases(bin_dir, environment) != leases_before:
            problems.append("leases are left: " + leases(bin_dir, environment).decode())
    if len(arguments) == 1 and count < CASES_MIN:
        problems.append(f"only {count} cases were found")
    for problem in problems:
        print(problem)
    print(f"{count} wrong inputs, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    for program in ("bash",):
        if not shutil.which(program):
            sys.exit(f"no {program}")
    sys.exit(main())
