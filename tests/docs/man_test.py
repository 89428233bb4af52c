#!/usr/bin/env python3
"""Whether the man pages can be read, and tell neither more nor less than the programs understand: every option of every command,
every key of the configuration file and of packs. usage: man_test.py BIN_DIR"""
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

import man_pages
from man_pages import run

BIN = pathlib.Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else None
PAGES = sorted(path.name for path in man_pages.FOLDER.iterdir())
NO_KEY = "zzzzzzzzzzzz"  # Like no key, so that the answer is all the keys that there are.


def help_of(program, *command):
    """The options and the commands that --help shows."""
    done = run(BIN / program, *command, "--help")
    assert done.returncode == 0, done.stderr
    parts = dict(re.findall(r"(?ms)^(\w+):\n(.*?)(?=^\w+:\n|\Z)", done.stdout))
    options = {name for line in re.findall(r"(?m)^  (-\S+)", parts.get("Options", "")) for name in line.split(",")}
    return options, re.findall(r"(?m)^  ([a-z]\S*)", parts.get("Subcommands", ""))


def commands_of(program, *command):
    """{("event", "on"): options} of all commands that have no commands below them."""
    options, below = help_of(program, *command)
    if not below:
        return {command: options}
    return {path: shown for name in below for path, shown in commands_of(program, *command, name).items()}


def keys_told(text):
    """The keys that a mistake lists: "the keys are a, b" or "there are a, b and c"."""
    found = re.search(r"(?:the keys are|there are|should have the keys) ([a-z_, -]+?)$", text, re.M)
    return set(re.split(r", | and ", found[1])) if found else set()


class Reading(unittest.TestCase):
    def check(self, *command):
        self.assertTrue(shutil.which(command[0]), f"{command[0]} is missing: see tests/tools/install-packages.sh")
        for page in PAGES:
            with self.subTest(page=page):
                done = run(*command, man_pages.FOLDER / page)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                if "lint" in command:
                    self.assertEqual(done.stdout, "")

    def test_man_has_no_warnings(self):
        self.check("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z")

    def test_mandoc_has_no_complaints(self):
        self.check("mandoc", "-T", "lint")

    def test_all_pages_are_installed(self):
        rules = (man_pages.FOLDER.parent / "CMakeLists.txt").read_text(encoding="utf-8")
        for page in PAGES:
            self.assertRegex(rules, rf"FILES .*\bman/{re.escape(page)}\b.* DESTINATION \S*/man{page[-1]}\)")

    def test_pages_refer_to_pages_that_exist(self):
        for page in PAGES:
            for name, number in re.findall(r"(?m)^\.BR (qemo\S+) \((\d)\)", (man_pages.FOLDER / page).read_text(encoding="utf-8")):
                self.assertIn(name.replace("\\-", "-") + "." + number, PAGES, page)


class Options(unittest.TestCase):
    def test_qemon_has_those_of_its_page(self):
        self.assertEqual(help_of("qemon")[0], man_pages.of("qemon.1", "OPTIONS")[""].options())

    def test_qemond_has_those_of_its_page(self):
        self.assertEqual(help_of("qemond")[0], man_pages.of("qemond.8", "OPTIONS")[""].options())

    def test_defaults_are_the_same_everywhere(self):
        page, keys = man_pages.of("qemond.8", "OPTIONS")[""], man_pages.of("qemond.yaml.5", "TOP LEVEL")[""]
        settings = man_pages.of("qemond.yaml.5", "SETTINGS")[""]
        shown = re.sub(r"\n {20,}", " ", run(BIN / "qemond", "--help").stdout)
        defaults = re.findall(r"(?m)^  (--[a-z-]+) .*\[([^] ]+)\]$", shown)
        self.assertGreater(len(defaults), 6)
        for option, default in defaults:
            key = option.strip("-").replace("-", "_")
            with self.subTest(option=option):
                self.assertIn(f"[{default}", page.text(option))
                told = keys.text(key) or settings.text(key)
                if told and default != "RUNTIME-DIR/control.sock":
                    self.assertRegex(told, rf"Default: \[?{re.escape(default)}")

    def test_commands_are_those_of_the_page(self):
        told = {}
        for title, section in man_pages.of("qemon.1", "COMMANDS").items():
            if title:
                told[tuple(re.match(r"([a-z]+( [a-z]+)*)", title)[1].split())] = section.options()
        shown = {path: options - {"-h", "--help"} for path, options in commands_of("qemon").items()}
        self.assertEqual(shown, told)


