"""What a running QEMU's own memory says of whether somebody is attached to one of its probes, for tests of the trace source usdt."""
import re
import struct
import subprocess


def _segments(binary):
    """(offset in the file, address, size) of what is loaded."""
    with open(binary, "rb") as file:
        head = file.read(64)
        start, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
        file.seek(start)
        table = file.read(size * count)
    entries = [struct.unpack_from("<IIQQQQ", table, size * i) for i in range(count)]
    return [(offset, address, bytes_) for kind, _, offset, address, _, bytes_ in entries if kind == 1]


class ProbeWitness:
    """A probe of a position-independent QEMU: {location in its program, address of the semaphore} as readelf tells."""

    def __init__(self, binary, name):
        self._binary = binary
        notes = subprocess.run(["readelf", "-nW", binary], check=True, capture_output=True, text=True).stdout
        pattern = rf"Name: {name}\n\s*Location: (\S+), Base: \S+, Semaphore: (\S+)\n"
        found = [(int(location, 16), int(semaphore, 16)) for location, semaphore in re.findall(pattern, notes)]
        self._locations = [location for location, _ in found]
        self._semaphore = found[0][1]
        self.sites = len(found)

    def _load_address(self, pid):
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
            for line in maps:
                fields = line.split(maxsplit=5)
                if len(fields) == 6 and fields[5].strip() == self._binary and int(fields[2], 16) == 0:
                    return int(fields[0].split("-")[0], 16)
        raise RuntimeError(f"{self._binary} is not what process {pid} runs")

    def state(self, pid):
        """(how many of its places have other code than the file, the value of its semaphore)."""
        load = self._load_address(pid)
        changed = 0
        with open(self._binary, "rb") as file, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for location in self._locations:
                offset = next(offset + location - address for offset, address, size in _segments(self._binary) if address <= location < address + size)
                file.seek(offset)
                memory.seek(load + location)
                changed += file.read(1) != memory.read(1)
            memory.seek(load + self._semaphore)
            return changed, int.from_bytes(memory.read(2), "little")
