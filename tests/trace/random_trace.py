"""Random catalogs and well-formed traces of both backends, by what QEMU's trace/simple.c, util/log.c and scripts/tracetool say of them.
Uses nothing of qemon. The C library prints the log, as it does in QEMU.

    trace = RandomTrace(seed)
    trace.catalog, trace.simple, trace.log    bytes, as files have them
    trace.simple_records, trace.log_records   what is in them, see Record
"""
import collections
import ctypes
import datetime
import random
import struct

# time: nanoseconds, or None; id: process or thread; arguments: integers as the 64 bits that `simple` stores, strings as bytes.
# Records that QEMU dropped are a Record named "dropped" with how many as its argument, and without a time.
Record = collections.namedtuple("Record", "name time id arguments")

Type = collections.namedtuple("Type", "spelling kind bits conversions")
Argument = collections.namedtuple("Argument", "type name conversion")
Event = collections.namedtuple("Event", "name arguments source expanded vcpu")  # source: the format as the catalog has it.

SIGNED, UNSIGNED, POINTER, STRING = "signed", "unsigned", "pointer", "string"
PRI = {f"PRI{letter}{bits}": letter if bits != "64" else f"l{letter}" for letter in "dixu" for bits in ("8", "16", "32", "64")}
PRI.update({f"PRI{letter}PTR": f"l{letter}" for letter in "dixu"})


def integers():
    """(spelling, kind, bits, what may stand behind % and flags)"""
    for spelling in ("int", "signed int", "int32_t"):
        yield Type(spelling, SIGNED, 32, ["d", "i", "x"] + (["PRId32", "PRIx32"] if "_t" in spelling else []))
    for spelling in ("unsigned", "unsigned int", "uint32_t"):
        yield Type(spelling, UNSIGNED, 32, ["u", "x", "X", "o"] + (["PRIu32", "PRIx32"] if "_t" in spelling else []))
    for spelling in ("long", "long int"):
        yield Type(spelling, SIGNED, 64, ["ld", "lx"])
    yield Type("long long", SIGNED, 64, ["lld", "llx"])
    yield Type("unsigned long", UNSIGNED, 64, ["lu", "lx"])
    yield Type("unsigned long long", UNSIGNED, 64, ["llu", "llx"])
    yield Type("int64_t", SIGNED, 64, ["PRId64", "PRIx64"])
    yield Type("uint64_t", UNSIGNED, 64, ["PRIu64", "PRIx64"])
    yield Type("ssize_t", SIGNED, 64, ["zd"])
    yield Type("ptrdiff_t", SIGNED, 64, ["td"])
    yield Type("size_t", UNSIGNED, 64, ["zu", "zx"])
    yield Type("uintptr_t", UNSIGNED, 64, ["PRIuPTR", "PRIxPTR"])
    yield Type("short", SIGNED, 16, ["d", "hd", "hx"])
    yield Type("int16_t", SIGNED, 16, ["d", "PRId16"])
    yield Type("uint16_t", UNSIGNED, 16, ["u", "x", "d", "hu", "PRIx16"])
    yield Type("unsigned short", UNSIGNED, 16, ["u", "x"])
    yield Type("char", SIGNED, 8, ["c"])
    yield Type("signed char", SIGNED, 8, ["d"])
    yield Type("int8_t", SIGNED, 8, ["d", "hhd"])
    yield Type("uint8_t", UNSIGNED, 8, ["u", "x", "d", "hhx", "PRIu8", "PRIx8"])
    yield Type("unsigned char", UNSIGNED, 8, ["u"])
    yield Type("bool", UNSIGNED, 1, ["d", "u"])


INTEGERS = list(integers())
POINTERS = [Type(spelling, POINTER, 64, ["p"]) for spelling in
            ("void *", "const void *", "uint8_t *", "unsigned char *", "char **", "const char **", "int *")]
STRINGS = [Type(spelling, STRING, 0, ["s"]) for spelling in ("const char *", "char *", "const char* ")]

# Between conversions. What strings are made of has none of these characters, so that the log tells where a string ends.
SEPARATORS = [" ", ", ", " = ", " / ", ": ", " @ "]
STRING_BYTES = bytes(set(range(1, 256)) - set(b" ,=/:@\n\r%\\\"") - set(range(9, 14)))
SIMPLE_STRING_MAX = 512  # QEMU cuts them there.