class ConfigurationFile(unittest.TestCase):
    """qemond itself tells the keys that it knows, when it finds one that it does not."""

    def keys_at(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            return keys_told(run(BIN / "qemond", "--check", "--config", file.name).stderr)

    def test_every_key_is_in_the_page(self):
        top = self.keys_at(f"{NO_KEY}: 1\n")
        self.assertIn("listen", top)
        self.assertEqual(top, man_pages.of("qemond.yaml.5", "TOP LEVEL")[""].keys())
        in_settings = man_pages.of("qemond.yaml.5", "SETTINGS")[""].keys()
        nested = set()
        for key in top:
            # A map or a list of maps has a section of its own, named after it.
            below = self.keys_at(f"{key}: {{{NO_KEY}: 1}}\n") or self.keys_at(f"{key}:\n  - {NO_KEY}: 1\n")
            if not below:
                continue
            nested.add(key)
            described = man_pages.of("qemond.yaml.5", key.upper().replace("_", " "))
            self.assertTrue(described, f"there is no section on {key}")
            with self.subTest(section=key):
                self.assertEqual(below, described[""].keys() | (in_settings - {"match"} if key == "vms" else set()))
        self.assertLessEqual({"vms", "discover", "settings"}, nested)

    def test_every_key_of_settings_that_has_keys_itself(self):
        for key in ("budget", "collectors"):
            below = self.keys_at(f'settings:\n  - {{match: "*", {key}: {{{NO_KEY}: 1}}}}\n')
            with self.subTest(section=key):
                self.assertEqual(below, man_pages.of("qemond.yaml.5", key.upper())[""].keys())

    def test_collectors_ask_as_often_as_the_guide_says(self):
        guide = (man_pages.FOLDER.parent / "metrics.md").read_text(encoding="utf-8")
        told = {name: f"{every}." if default == "on" else f"Off; {every} if on."
                for name, every, default in re.findall(r"(?m)^\| `([a-z-]+)` \| .* \| (\d+) s \| (on|off)\b", guide)}
        told = {name: re.sub(r"(\d+)", r"\1s", text) for name, text in told.items()}
        section = man_pages.of("qemond.yaml.5", "COLLECTORS")[""]
        self.assertEqual(set(told), section.keys())
        for name, text in told.items():
            self.assertTrue(section.texts[name].startswith(text), f"{name}: {section.texts[name]}")

    def test_the_example_has_no_mistake(self):
        self.check_example(man_pages.of("qemond.yaml.5", "EXAMPLES")[""].lines)

    def test_the_example_of_the_guide_has_no_mistake(self):
        guide = (man_pages.FOLDER.parent / "configuration.md").read_text(encoding="utf-8")
        self.check_example(re.search(r"(?s)```yaml\n(.*?)```", guide)[1].splitlines())

    def check_example(self, lines):
        lines = [line.replace("\\-", "-") for line in lines if not line.startswith(".")]
        text = "\n".join(lines).replace("[qemon]", "[root]").replace("[adm]", "[root]")  # A host need not have these groups.
        text = re.sub(r"(?m)^(.*trace_events:|pack_dirs:|.*token_file:).*$", "", text)                 # Nor these files.
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            done = run(BIN / "qemond", "--check", "--config", file.name)
        self.assertEqual((done.returncode, done.stderr), (0, ""), text)


class Packs(unittest.TestCase):
    def keys_at(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            return keys_told(run(BIN / "qemon", "pack", "check", file.name).stderr)

    def test_every_key_of_a_pack_is_in_the_page(self):
        self.assertEqual(self.keys_at(f"{NO_KEY}: 1\n"), man_pages.of("qemon-packs.5", "TOP LEVEL")[""].keys())

    def test_every_key_of_a_rule_is_in_the_page(self):
        rules = man_pages.of("qemon-packs.5", "RULES")
        shared, kinds = rules.pop("Every kind").keys(), set(rules) - {""}
        self.assertEqual(kinds, {"counter", "gauge", "histogram", "latency", "heatmap", "topk"})
        used = set()
        for kind in kinds:
            known = self.keys_at(f"version: 1\npack: x\nhelp: x\nmetrics:\n  - {{{kind}: m, {NO_KEY}: 1}}\n") - {kind}
            own = rules[kind].keys()
            with self.subTest(kind=kind):
                self.assertTrue(own)
                self.assertLessEqual(known, own | shared, "not in the page")
                self.assertLessEqual(own, known, "only in the page")
            used |= known
        self.assertLessEqual(shared, used)

    def test_defaults_are_those_of_the_guide(self):
        guide = (man_pages.FOLDER.parent / "packs.md").read_text(encoding="utf-8")
        rules, checked = man_pages.of("qemon-packs.5", "RULES"), 0
        # | `heatmap` | what it is | `range`: bytes, default 4096; `label`: default `address` |    and    | `limit` | series, default 200 |
        for name, cells in re.findall(r"(?m)^\| `(\w+)` \|(.*)\|$", guide):
            clauses = cells.split("|")[-1].split(";") if name in rules else [f"`{name}` {cells}"]
            for clause in clauses:
                key = re.search(r"`(\w+)`", clause)
                default = re.search(r"default `?(\w+)|`(\w+)` \(default\)", clause)
                if key and default and (name in rules or rules["Every kind"].text(name)):
                    page = rules[name if name in rules else "Every kind"].text(key[1])
                    with self.subTest(kind=name, key=key[1]):
                        self.assertRegex(page, rf"Default: {default[1] or default[2]}\.")
                    checked += 1
        self.assertGreaterEqual(checked, 12)

    def test_the_example_has_no_mistake(self):
        lines = man_pages.of("qemon-packs.5", "EXAMPLES")[""].lines
        with tempfile.TemporaryDirectory() as folder:
            file, catalog = pathlib.Path(folder) / "example.yaml", pathlib.Path(folder) / "trace-events-all"
            file.write_text("\n".join(line.replace("\\-", "-") for line in lines if not line.startswith(".")), encoding="utf-8")
            catalog.write_text('virtio_blk_req_complete(void *vdev, void *req, int status) "vdev %p req %p status %d"\n'
                               'virtio_blk_handle_write(void *vdev, void *req, uint64_t sector, size_t nsectors) '
                               '"vdev %p req %p sector %"PRIu64" nsectors %zu"\n'
                               'virtio_blk_handle_read(void *vdev, void *req, uint64_t sector, size_t nsectors) '
                               '"vdev %p req %p sector %"PRIu64" nsectors %zu"\n', encoding="utf-8")
            done = run(BIN / "qemon", "pack", "check", file, "--trace-events", catalog)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
