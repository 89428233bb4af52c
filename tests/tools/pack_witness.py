#!/usr/bin/env python3
"""Computes what the metrics of the packs must be for the recordings in tests/data/packs, without qemon.

    pack_witness.py --all                  writes every RECORDING.PACK.expected.json
    pack_witness.py --check                compares them with what is there; exits with 1 if one differs
    pack_witness.py RECORDING PACK         prints one, for instance: pack_witness.py nvme.log nvme

It is a witness because it shares nothing with qemon: neither code, nor the packs' YAML, nor trace-events-all. Each pack is a
function below, written from what QEMU's events mean. Metrics and series whose figure is 0 are left out.

A file is an object: metric name -> list of series, each
    {"labels": {...}, "value": N}                                         counter, gauge
    {"labels": {...}, "value_ns": N}                                      counter in seconds
    {"labels": {...}, "count": N, "sum": N, "buckets": {le: cumulative}}  histogram of bytes
    {"labels": {...}, "count": N, "sum_ns": N, "buckets": {...}}          latency
Of a heat map or topk the list begins with {"distinct": D, "total": T, "next": N}: T records with D different values. Then come
those of the most frequent 50 (heat map) or 20 (topk) whose place is certain, which are all if there are no more; what
has the places after them occurred N times each, as several values did, of which any may be shown.
`qemond_pack_pairs_total` has the pairs of the latencies (matched, orphan_end, replaced, timed_out), `qemond_pack_pairs_in_flight` those
that had not ended when the recording did.
"""
import gzip
import json
import pathlib
import re
import struct
import sys
from collections import Counter, defaultdict

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "packs"

# Which packs have something to say about a recording; what their names mean is in the README.md there.
RECORDINGS = {
    "pair.log": ["block", "virtio-blk", "irq", "virtio", "timer"],
    "pair.simple": ["block", "virtio-blk", "irq", "virtio", "timer"],
    "block-10.0.log": ["block", "virtio-blk"],
    "irq-pic.log": ["irq"],
    "irq-virtio-10.0.log": ["irq", "virtio", "timer"],
    "irq-gicv2.log": ["irq", "timer"],
    "irq-gicv3.log": ["irq", "timer"],
    "irq-nvic.log": ["irq", "timer"],
    "irq-riscv.log": ["irq"],
    "irq-xics.log": ["irq", "timer"],
    "irq-xive.log": ["irq", "timer"],
    "timer-10.0.log": ["timer"],
    "nvme.log": ["nvme", "dma"],
    "nvme-pin.log": ["nvme", "dma"],
    "scsi.log": ["scsi", "dma"],
    "ide-ahci.log": ["ide-ahci", "dma"],
    "usb.log": ["usb"],
    "9p.log": ["9p"],
    "9p-10.0.log": ["9p"],
    "mmio.log": ["mmio"],
    "tcg.log": ["tcg"],
    "runstate.log": ["runstate"],
    "runstate-10.0.log": ["runstate"],
    "migration-source.log": ["migration"],
    "migration-destination.log": ["migration"],
    "migration-10.0-source.log": ["migration"],
    "migration-10.0-destination.log": ["migration"],
    "exec-log-x86_64.log": ["exec-log"],
    "exec-log-x86_64-cpu.log": ["exec-log"],
    "exec-log-i386.log": ["exec-log"],
    "exec-log-aarch64-cpu.log": ["exec-log"],
}

SECOND = 1_000_000_000


# ---- Reading recordings. A record is (time in ns, event, fields); fields are integers or strings.