class RandomTrace:
    def __init__(self, seed, records=2500):
        self.random = random.Random(seed)
        self._printf = ctypes.CDLL(None).snprintf
        self.events = [self._event(number) for number in range(self.random.randint(3, 40))]
        self.disabled = [self._event(1000 + number)._replace(name=f"disabled_{number}") for number in range(self.random.randint(0, 3))]
        self.catalog = self._catalog()
        self._favourites = [event for event in self.events for _ in range(self.random.choice((1, 1, 2, 20)))]
        self.simple_records, self.log_records = [], []
        self.foreign_lines = 0
        self.simple = self._simple(records)
        self.log = self._log(records)

    # ---- The catalog

    def _event(self, number):
        choose = self.random.choice
        count = choose((0, 1, 1, 2, 2, 3, 4, 6, 9, 10))
        arguments = []
        for place in range(count):
            kind = choose((INTEGERS, INTEGERS, INTEGERS, POINTERS, STRINGS))
            one = choose(kind)
            arguments.append(Argument(one, choose(("a", "len", "vdev", "_x9", "s")) + str(place), choose(one.conversions)))
        name = choose(("bdrv_", "virtio_", "x", "Q_", "a_b__c")) + "".join(choose("abcxyz019_RD") for _ in range(self.random.randint(0, 30)))
        source, expanded = self._format(arguments)
        # One that is told its CPU, as up to QEMU 7.2; not with ten arguments, for that would be more than the generator of QEMU allows.
        vcpu = count < 10 and self.random.random() < 0.08
        return Event(f"{name}_{number}", arguments, source, expanded, vcpu)

    def _format(self, arguments):
        """The format as the catalog has it, and as C has it once macros and escapes are gone."""
        if not arguments:
            return self.random.choice(('""', "", '"nothing to tell"', '"100 %% sure"')), None
        source, expanded = [], ""
        source.append(self.random.choice(("", "is ", "[", "0x", "%% ")))
        expanded += source[0]
        quoted = True
        for place, argument in enumerate(arguments):
            if place:
                between = self.random.choice(SEPARATORS) + self.random.choice(("", "", "", argument.name + " "))
                # Up to QEMU 8.2 a format might have more than one line.
                if self.random.random() < 0.01:
                    source.append(between + r"\n")
                    expanded += between + "\n"
                else:
                    source.append(between)
                    expanded += between
            flags = self._flags(argument)
            if argument.conversion in PRI:
                source.append(f'%{flags}"{self.random.choice(("", " "))}{argument.conversion}')
                expanded += f"%{flags}{PRI[argument.conversion]}"
                quoted = place + 1 < len(arguments) or self.random.random() < 0.5
                if quoted:
                    source.append(self.random.choice(("", " ")) + '"')
            else:
                source.append(f"%{flags}{argument.conversion}")
                expanded += f"%{flags}{argument.conversion}"
        if quoted:
            source.append('"')
        return '"' + "".join(source), expanded

    def _flags(self, argument):
        conversion = argument.conversion[-1] if argument.conversion not in PRI else PRI[argument.conversion][-1]
        choose = self.random.choice
        if conversion in "xX":
            return choose(("", "", "", "#", "08", "016", "2", "#06"))
        if conversion in "di":
            return choose(("", "", "", "+", "5", "-6", "04", " "))
        if conversion in "uo":
            return choose(("", "", "", "3", "03"))
        return ""

    def _catalog(self):
        lines = ["# See docs/devel/tracing.rst for syntax documentation.", ""]
        for event in self.random.sample(self.events + self.disabled, len(self.events) + len(self.disabled)):
            arguments = ", ".join(f"{argument.type.spelling}{'' if argument.type.spelling[-1] in '* ' else ' '}{argument.name}"
                                  for argument in event.arguments) or "void"
            line = f"{event.name}({arguments}) {event.source}".rstrip()
            if event in self.disabled:
                line = "disable " + line
            if event.vcpu:
                line = "vcpu " + line
            lines += [line] + self.random.choice(([], [], ["# a comment"], [""]))
        return ("\n".join(lines) + "\n").encode()

    # ---- Values

    def _value(self, argument, following_is_text):
        choose, one = self.random.choice, argument.type
        if one.kind == STRING:
            return self._string(not following_is_text)
        if argument.conversion == "c":
            return self.random.choice(b"ghijk%~A")
        bits = one.bits
        value = choose((0, 1, (1 << bits) - 1, 1 << (bits - 1), (1 << (bits - 1)) - 1, *[self.random.getrandbits(bits) >> self.random.randrange(bits)] * 8))
        if one.kind == POINTER and value:
            return value
        if one.kind == SIGNED and value >> (bits - 1):
            value -= 1 << bits
        return value % (1 << 64)  # Sign-extended, as a cast to uint64_t does it.

    def _string(self, is_last):
        size = self.random.choice((0, 1, 5, 20, 60, 511, 512, 513, 600)) if self.random.random() < 0.2 else self.random.randint(0, 12)
        alphabet = STRING_BYTES + b" ,=/:@%\\\"" if is_last else STRING_BYTES
        return bytes(self.random.choices(alphabet, k=size))

    def _record(self):
        event = self.random.choice(self._favourites)
        values = [self._value(argument, place + 1 < len(event.arguments)) for place, argument in enumerate(event.arguments)]
        return event, values, [0x560000000000 + 64 * self.random.randrange(4)] if event.vcpu else []

    # ---- simple

    def _simple(self, count):
        pid, now = self.random.randrange(1, 1 << 22), self.random.randrange(10**9, 10**15)
        ids = self.random.sample(range(5000), len(self.events))
        later = [pair for pair in zip(self.events, ids) if self.random.random() < 0.1]  # Of modules that are loaded later.
        known = [pair for pair in zip(self.events, ids) if pair not in later]
        if not known:
            known, later = later, []
        number = {event.name: one for event, one in zip(self.events, ids)}
        parts = [struct.pack("=QQQ", 0xffffffffffffffff, 0xf2b177cb0aa429b4, 4)]
        parts += [self._mapping(event, one) for event, one in self.random.sample(known, len(known))]
        missing = {event.name for event, _ in later}
        if self.random.random() < 0.5:
            parts.append(self._dropped(now, pid))
        while len(self.simple_records) < count:
            if later and self.random.random() < 0.01:
                event, one = later.pop()
                parts.append(self._mapping(event, one))
                missing.discard(event.name)
            if self.random.random() < 0.01:
                parts.append(self._dropped(now + self.random.randrange(1000), pid))
            # Threads take the time before their place in the ring, so it may go back; a guest may sleep.
            now += self.random.choice((0, 0, 1, 40, 900, 10**6, -1, -700, -50000, 3600 * 10**9 if self.random.random() < 0.01 else 5))
            event, values, cpu = self._record()
            if event.name in missing:
                continue
            stored = tuple(value[:SIMPLE_STRING_MAX] if isinstance(value, bytes) else value for value in cpu + values)
            payload = b"".join(struct.pack("=I", len(value)) + value if isinstance(value, bytes) else struct.pack("=Q", value) for value in stored)
            parts.append(struct.pack("=QQQII", 1, number[event.name], now, 24 + len(payload), pid) + payload)
            self.simple_records.append(Record(event.name, now, pid, stored))
        return b"".join(parts)

    @staticmethod
    def _mapping(event, one):
        return struct.pack("=QQI", 0, one, len(event.name)) + event.name.encode()

    def _dropped(self, now, pid):
        count = self.random.choice((1, 7, 65536, (1 << 31) - 1))  # QEMU counts them in an int.
        self.simple_records.append(Record("dropped", None, pid, (count,)))
        return struct.pack("=QQQIIQ", 1, 0xfffffffffffffffe, now, 32, pid, count)

    # ---- log

    def _log(self, count):
        """`TID@SECONDS.MICROSECONDS:` up to QEMU 10.0, or an ISO 8601 time from 10.1 on; or none, without -msg timestamp=on."""
        style = self.random.choice(("thread", "thread", "iso", "iso", "none"))
        now = self.random.randrange(10**15, 2 * 10**15)  # Microseconds since 1970.
        lines = []
        for _ in range(count):
            if self.random.random() < 0.005:
                lines.append(self.random.choice((b"qemu-system-x86_64: warning: something", b"", b"IN: ", b"0x00007c00:  fa  cli")) + b"\n")
                self.foreign_lines += 1
            now += self.random.choice((0, 1, 30, 1000, 10**6 - now % 10**6, 86400 * 10**6 if self.random.random() < 0.01 else 2))
            event, values, cpu = self._record()
            if any(isinstance(value, bytes) and b"\0" in value for value in values):
                continue
            tid = self.random.choice((1, 4711, 30048, 4194303))
            seconds, micros = divmod(now, 10**6)
            if style == "thread":
                prefix = f"{tid}@{seconds}.{micros:06d}:"
            elif style == "iso":
                prefix = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
                prefix += (f".{micros:06d}" if micros else "") + "Z "
            else:
                prefix = ""
            lines.append(prefix.encode() + event.name.encode() + b" " + self._print(event, cpu, values) + b"\n")
            self.log_records.append(Record(event.name, None if style == "none" else now * 1000, tid if style == "thread" else 0, tuple(cpu + values)))
        return b"".join(lines)

    def _print(self, event, cpu, values):
        text = event.expanded if event.expanded is not None else event.source.strip('"')
        if event.vcpu:
            text = "cpu=%p " + text
        given = [ctypes.c_void_p(value) for value in cpu]
        for argument, value in zip(event.arguments, values):
            if argument.type.kind == STRING:
                given.append(ctypes.c_char_p(value))
            elif argument.type.kind == POINTER:
                given.append(ctypes.c_void_p(value))
            elif argument.type.bits == 64:
                given.append(ctypes.c_uint64(value))
            else:
                given.append(ctypes.c_int(value & 0xffffffff))  # Promoted, as C does.
        buffer = ctypes.create_string_buffer(16384)
        size = self._printf(buffer, ctypes.c_size_t(len(buffer)), text.encode(), *given)
        return buffer.raw[:size]
