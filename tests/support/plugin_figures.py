"""Reads what libqemon-plugin.so publishes, for tests in Python: by its layout as plugin/shared_figures.hpp describes it, and by no code of qemon's."""
import collections
import shutil
import struct
import subprocess

LEVELS = {0: "count", 1: "memory", 2: "blocks", 3: "all"}
CLASSES = ("other", "move", "integer", "branch", "call", "return", "vector", "system")
HEADER = struct.Struct("<8sIIQQQQII32sIIIIQQQQQQQ")
VCPU = struct.Struct("<IIQQ24Q4Q")
VCPU_BYTES = 512
BLOCK = struct.Struct("<QQII8B")

Vcpu = collections.namedtuple("Vcpu", "instructions blocks accesses idles")  # accesses: {("ram", "load", 4): 17, ...}
Block = collections.namedtuple("Block", "address executions instructions bytes classes")


class PluginFigures:
    """As they were when it was made."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        (_, _, slots, vcpus_at, blocks_at, self.capacity, self.pid, system, self.api, target, wanted, level, _, ended, self.translations,
         self.translated_instructions, self.flushes, block_count, *_) = HEADER.unpack_from(data)
        self.system, self.ended, self.target = bool(system), bool(ended), target.rstrip(b"\0").decode()
        self.wanted_level, self.level = LEVELS[wanted], LEVELS[level]
        self.vcpus = {}
        for index in range(slots):
            _, started, instructions, blocks, *rest = VCPU.unpack_from(data, vcpus_at + index * VCPU_BYTES)
            if started:
                keys = [(target, operation, 1 << size) for target in ("ram", "device") for operation in ("load", "store") for size in range(6)]
                self.vcpus[index] = Vcpu(instructions, blocks, dict(zip(keys, rest)), rest[24])
        self.blocks = [Block(*fields[:4], fields[4:]) for fields in
                       (BLOCK.unpack_from(data, blocks_at + index * BLOCK.size) for index in range(block_count))]

    def classes(self):
        """Executed instructions by class; without those of which there are none."""
        counts = collections.Counter()
        for block in self.blocks:
            for name, count in zip(CLASSES, block.classes):
                counts[name] += count * block.executions
        return {name: count for name, count in counts.items() if count}


def qemu_user():
    """qemu-x86_64, if there is one that takes plugins."""
    qemu = shutil.which("qemu-x86_64")
    if qemu and "-plugin" in subprocess.run([qemu, "--help"], capture_output=True, text=True, check=False).stdout:
        return qemu
    return None


def takes_plugins(build):
    """Whether that QEMU (of qemu_builds) was built with plugins."""
    if not build.binary:
        return False
    said = subprocess.run([build.binary, "-plugin", "/dev/null/none", "-M", "none"], capture_output=True, text=True, check=False).stderr
    return "not enabled" not in said and "invalid option" not in said