# What the text of an event looks like: {x} is a number in any notation, {x:s} text. Where a version differs, a list.
LOG_FORMATS = {
    "ahci_cmd_done": "ahci({s})[{port}]: cmd done",
    "ahci_start_dma": "ahci({s})[{port}]: start dma",
    "ahci_trigger_irq": "ahci({s})[{port}]: trigger irq +{name:s} (",
    "apic_deliver_irq": "dest {dest} dest_mode {dest_mode} delivery_mode {delivery_mode} vector {vector_num} trigger_mode {trigger_mode}",
    "apic_local_deliver": "vector {vector} delivery mode ",
    "arm_gt_ctl_write": "gt_ctl_write: timer {timer} value",
    "arm_gt_cval_write": "gt_cval_write: timer {timer} value",
    "arm_gt_recalc": "gt recalc: timer {timer} irqstate {irqstate} next",
    "arm_gt_tval_write": "gt_tval_write: timer {timer} value",
    "blk_co_preadv": "blk {blk} bs {bs} offset {offset} bytes {bytes} flags {flags}",
    "blk_co_pwritev": "blk {blk} bs {bs} offset {offset} bytes {bytes} flags {flags}",
    "cpu_reset": "{cpu_index}",
    "dma_blk_io": "dbs={dbs} bs={bs} offset={offset} to_dev={to_dev}",
    "dma_complete": "dbs={dbs} ret={ret} cb=",
    "exec_tb": "tb:{tb} pc={pc}",
    "gic_acknowledge_irq": "{s:s} {cpu} acknowledged irq {irq}",
    "gic_set_irq": "irq {irq} level {level} cpumask",
    "gicv3_dist_set_irq": "GICv3 distributor interrupt {irq} level changed to {level}",
    "gicv3_icc_iar0_read": "GICv3 ICC_IAR0 read cpu {cpu} value {val}",
    "gicv3_icc_iar1_read": "GICv3 ICC_IAR1 read cpu {cpu} value {val}",
    "gicv3_redist_send_sgi": "GICv3 redistributor {cpu} pending SGI {irq}",
    "gicv3_redist_set_irq": "GICv3 redistributor {cpu} interrupt {irq} level changed to {level}",
    "hpet_ram_read": "enter hpet_ram_readl at {addr}",
    "hpet_ram_write": "enter hpet_ram_writel at {addr} = ",
    "ide_atapi_cmd": "IDEState: {s}; cmd: {cmd}",
    "ide_atapi_cmd_error": "IDEState: {s}; sense={sense_key} asc=",
    "ide_dma_cb": "IDEState {s}; sector_num={sector_num} n={n} cmd={dma:s}",
    "ide_exec_cmd": "IDE exec cmd: bus {bus}; state {state}; cmd {cmd}",
    "ide_sector_read": "sector={sector_num} nsectors={nsectors}",
    "ide_sector_write": "sector={sector_num} nsectors={nsectors}",
    "ioapic_set_irq": "vector: {vector} level: {level}",
    "memory_region_ops_read": "cpu {cpu_index} mr {mr} addr {addr} value {value} size {size} name '{name:s}'",
    "memory_region_ops_write": "cpu {cpu_index} mr {mr} addr {addr} value {value} size {size} name '{name:s}'",
    "migrate_error": "error=",
    "migrate_fd_error": "error=",
    "migrate_pending": "pending size {size} max",
    "migrate_pending_estimate": "estimate pending size {size} (",
    "migrate_set_state": "new state {new_state:s}",
    "migrate_transferred": [
        "transferred {transferred} time_spent {time_spent} bandwidth {bandwidth} max_size {size}",
        "transferred {transferred} time_spent {time_spent} bandwidth {bandwidth} switchover_bw {avail_bw} max_size {size}",
    ],
    "migration_bitmap_sync_end": "dirty_pages {dirty_pages}",
    "migration_bitmap_sync_start": "",
    "migration_throttle": "",
    "ncq_finish": "ahci({s})[{port}][tag:{tag}]: NCQ transfer finished",
    "nvic_acknowledge_irq": "NVIC acknowledge IRQ: {irq} now active (prio",
    "nvic_set_irq_level": "NVIC external irq {irq} level set to {level}",
    "pci_nvme_admin_cmd": "cid {cid} sqid {sqid} opc {opcode} opname",
    "pci_nvme_err_req_status": "cid {cid} nsid {nsid} status {status} opc",
    "pci_nvme_io_cmd": "cid {cid} nsid {nsid} sqid {sqid} opc {opcode} opname",
    "pci_nvme_irq_msix": "raising MSI-X IRQ vector {vector}",
    "pci_nvme_irq_pin": "pulsing IRQ pin",
    "pci_nvme_read": "cid {cid} nsid {nsid} nlb {nlb} count {count} lba",
    "pci_nvme_write": "cid {cid} opname '{verb:s}' nsid {nsid} nlb {nlb} count {count} lba",
    "pic_interrupt": "irq {irq} intno {intno}",
    "pic_set_irq": "master {master} irq {irq} level {level}",
    "ppc_decr_excp": "{action:s} decrementer",
    "process_ncq_command": "ahci({s})[{port}][tag:{tag}]: NCQ op {cmd} on sectors [{lba},{end}]",
    "qemu_system_powerdown_request": "",
    "qemu_system_shutdown_request": "reason={reason}",
    "riscv_trap": "hart:{hartid}, async:{async}, cause:{cause}, epc:",
    "runstate_set": "current_run_state {current_state} ({current_state_str:s}) new_state {new_state} ({new_state_str:s})",
    "savevm_section_end": "{id:s}, section_id {section_id} -> {ret}",
    "savevm_section_start": "{id:s}, section_id {section_id}",
    "scsi_req_build_sense": "target {target} lun {lun} tag {tag} key {key} asc",
    "scsi_req_cancel": "target {target} lun {lun} tag {tag}",
    "scsi_req_dequeue": "target {target} lun {lun} tag {tag}",
    "scsi_req_parsed": "target {target} lun {lun} tag {tag} command {cmd} dir {mode} length {xfer}",
    "spapr_xive_set_irq": "lisn={lisn} val={val}",
    "system_wakeup_request": "reason={reason}",
    "systick_timer_tick": "systick reload",
    "translate_block": "tb:{tb}, pc:{pc}, tb_code:",
    "usb_msd_cmd_complete": "status {status}, tag {tag}",
    "usb_msd_cmd_submit": "lun {lun}, tag {tag}, flags {flags}, len {len}, data-len {data_len}",
    "usb_xhci_xfer_error": "{xfer}: ret {ret}",
    "usb_xhci_xfer_start": "{xfer}: slotid {slotid}, epid {epid}, streamid",
    "usb_xhci_xfer_success": "{xfer}: len {bytes}",
    "v9fs_read_return": "tag {tag} id {id} count {count} err {err}",
    "v9fs_rerror": "tag {tag} id {id} err {err}",
    "v9fs_write_return": "tag {tag} id {id} total {total} err {err}",
    "virtio_blk_handle_read": "vdev {vdev} req {req} sector {sector} nsectors {nsectors}",
    "virtio_blk_handle_write": "vdev {vdev} req {req} sector {sector} nsectors {nsectors}",
    "virtio_blk_req_complete": "vdev {vdev} req {req} status {status}",
    "virtio_notify": "vdev {vdev} vq {vq}",
    "virtio_notify_irqfd": "vdev {vdev} vq {vq}",
    "virtio_notify_irqfd_deferred_fn": "vdev {vdev} vq {vq}",
    "virtio_queue_notify": "vdev {vdev} n {n} vq {vq}",
    "virtio_set_status": "vdev {vdev} val {val}",
    "virtqueue_fill": "vq {vq} elem {elem} len {len} idx {idx}",
    "virtqueue_pop": "vq {vq} elem {elem} in_num {in_num} out_num {out_num}",
    "vm_state_notify": "running {running} reason {reason} ({reason_str:s})",
    "vmstate_downtime_load": "type={type:s} idstr={idstr:s} instance_id={instance_id} downtime={downtime}",
    "vmstate_downtime_save": "type={type:s} idstr={idstr:s} instance_id={instance_id} downtime={downtime}",
    "watchdog_perform_action": "action={action}",
    "x86_gsi_interrupt": "GSI interrupt #{irqn} level:{level}",
    "xics_icp_accept": "icp_accept: XIRR {old_xirr}->",
    "xics_icp_irq": "cpu {server} trying to deliver irq {nr} priority",
    "xive_tctx_accept": "target={index} ring={ring} IBP={ipb} PIPR={pipr} CPPR={cppr} NSR=",
}
# All of 9p begin alike, and the packs want no more than that; 10.0 writes `=` in some.
V9FS_FORMATS = ["tag {tag} id {id}", "tag={tag} id={id}"]

