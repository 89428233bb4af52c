"""The man pages, as tests ask them: which sections there are, and which options and keys each describes."""
import pathlib
import re
import subprocess

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "docs" / "man"


def plain(line):
    """The text of a line of troff, without macros, fonts and escapes."""
    line = re.sub(r"^\.\w+ ?", "", line)
    line = re.sub(r"\\f(?:\[\w*\]|\w)", "", line)
    line = line.replace(r"\-", "-").replace(r"\(aq", "'").replace(r"\&", "").replace('"', "")
    return re.sub(r"\s+", " ", line).strip()


class Section:
    def __init__(self, title):
        self.title, self.tags, self.lines = title, [], []
        self.texts = {}  # What is said below each tag.

    def text(self, word):
        """What is said of the option or the key."""
        return " ".join(text for tag, text in self.texts.items() if re.match(rf"{re.escape(word)}\b", tag))

    def options(self):
        """-o and --output of a tag `-o, --output FORMAT`."""
        return {option for tag in self.tags for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", tag) if tag.startswith("-")}

    def keys(self):
        """`listen` of a tag `listen: ADDRESS:PORT`; the whole of one that is a single word."""
        found = set()
        for tag in self.tags:
            key = re.match(r"([a-z][a-z_-]*)(?::|$)", tag.replace(" :", ":"))
            if key:
                found.add(key[1])
        return found


def sections(page):
    """{(SECTION, subsection or ""): Section} of a page such as qemon.1."""
    found, current, title = {}, None, ""
    lines = (FOLDER / page).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith((".SH ", ".SS ")):
            if line.startswith(".SH "):
                title = plain(line)
            current = Section(plain(line))
            found[title, plain(line) if line.startswith(".SS ") else ""] = current
        elif line.startswith(".TP"):
            current.tags.append(plain(lines[number + 1]))
        elif current:
            current.lines.append(line)
            if current.tags and not lines[number - 1].startswith(".TP"):
                current.texts[current.tags[-1]] = f"{current.texts.get(current.tags[-1], '')} {plain(line)}".strip()
    return found


def of(page, title):
    """The sections under a title: {subsection or "": Section}."""
    return {sub: section for (head, sub), section in sections(page).items() if head == title}


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False, **options)
