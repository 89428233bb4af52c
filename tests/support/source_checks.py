"""What tests of the trace sources share: figures of the pack virtio-blk against the work that a guest was told to do, and QEMU's own counters."""
import re

from stack import PATIENCE, Failure

EVENTS = {"virtio_blk_handle_read": "read_requests", "virtio_blk_handle_write": "write_requests"}


def check(what, found, expected):
    if found != expected:
        raise Failure(f"{what}: {found} instead of {expected}")


def figure(host, name, **labels):
    """A sample of /metrics with at least these labels; 0 if there is none."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    for found, value in re.findall(rf"(?m)^{name}\{{(.*)\}} (\S+)$", host.metrics()):
        if all(each in found for each in wanted):
            return float(value)
    return 0.0


def counted(host, vm):
    """What the pack counted of a VM, as Worker.done has it."""
    return {f"{operation}_{what}": figure(host, f"qemu_virtio_blk_{what}_total", vm=vm, operation=operation)
            for operation in ("read", "write") for what in ("requests", "bytes")}


def dropped(host, vm):
    return figure(host, "qemu_trace_dropped_events_total", vm=vm)


class Work:
    """What a guest does from now on, by three witnesses: the test that told it, QEMU, and qemond."""

    def __init__(self, stack, host, worker):
        self._stack, self._host, self._worker = stack, host, worker
        self._done = dict(worker.done)
        self._blocks = worker.vm.block_statistics()
        self._counted = counted(host, worker.name)

    def expected(self):
        return {key: self._worker.done[key] - self._done.get(key, 0) for key in self._counted}

    def counted(self):
        now = counted(self._host, self._worker.name)
        return {key: now[key] - before for key, before in self._counted.items()}

    def check_qemu(self):
        now = self._worker.vm.block_statistics()
        for key, figures in {"read_requests": "rd_operations", "read_bytes": "rd_bytes", "write_requests": "wr_operations",
                             "write_bytes": "wr_bytes"}.items():
            check(f"QEMU's {figures}", now[figures] - self._blocks[figures], self.expected()[key])

    def check_all(self):
        """All of it is in /metrics, and not more."""
        self.check_qemu()
        self._stack.wait_for(lambda: self.counted() == self.expected(), PATIENCE,
                             f"{self._worker.name} to have {self.expected()} (it has {self.counted()})")


def check_latencies(stack, host, vm, reads):
    """The pack has a duration of each of the first `reads` reads, which took some time."""
    stack.wait_for(lambda: figure(host, "qemu_virtio_blk_request_duration_seconds_count", vm=vm, operation="read") == reads, PATIENCE,
                   f"{reads} durations")
    total = figure(host, "qemu_virtio_blk_request_duration_seconds_sum", vm=vm, operation="read")
    if not 0 < total / reads < 1:
        raise Failure(f"{reads} reads took {total} s")