# The arguments of the events in `simple` recordings, in their order, each a 64-bit word that sign-extends `i`.
SIMPLE_ARGUMENTS = {
    "apic_deliver_irq": "dest dest_mode delivery_mode vector_num trigger_mode",
    "apic_local_deliver": "i:vector lvt",
    "blk_co_preadv": "blk bs i:offset i:bytes i:flags",
    "blk_co_pwritev": "blk bs i:offset i:bytes i:flags",
    "ioapic_set_irq": "i:vector i:level",
    "pic_interrupt": "i:irq i:intno",
    "pic_set_irq": "master i:irq i:level",
    "virtio_blk_handle_read": "vdev req sector nsectors",
    "virtio_blk_handle_write": "vdev req sector nsectors",
    "virtio_blk_req_complete": "vdev req i:status",
    "virtio_notify": "vdev vq",
    "virtio_notify_irqfd": "vdev vq",
    "virtio_queue_notify": "vdev i:n vq",
    "virtio_set_status": "vdev val",
    "virtqueue_fill": "vq elem len idx",
    "virtqueue_pop": "vq elem in_num out_num",
    "x86_gsi_interrupt": "i:irqn i:level",
}


def read_recording(name):
    data = gzip.decompress((DATA / (name + ".gz")).read_bytes())
    if name.endswith(".simple"):
        return list(read_simple(data))
    if name.startswith("exec-log"):
        return list(read_exec_log(data.decode("utf-8")))
    return list(read_log(data.decode("utf-8")))


def read_log(text):
    patterns = {event: log_patterns(formats) for event, formats in LOG_FORMATS.items()}
    v9fs = log_patterns(V9FS_FORMATS)
    for line in text.splitlines():
        prefix = re.match(r"\d+@(\d+)\.(\d{6}):(\w+) ", line)
        if not prefix:
            raise ValueError(f"not a record: {line}")
        seconds, microseconds, event = prefix.groups()
        known = patterns.get(event) or (v9fs if event.startswith("v9fs_") else [])
        for pattern in known:
            match = pattern.match(line, prefix.end())
            if match:
                time = int(seconds) * SECOND + int(microseconds) * 1000
                yield time, event, {key.removesuffix("__s"): field(key, value) for key, value in match.groupdict().items()}
                break
        else:
            if known:
                raise ValueError(f"not the format of {event}: {line}")


def log_patterns(formats):
    """Regular expressions for formats of LOG_FORMATS; the groups of strings are named x__s."""
    made = []
    for form in [formats] if isinstance(formats, str) else formats:
        pattern = re.escape(form)
        pattern = re.sub(r"\\\{(\w+):s\\\}", r"(?P<\1__s>.*)", pattern)
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>-?(?:0x[0-9a-fA-F]+|\\d+)|\\(nil\\))", pattern)
        # Ends that the format leaves out may follow; a number must not go on.
        made.append(re.compile(pattern + (r"(?![0-9a-fA-Fx])" if form.endswith("}") else "")))
    return made


def field(key, value):
    if key.endswith("__s"):
        return value
    return 0 if value == "(nil)" else int(value, 0) if "x" in value else int(value)


def read_simple(data):
    magic, version = struct.unpack_from("=QQ", data, 8)
    if (magic, version) != (0xF2B177CB0AA429B4, 4):
        raise ValueError("not a trace file of version 4")
    names, position = {}, 24
    while position < len(data):
        kind, event = struct.unpack_from("=QQ", data, position)
        if kind == 0:
            (length,) = struct.unpack_from("=I", data, position + 16)
            names[event] = data[position + 20 : position + 20 + length].decode()
            position += 20 + length
            continue
        time, length, _pid = struct.unpack_from("=QII", data, position + 16)
        if names[event] in SIMPLE_ARGUMENTS:
            arguments = SIMPLE_ARGUMENTS[names[event]].split()
            if length != 24 + 8 * len(arguments):
                raise ValueError(f"{names[event]}: {length} bytes")
            layout = "=" + "".join("q" if name.startswith("i:") else "Q" for name in arguments)
            words = struct.unpack_from(layout, data, position + 32)
            yield time, names[event], {name.removeprefix("i:"): word for name, word in zip(arguments, words)}
        position += 8 + length


def read_exec_log(text):
    """Blocks of -d exec and dumps of -d cpu, which have no time."""
    for line in text.splitlines():
        block = re.match(r"Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/", line)
        dump = re.match(r"(?:RIP=| PC=|EIP=)([0-9a-f]+) ", line)
        if block:
            yield 0, "block", {"pc": int(block[1], 16)}
        elif dump:
            yield 0, "dump", {"pc": int(dump[1], 16)}


# ---- What the figures are collected in

class Figures:
    def __init__(self):
        self.counters = defaultdict(Counter)
        self.gauges = defaultdict(dict)
        self.seconds = set()
        self.observations = defaultdict(lambda: defaultdict(list))
        self.bounds = {}
        self.ranked = {}
        self.pairs = []

    def add(self, metric, amount=1, /, **labels):
        self.counters[metric][key_of(labels)] += amount

    def add_ns(self, metric, amount, /, **labels):
        self.seconds.add(metric)
        self.add(metric, amount, **labels)

    def gauge(self, metric, value, /, **labels):
        self.gauges[metric][key_of(labels)] = value

    def observe(self, metric, bounds, value, /, **labels):
        """A histogram of bytes, or, with bounds in seconds as text, of nanoseconds."""
        self.bounds[metric] = bounds
        self.observations[metric][key_of(labels)].append(value)

    def rank(self, metric, label, value, places):
        self.ranked.setdefault(metric, (label, places, Counter()))[2][value] += 1

    def result(self):
        metrics = {}
        for metric, series in self.counters.items():
            name = "value_ns" if metric in self.seconds else "value"
            metrics[metric] = [{"labels": dict(labels), name: value} for labels, value in sorted(series.items()) if value]
        for metric, series in self.gauges.items():
            metrics[metric] = [{"labels": dict(labels), "value": value} for labels, value in sorted(series.items()) if value]
        for metric, series in self.observations.items():
            metrics[metric] = [histogram(labels, values, self.bounds[metric]) for labels, values in sorted(series.items())]
        for metric, (label, places, counts) in self.ranked.items():
            metrics[metric] = ranking(label, places, counts)
        return {metric: series for metric, series in sorted(metrics.items()) if series}


def key_of(labels):
    return tuple(sorted((name, str(value)) for name, value in labels.items()))


def histogram(labels, values, bounds):
    if isinstance(bounds[0], str):
        limits, total = [round(float(bound) * SECOND) for bound in bounds], "sum_ns"
    else:
        limits, total = bounds, "sum"
    buckets = {str(bound): sum(value <= limit for value in values) for bound, limit in zip(bounds, limits)}
    return {"labels": dict(labels), "count": len(values), total: sum(values), "buckets": buckets}


def ranking(label, places, counts):
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    following = order[places][1] if len(order) > places else 0
    head = [{"distinct": len(order), "total": sum(counts.values()), "next": following}]
    return head + [{"labels": {label: hex(value)}, "value": count} for value, count in order[:places] if count > following]


class Pairs:
    """Durations from begin to end of the same key."""

    def __init__(self, figures, metric, bounds, timeout=30 * SECOND):
        self.figures, self.metric, self.bounds, self.timeout = figures, metric, bounds, timeout
        self.open = {}
        figures.pairs.append(self)

    def begin(self, time, *key, **labels):
        self.expire(time)
        if key in self.open:
            self.outcome("replaced")
        self.open[key] = time, labels

    def end(self, time, *key):
        self.expire(time)
        if key not in self.open:
            self.outcome("orphan_end")
            return
        begun, labels = self.open.pop(key)
        self.outcome("matched")
        self.figures.observe(self.metric, self.bounds, time - begun, **labels)

    def expire(self, time):
        for key in [key for key, (begun, _) in self.open.items() if time - begun > self.timeout]:
            del self.open[key]
            self.outcome("timed_out")

    def finish(self, time):
        self.expire(time)
        if self.open:
            self.figures.gauge("qemond_pack_pairs_in_flight", len(self.open), metric=self.metric)

    def outcome(self, outcome):
        self.figures.add("qemond_pack_pairs_total", metric=self.metric, outcome=outcome)


# 10 us to 5 s in 1-2-5 steps.
LATENCY = "0.00001 0.00002 0.00005 0.0001 0.0002 0.0005 0.001 0.002 0.005 0.01 0.02 0.05 0.1 0.2 0.5 1 2 5".split()
SIZES = [512 << step for step in range(14)]  # 512 bytes to 4 MiB


def name_of(names, value):
    return names.get(value, f"unknown:{value}")


# ---- The packs

def pack_block(records, figures, _newer):
    zero_write = 2  # BDRV_REQ_ZERO_WRITE
    for _, event, a in records:
        if event == "blk_co_preadv":
            operation, direction = "read", "read"
        elif event == "blk_co_pwritev":
            operation, direction = ("write_zeroes" if a["flags"] & zero_write else "write"), "write"
        else:
            continue
        figures.add("qemu_block_requests_total", operation=operation)
        figures.add("qemu_block_bytes_total", a["bytes"], operation=operation)
        if operation != "write_zeroes":
            figures.observe("qemu_block_request_size_bytes", SIZES, a["bytes"], operation=operation)
        figures.add("qemu_block_backend_requests_total", backend=hex(a["blk"]), operation=direction)
        figures.add("qemu_block_backend_bytes_total", a["bytes"], backend=hex(a["blk"]), operation=direction)


def pack_virtio_blk(records, figures, _newer):
    pairs = Pairs(figures, "qemu_virtio_blk_request_duration_seconds", LATENCY)
    for time, event, a in records:
        if event in ("virtio_blk_handle_read", "virtio_blk_handle_write"):
            operation = event.removeprefix("virtio_blk_handle_")
            size, device = a["nsectors"] * 512, hex(a["vdev"])
            figures.add("qemu_virtio_blk_requests_total", operation=operation)
            figures.add("qemu_virtio_blk_bytes_total", size, operation=operation)
            figures.observe("qemu_virtio_blk_request_size_bytes", SIZES, size, operation=operation)
            figures.add("qemu_virtio_blk_device_requests_total", device=device, operation=operation)
            figures.add("qemu_virtio_blk_device_bytes_total", size, device=device, operation=operation)
            pairs.begin(time, a["vdev"], a["req"], operation=operation)
        elif event == "virtio_blk_req_complete":
            pairs.end(time, a["vdev"], a["req"])
            if a["status"]:
                status = {1: "io_error", 2: "unsupported"}.get(a["status"], "other")
                figures.add("qemu_virtio_blk_errors_total", status=status)


def pack_virtio(records, figures, newer):
    pairs = Pairs(figures, "qemu_virtio_element_duration_seconds", LATENCY)
    # From 8.2 on, this is the one that is an interrupt.
    irqfd = "virtio_notify_irqfd_deferred_fn" if newer else "virtio_notify_irqfd"
    for time, event, a in records:
        vq = hex(a.get("vq", 0))
        device = hex(a.get("vdev", 0))
        if event == "virtio_queue_notify":
            figures.add("qemu_virtio_queue_kicks_total", device=device, queue=a["n"])
            figures.gauge("qemu_virtio_queue_info", 1, device=device, queue=a["n"], vq=vq)
        elif event == "virtio_notify":
            figures.add("qemu_virtio_notifications_total", device=device, vq=vq, path="direct")
        elif event == irqfd:
            figures.add("qemu_virtio_notifications_total", device=device, vq=vq, path="irqfd")
        elif event == "virtqueue_pop":
            pairs.begin(time, a["vq"], a["elem"], vq=vq)
        elif event == "virtqueue_fill":
            figures.add("qemu_virtio_elements_total", vq=vq)
            figures.add("qemu_virtio_written_bytes_total", a["len"], vq=vq)
            pairs.end(time, a["vq"], a["elem"])
        elif event == "virtio_set_status" and a["val"] == 0:
            figures.add("qemu_virtio_device_resets_total", device=device)


def pack_irq(records, figures, _newer):
    local_vectors = {0: "timer", 1: "thermal", 2: "performance", 3: "lint0", 4: "lint1", 5: "error"}

    def raised(controller, line):
        figures.add("qemu_irq_raised_total", controller=controller, line=line)

    def delivered(controller, vector, cpu=None):
        figures.add("qemu_irq_delivered_total", controller=controller, vector=vector)
        if cpu is not None:
            figures.add("qemu_irq_cpu_delivered_total", controller=controller, cpu=cpu)

    for _, event, a in records:
        if event == "pic_set_irq" and a["level"]:
            if not a["master"]:
                raised("pic", a["irq"] + 8)
            elif a["irq"] != 2:  # The cascade.
                raised("pic", a["irq"])
        elif event == "ioapic_set_irq" and a["level"]:
            raised("ioapic", a["vector"])
        elif event == "x86_gsi_interrupt" and a["level"]:
            raised("gsi", a["irqn"])
        elif event == "apic_local_deliver":
            raised("apic", name_of(local_vectors, a["vector"]))
        elif event == "gic_set_irq" and a["level"]:
            raised("gic", a["irq"])
        elif event in ("gicv3_dist_set_irq", "gicv3_redist_set_irq") and a["level"]:
            raised("gicv3", a["irq"])
        elif event == "gicv3_redist_send_sgi":
            raised("gicv3", a["irq"])
        elif event == "nvic_set_irq_level" and a["level"]:
            raised("nvic", a["irq"])
        elif event == "spapr_xive_set_irq" and a["val"]:
            raised("xive", a["lisn"])
        elif event == "xics_icp_irq":
            raised("xics", a["nr"])
        elif event == "pic_interrupt":
            delivered("pic", a["intno"])
        elif event == "apic_deliver_irq" and a["delivery_mode"] in (0, 1):
            delivered("apic", a["vector_num"])
        elif event == "gic_acknowledge_irq" and a["irq"] < 1020:
            delivered("gic", a["irq"], a["cpu"])
        elif event in ("gicv3_icc_iar0_read", "gicv3_icc_iar1_read") and not 1020 <= a["val"] <= 1023:
            delivered("gicv3", a["val"], a["cpu"])
        elif event == "nvic_acknowledge_irq":
            delivered("nvic", a["irq"])
        elif event == "riscv_trap":
            if a["async"]:
                delivered("riscv", a["cause"], a["hartid"])
            else:
                figures.add("qemu_riscv_exceptions_total", cause=a["cause"])
        elif event == "xics_icp_accept" and a["old_xirr"] & 0xFFFFFF:
            delivered("xics", a["old_xirr"] & 0xFFFFFF)
        elif event == "xive_tctx_accept":
            delivered("xive", a["cppr"], a["index"])


def pack_timer(records, figures, _newer):
    arm_timers = {0: "phys", 1: "virt", 2: "hyp", 3: "sec", 4: "hypvirt", 5: "s_el2_phys", 6: "s_el2_virt"}
    hpet_registers = {0x00: "id", 0x10: "config", 0x20: "status", 0xF0: "counter"}
    for _, event, a in records:
        if event == "apic_local_deliver" and a["vector"] == 0:
            figures.add("qemu_timer_expirations_total", timer="apic")
        elif event == "systick_timer_tick":
            figures.add("qemu_timer_expirations_total", timer="systick")
        elif event == "ppc_decr_excp":
            figures.add("qemu_timer_ppc_decrementer_total", action=a["action"])
        elif event in ("arm_gt_ctl_write", "arm_gt_cval_write", "arm_gt_tval_write"):
            register = event.split("_")[2]
            figures.add("qemu_timer_arm_programmed_total", timer=name_of(arm_timers, a["timer"]), register=register)
        elif event == "arm_gt_recalc" and a["irqstate"]:
            figures.add("qemu_timer_arm_outputs_total", timer=name_of(arm_timers, a["timer"]))
        elif event in ("hpet_ram_read", "hpet_ram_write"):
            register = hpet_registers.get(a["addr"] & ~7, "timer")
            figures.add("qemu_timer_hpet_accesses_total", operation=event.removeprefix("hpet_ram_"), register=register)


def pack_nvme(records, figures, _newer):
    commands = {
        0x00: "flush", 0x01: "write", 0x02: "read", 0x04: "write_uncorrectable", 0x05: "compare", 0x08: "write_zeroes",
        0x09: "dataset_management", 0x0C: "verify", 0x12: "io_management_receive", 0x19: "copy", 0x1D: "io_management_send",
        0x79: "zone_management_send", 0x7A: "zone_management_receive", 0x7D: "zone_append",
    }
    admin_commands = {
        0x00: "delete_sq", 0x01: "create_sq", 0x02: "get_log_page", 0x04: "delete_cq", 0x05: "create_cq", 0x06: "identify",
        0x08: "abort", 0x09: "set_features", 0x0A: "get_features", 0x0C: "async_event_request", 0x15: "namespace_attachment",
        0x1C: "virtualization_management", 0x7C: "doorbell_buffer_config", 0x80: "format",
    }
    verbs = {
        "NVME_NVM_CMD_WRITE": "write", "NVME_NVM_CMD_WRITE_ZEROES": "write_zeroes", "NVME_ZONED_CMD_ZONE_APPEND": "zone_append",
    }
    for _, event, a in records:
        if event == "pci_nvme_io_cmd":
            figures.add("qemu_nvme_commands_total", nsid=a["nsid"], operation=name_of(commands, a["opcode"]))
        elif event == "pci_nvme_read":
            figures.add("qemu_nvme_bytes_total", a["count"], nsid=a["nsid"], operation="read")
            figures.observe("qemu_nvme_request_size_bytes", SIZES, a["count"], operation="read")
        elif event == "pci_nvme_write":
            figures.add("qemu_nvme_bytes_total", a["count"], nsid=a["nsid"], operation=name_of(verbs, a["verb"]))
            figures.observe("qemu_nvme_request_size_bytes", SIZES, a["count"], operation="write")
        elif event == "pci_nvme_err_req_status":
            figures.add("qemu_nvme_errors_total", nsid=a["nsid"], status=hex(a["status"]))
        elif event == "pci_nvme_admin_cmd":
            figures.add("qemu_nvme_admin_commands_total", operation=name_of(admin_commands, a["opcode"]))
        elif event == "pci_nvme_irq_msix":
            figures.add("qemu_nvme_interrupts_total", vector=a["vector"])
        elif event == "pci_nvme_irq_pin":
            figures.add("qemu_nvme_interrupts_total", vector="pin")


def pack_dma(records, figures, _newer):
    pairs = Pairs(figures, "qemu_dma_request_duration_seconds", LATENCY)
    for time, event, a in records:
        if event == "dma_blk_io":
            pairs.begin(time, a["dbs"], operation="write" if a["to_dev"] else "read")
        elif event == "dma_complete":
            pairs.end(time, a["dbs"])
            if a["ret"] < 0:
                figures.add("qemu_dma_errors_total", errno=-a["ret"])


def pack_scsi(records, figures, _newer):
    commands = {
        0x00: "test_unit_ready", 0x03: "request_sense", 0x08: "read_6", 0x0A: "write_6", 0x12: "inquiry", 0x15: "mode_select_6",
        0x1A: "mode_sense_6", 0x1B: "start_stop_unit", 0x25: "read_capacity_10", 0x28: "read_10", 0x2A: "write_10",
        0x2F: "verify_10", 0x35: "synchronize_cache_10", 0x41: "write_same_10", 0x42: "unmap", 0x5A: "mode_sense_10",
        0x5E: "persistent_reserve_in", 0x5F: "persistent_reserve_out", 0x85: "ata_passthrough_16", 0x88: "read_16",
        0x8A: "write_16", 0x91: "synchronize_cache_16", 0x93: "write_same_16", 0x9E: "service_action_in_16",
        0xA0: "report_luns", 0xA3: "maintenance_in", 0xA8: "read_12", 0xAA: "write_12",
    }
    sense_keys = {
        0x0: "no_sense", 0x1: "recovered_error", 0x2: "not_ready", 0x3: "medium_error", 0x4: "hardware_error",
        0x5: "illegal_request", 0x6: "unit_attention", 0x7: "data_protect", 0x8: "blank_check", 0xA: "copy_aborted",
        0xB: "aborted_command", 0xD: "volume_overflow", 0xE: "miscompare",
    }
    directions = {0: "none", 1: "read", 2: "write"}  # SCSI_XFER_*
    pairs = Pairs(figures, "qemu_scsi_command_duration_seconds", LATENCY)
    for time, event, a in records:
        unit = {"target": a.get("target"), "lun": a.get("lun")}
        if event == "scsi_req_parsed":
            direction = name_of(directions, a["mode"])
            figures.add("qemu_scsi_commands_total", **unit, command=name_of(commands, a["cmd"]))
            if a["mode"]:
                figures.add("qemu_scsi_bytes_total", a["xfer"], **unit, direction=direction)
            pairs.begin(time, a["target"], a["lun"], a["tag"], **unit, direction=direction)
        elif event == "scsi_req_dequeue":
            pairs.end(time, a["target"], a["lun"], a["tag"])
        elif event == "scsi_req_build_sense":
            figures.add("qemu_scsi_sense_total", **unit, sense=name_of(sense_keys, a["key"]))
        elif event == "scsi_req_cancel":
            figures.add("qemu_scsi_cancellations_total", **unit)


def pack_ide_ahci(records, figures, _newer):
    commands = {
        0x06: "data_set_management", 0x20: "read_sectors", 0x24: "read_sectors_ext", 0x25: "read_dma_ext",
        0x29: "read_multiple_ext", 0x30: "write_sectors", 0x34: "write_sectors_ext", 0x35: "write_dma_ext",
        0x39: "write_multiple_ext", 0xA0: "packet", 0xA1: "identify_packet", 0xB0: "smart", 0xC4: "read_multiple",
        0xC5: "write_multiple", 0xC8: "read_dma", 0xCA: "write_dma", 0xE0: "standby_immediate", 0xE5: "check_power_mode",
        0xE7: "flush_cache", 0xEA: "flush_cache_ext", 0xEC: "identify", 0xEF: "set_features",
    }
    queued = Pairs(figures, "qemu_ahci_ncq_request_duration_seconds", LATENCY)
    unqueued = Pairs(figures, "qemu_ahci_dma_command_duration_seconds", LATENCY)
    for time, event, a in records:
        port = {"controller": hex(a.get("s", 0)), "port": a.get("port")}
        if event in ("ide_exec_cmd", "ide_bus_exec_cmd"):
            figures.add("qemu_ide_commands_total", bus=hex(a["bus"]), command=name_of(commands, a["cmd"]))
        elif event == "ide_dma_cb":
            operation = name_of({"DMA READ": "read", "DMA WRITE": "write", "DMA TRIM": "trim"}, a["dma"])
            figures.add("qemu_ide_dma_bytes_total", a["n"] * 512, operation=operation)
        elif event in ("ide_sector_read", "ide_sector_write"):
            figures.add("qemu_ide_pio_bytes_total", a["nsectors"] * 512, operation=event.removeprefix("ide_sector_"))
        elif event == "ide_atapi_cmd":
            figures.add("qemu_ide_atapi_commands_total", command=hex(a["cmd"]))
        elif event == "ide_atapi_cmd_error":
            figures.add("qemu_ide_atapi_errors_total", sense=hex(a["sense_key"]))
        elif event == "process_ncq_command":
            operation = name_of({0x60: "read", 0x61: "write"}, a["cmd"])
            figures.add("qemu_ahci_ncq_requests_total", **port, operation=operation)
            figures.add("qemu_ahci_ncq_bytes_total", (a["end"] - a["lba"] + 1) * 512, **port, operation=operation)
            queued.begin(time, a["s"], a["port"], a["tag"], **port, operation=operation)
        elif event == "ncq_finish":
            queued.end(time, a["s"], a["port"], a["tag"])
        elif event == "ahci_start_dma":
            unqueued.begin(time, a["s"], a["port"], **port)
        elif event == "ahci_cmd_done":
            unqueued.end(time, a["s"], a["port"])
        elif event == "ahci_trigger_irq":
            figures.add("qemu_ahci_port_interrupts_total", **port, cause=a["name"])


def pack_usb(records, figures, _newer):
    transfers = Pairs(figures, "qemu_usb_xhci_transfer_duration_seconds", LATENCY)
    storage = Pairs(figures, "qemu_usb_storage_command_duration_seconds", LATENCY)
    errors = {1: "nodev", 2: "nak", 3: "stall", 4: "babble", 5: "ioerror"}
    for time, event, a in records:
        if event == "usb_xhci_xfer_start":
            figures.add("qemu_usb_xhci_transfers_total", slot=a["slotid"], endpoint=a["epid"])
            transfers.begin(time, a["xfer"], slot=a["slotid"], endpoint=a["epid"])
        elif event == "usb_xhci_xfer_success":
            figures.add("qemu_usb_xhci_bytes_total", a["bytes"])
            transfers.end(time, a["xfer"])
        elif event == "usb_xhci_xfer_error":
            # QEMU prints the unsigned number as a signed one.
            figures.add("qemu_usb_xhci_errors_total", error=name_of(errors, -a["ret"]))
            transfers.end(time, a["xfer"])
        elif event == "usb_msd_cmd_submit":
            direction = "read" if a["flags"] & 0x80 else "write"
            figures.add("qemu_usb_storage_bytes_total", a["data_len"], direction=direction)
            storage.begin(time, a["tag"], direction=direction)
        elif event == "usb_msd_cmd_complete":
            storage.end(time, a["tag"])
            if a["status"]:
                figures.add("qemu_usb_storage_errors_total", status=hex(a["status"]))


def pack_9p(records, figures, _newer):
    # Tread is 116 and so on; an R message has the next number.
    types = {
        8: "statfs", 12: "open", 14: "lcreate", 16: "symlink", 18: "mknod", 20: "rename", 22: "readlink", 24: "getattr",
        26: "setattr", 30: "xattrwalk", 32: "xattrcreate", 40: "readdir", 50: "fsync", 52: "lock", 54: "getlock", 70: "link",
        72: "mkdir", 74: "renameat", 76: "unlinkat", 104: "attach", 108: "flush", 110: "walk", 112: "open", 114: "create",
        116: "read", 118: "write", 120: "clunk", 122: "remove", 124: "stat", 126: "wstat",
    }
    counted = set(
        "version attach stat getattr setattr walk open lcreate create symlink mkdir mknod link remove wstat clunk fsync flush "
        "read readdir readlink write lock getlock xattrwalk xattrcreate".split()
    )
    timed = set("attach getattr setattr walk open lcreate symlink mkdir mknod read readdir readlink write lock".split())
    pairs = Pairs(figures, "qemu_9p_operation_duration_seconds", LATENCY)
    for time, event, a in records:
        operation = event.removeprefix("v9fs_")
        if operation in counted:
            figures.add("qemu_9p_operations_total", operation=operation)
            if operation in timed:
                pairs.begin(time, a["tag"], a["id"], operation=operation)
        elif operation == "rerror":
            figures.add("qemu_9p_errors_total", operation=name_of(types, a["id"]), errno=a["err"])
            pairs.end(time, a["tag"], a["id"])
        elif operation.endswith("_return") and operation.removesuffix("_return") in timed:
            pairs.end(time, a["tag"], a["id"])
            if operation == "read_return" and a["err"] >= 0:
                figures.add("qemu_9p_bytes_total", a["count"], operation="read")
            elif operation == "write_return" and a["err"] >= 0:
                figures.add("qemu_9p_bytes_total", a["total"], operation="write")


def pack_mmio(records, figures, _newer):
    for _, event, a in records:
        if event not in ("memory_region_ops_read", "memory_region_ops_write"):
            continue
        operation = event.removeprefix("memory_region_ops_")
        figures.add("qemu_mmio_accesses_total", region=a["name"], operation=operation)
        figures.add("qemu_mmio_bytes_total", a["size"], region=a["name"], operation=operation)
        figures.add("qemu_mmio_sized_accesses_total", operation=operation, size=a["size"])
        figures.rank("qemu_mmio_hot_address", "address", a["addr"], 20)


def pack_tcg(records, figures, _newer):
    for _, event, a in records:
        if event == "exec_tb":
            figures.add("qemu_tcg_blocks_executed_total")
            figures.rank("qemu_tcg_executed_page_total", "page", a["pc"] & ~4095, 50)
            figures.rank("qemu_tcg_hot_pc", "pc", a["pc"], 20)
        elif event == "translate_block":
            figures.add("qemu_tcg_blocks_translated_total")


def pack_exec_log(records, figures, _newer):
    for _, event, a in records:
        if event == "block":
            figures.add("qemu_exec_log_blocks_total")
            figures.rank("qemu_exec_log_page_total", "page", a["pc"] & ~4095, 50)
            figures.rank("qemu_exec_log_hot_pc", "pc", a["pc"], 20)
        else:
            figures.add("qemu_exec_log_register_dumps_total")
            figures.rank("qemu_exec_log_dump_page_total", "page", a["pc"] & ~4095, 50)
            figures.rank("qemu_exec_log_dump_hot_pc", "pc", a["pc"], 20)


def pack_runstate(records, figures, _newer):
    causes = {
        0: "none", 1: "host_error", 2: "host_qmp_quit", 3: "host_qmp_system_reset", 4: "host_signal", 5: "host_ui",
        6: "guest_shutdown", 7: "guest_reset", 8: "guest_panic", 9: "subsystem_reset", 10: "snapshot_load",
    }
    actions = {0: "reset", 1: "shutdown", 2: "poweroff", 3: "pause", 4: "debug", 5: "none", 6: "inject_nmi"}
    bounds = "0.001 0.01 0.03 0.1 0.3 1 3 10 60 600 3600".split()
    stops = Pairs(figures, "qemu_runstate_stopped_duration_seconds", bounds, timeout=24 * 3600 * SECOND)
    for time, event, a in records:
        if event == "runstate_set" and a["current_state"] != a["new_state"]:
            figures.add("qemu_runstate_changes_total", **{"from": a["current_state_str"], "to": a["new_state_str"]})
        elif event == "vm_state_notify":
            if a["running"]:
                stops.end(time)
            else:
                stops.begin(time, reason=a["reason_str"])
        elif event == "qemu_system_shutdown_request":
            figures.add("qemu_runstate_shutdown_requests_total", reason=name_of(causes, a["reason"]))
        elif event == "qemu_system_powerdown_request":
            figures.add("qemu_runstate_powerdown_requests_total")
        elif event == "system_wakeup_request":
            reason = name_of({0: "none", 1: "rtc", 2: "pmtimer", 3: "other"}, a["reason"])
            figures.add("qemu_runstate_wakeup_requests_total", reason=reason)
        elif event == "cpu_reset":
            figures.add("qemu_runstate_cpu_resets_total", cpu=a["cpu_index"])
        elif event == "watchdog_perform_action":
            figures.add("qemu_runstate_watchdog_actions_total", action=name_of(actions, a["action"]))


def pack_migration(records, figures, newer):
    error, pending = ("migrate_error", "migrate_pending_estimate") if newer else ("migrate_fd_error", "migrate_pending")
    section_bounds = "0.00001 0.0001 0.001 0.01 0.1 1 10".split()
    syncs = Pairs(figures, "qemu_migration_dirty_sync_duration_seconds", LATENCY)
    sections = Pairs(figures, "qemu_migration_section_duration_seconds", section_bounds)
    for time, event, a in records:
        if event == "migrate_set_state":
            figures.add("qemu_migration_state_changes_total", state=a["new_state"])
        elif event == error:
            figures.add("qemu_migration_errors_total")
        elif event == "migrate_transferred":
            figures.add("qemu_migration_sent_bytes_total", a["bandwidth"] * a["time_spent"])
            figures.gauge("qemu_migration_bandwidth_bytes_per_second", a["bandwidth"] * 1000)
            figures.gauge("qemu_migration_switchover_threshold_bytes", a["size"])
        elif event == pending:
            figures.gauge("qemu_migration_pending_bytes", a["size"])
        elif event == "migration_bitmap_sync_start":
            syncs.begin(time)
        elif event == "migration_bitmap_sync_end":
            syncs.end(time)
            figures.gauge("qemu_migration_period_dirty_pages", a["dirty_pages"])
        elif event == "migration_throttle":
            figures.add("qemu_migration_throttle_steps_total")
        elif event == "savevm_section_start":
            sections.begin(time, a["section_id"], section=a["id"])
        elif event == "savevm_section_end":
            sections.end(time, a["section_id"])
        elif event in ("vmstate_downtime_save", "vmstate_downtime_load"):
            metric = f"qemu_migration_{event.removeprefix('vmstate_')}_seconds_total"
            figures.add_ns(metric, a["downtime"] * 1000, device=a["idstr"], kind=a["type"])


# ---- The program

def expected(recording, pack):
    figures = Figures()
    newer = "-10.0" in recording
    records = read_recording(recording)
    globals()["pack_" + pack.replace("-", "_")](records, figures, newer)
    for pairs in figures.pairs:
        pairs.finish(records[-1][0])
    return figures.result()


def to_text(metrics):
    """One series a line, so that differences can be read."""
    blocks = []
    for metric, series in metrics.items():
        lines = ",\n".join("  " + json.dumps(entry) for entry in series)
        blocks.append(f" {json.dumps(metric)}: [\n{lines}\n ]")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def main(arguments):
    if len(arguments) == 2:
        sys.stdout.write(to_text(expected(*arguments)))
        return 0
    if arguments not in (["--all"], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    differ = 0
    for recording, packs in RECORDINGS.items():
        for pack in packs:
            path = DATA / f"{recording}.{pack}.expected.json"
            text = to_text(expected(recording, pack))
            if arguments == ["--all"]:
                path.write_text(text)
            elif not path.exists() or path.read_text() != text:
                print(f"{path.name}: differs")
                differ = 1
    return differ


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
