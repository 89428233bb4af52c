"""One VM in depth."""
from source.model import (FALLS, GROWS, STATE, STEADY, TRACE_SWITCHES, UP_OR_DOWN, Column, Dashboard, Query, Row, Variable, graph,
                          heatmap, stat, table, the_datasource, the_vms, timeline)


def quantiles(histogram, matchers="", shares=(0.5, 0.95, 0.99, 0.999)):
    """Queries of a graph: quantiles of all series of a histogram, by operation where there is one."""
    rates = f"sum by (le) (rate({histogram}_bucket{{<vm>{matchers}}}<rate>))"
    return [(f"histogram_quantile({share}, {rates})", f"p{share * 100:g}") for share in shares]


def mean(histogram, by, matchers=""):
    return (f"sum by ({by}) (rate({histogram}_sum{{<vm>{matchers}}}<rate>)) / sum by ({by}) (rate({histogram}_count{{<vm>{matchers}}}<rate>))")


def buckets(histogram, matchers=""):
    return f"sum by (le) (increase({histogram}_bucket{{<vm>{matchers}}}<rate>))"


DEVICE = ',device=~"$device"'
EVENT = ',event=~"$event"'
# Which queue of which device an address in the label vq stands for.
QUEUE = "* on (job, instance, vm, vq) group_left(device, queue) qemu_virtio_queue_info{<vm>}"

STATE_ROW = Row("State", [
    stat("Monitor", "none",
          """Whether the VM's monitor answers qemond. If not: QEMU ended, hangs, or another client holds the monitor; qemon status says
             which.""",
          "max(qemu_up{<vm>})", mappings=[UP_OR_DOWN], bad_below=1),
    stat("Run state", "none",
          """What QEMU says it is doing. paused: somebody stopped it (cont goes on); io-error: a disk failed and werror=stop held it;
             internal-error and guest-panicked need a look at the guest's console.""",
          "max by (state) (qemu_run_state{<vm>} == 1)", moves=STATE, legend="{{state}}", text=True),
    stat("QEMU runs for", "s",
          "Time since the QEMU process started. Short when nobody restarted it: it crashed; see its log.",
          "time() - max(qemu_process_start_time_seconds{<vm>})"),
    stat("Events on", "none",
          "Trace events that are on or sampled. Each costs the guest time; qemon lease list tells whose they are.",
          "sum(qemu_trace_event_enabled{<vm>})", none="none so far"),
    stat("Trace completeness", "percentunit",
          """Share of the last minute in which nothing of the trace was lost. Below 100 % what is made from events is too low: see
             Trace health below.""",
          "min(qemu_trace_complete_ratio{<vm>})", bad_below=0.999, none="no trace"),
    stat("CPU", "percentunit",
          "Processor time of QEMU, all threads; 100 % is one processor.",
          "sum(rate(qemu_process_cpu_seconds_total{<vm>}<rate>))", moves=FALLS),
    timeline("Run state",
          "The VM's run states over time. Gaps: the VM could not be seen.",
          "max by (state) (qemu_run_state{<vm>})", "{{state}}", moves=STATE, on="in this state", off="not"),
    graph("Time in each run state", "percentunit",
          "Share of the time in each run state. Anything but running is time that the guest did not get.",
          ("sum by (state) (rate(qemu_run_state_seconds_total{<vm>}<rate>))", "{{state}}"), moves=STATE, stack=True, maximum=1),
    table("Identity", "none",
          "What the VM is, as QEMU tells. Another version than last week explains figures that came or went.",
          "max by (name, uuid, version, arch, accelerator, machine, pid, trace_backend) (qemu_vm_info{<vm>})",
          columns={"name": "Name", "version": "QEMU", "arch": "Architecture", "accelerator": "Accelerator", "machine": "Machine",
                   "pid": "PID", "trace_backend": "Trace backend", "uuid": "UUID"},
          width=16, height=5),
    graph("QMP events", "cps",
          """Events that QEMU reported by itself, by name. RESET, SHUTDOWN, BLOCK_IO_ERROR and GUEST_PANICKED need a look; QEMU limits
             some to one a second.""",
          ("sum by (event) (rate(qemu_qmp_events_total{<vm>}<rate>))", "{{event}}"), moves=STEADY, height=5),
    graph("Run state changes", "short",
          """Changes of the run state since qemond started (pack runstate). VMs that stop and go on again and again have a disk that
             fails with werror=stop, or are migrated.""",
          ("sum by (from, to) (qemu_runstate_changes_total{<vm>})", "{{from}} to {{to}}"), moves=STATE, width=12),
    graph("Resets and shutdowns", "cps",
          "Resets and shutdowns, by reason; guest is true if the guest asked. Many resets: the guest fails to boot.",
          ("sum by (reason, guest) (rate(qemu_resets_total{<vm>}<rate>))", "reset {{reason}}, guest {{guest}}"),
          ("sum by (reason, guest) (rate(qemu_shutdowns_total{<vm>}<rate>))", "shutdown {{reason}}, guest {{guest}}"), moves=STEADY,
          width=12),
])

VCPU_ROW = Row("vCPUs and threads", [
    graph("vCPU time", "percentunit",
          """Processor time of each vCPU; all is one thread for all of them (-icount). At 100 % it is busy or spins: see where with the
             dashboard of execution (TCG) or perf kvm.""",
          ("sum by (vcpu) (rate(qemu_vcpu_cpu_seconds_total{<vm>}<rate>))", "vCPU {{vcpu}}")),
    graph("Run-queue wait", "percentunit",
          """Time that a vCPU was ready and waited for a processor of the host (steal time). Above a few percent the guest stutters:
             the host is overcommitted, or the vCPU is pinned to a busy core.""",
          ("sum by (vcpu) (rate(qemu_vcpu_run_queue_wait_seconds_total{<vm>}<rate>))", "vCPU {{vcpu}}"), moves=STEADY),
    timeline("vCPU threads running",
          """Whether each vCPU's thread was running when it was looked at. A thread in disk_sleep or stopped for long is held by the
             host: see the state with qemon status.""",
          "max by (vcpu, state) (qemu_vcpu_thread_state{<vm>})", "vCPU {{vcpu}} {{state}}", width=8),
    graph("I/O threads", "percentunit",
          """Processor time and run-queue wait of I/O threads (-object iothread). At 100 % the disk's thread is the limit: give disks
             threads of their own.""",
          ("sum by (iothread) (rate(qemu_iothread_cpu_seconds_total{<vm>}<rate>))", "{{iothread}}", FALLS),
          Query("sum by (iothread) (rate(qemu_iothread_run_queue_wait_seconds_total{<vm>}<rate>))", "{{iothread}} waits", STEADY)),
    graph("QEMU process", "percentunit",
          "Processor time of the whole process. What is far above that of vCPUs and I/O threads is QEMU's main loop and its helpers.",
          ("sum(rate(qemu_process_cpu_seconds_total{<vm>}<rate>))", "process"), moves=FALLS),
    graph("Threads and descriptors", "short",
          "Threads and open descriptors of QEMU. Either growing for ever is a leak.",
          ("max(qemu_process_threads{<vm>})", "threads"), ("max(qemu_process_open_fds{<vm>})", "descriptors"), moves=STEADY),
])

INTERRUPT_ROW = Row("Interrupts and timers", [
    graph("Interrupts by controller", "cps",
          "Interrupts that QEMU's emulated controllers counted. Controllers are stages of one path on x86: do not add them up.",
          ("sum by (controller) (rate(qemu_irq_statistics_total{<vm>}<rate>))", "{{controller}}")),
    graph("Interrupts by line", "cps",
          """The same by line; lines that never fired are not there. One line far above its past is a storm: a device that is not
             served, or a driver that does not acknowledge.""",
          ("sum by (controller, line) (rate(qemu_irq_statistics_total{<vm>}<rate>))", "{{controller}} {{line}}"), width=16),
    graph("Raised, by controller and line", "cps",
          """Lines that devices raised (pack irq), as docs/metrics.md tells for each controller. Much more than delivered: the guest
             has it masked, or it was up already.""",
          ("sum by (controller, line) (rate(qemu_irq_raised_total{<vm>}<rate>))", "{{controller}} {{line}}"), width=12),
    graph("Delivered, by vector", "cps",
          "Interrupts that a CPU took (pack irq), by vector. It is what the guest's handlers run for: compare it with /proc/interrupts.",
          ("sum by (controller, vector) (rate(qemu_irq_delivered_total{<vm>}<rate>))", "{{controller}} {{vector}}"), width=12),
    graph("Timer expirations", "cps",
          """Timers of the guest that expired (pack timer). An idle guest with a steady rate has a periodic tick: a tickless kernel has
             far fewer.""",
          ("sum by (timer) (rate(qemu_timer_expirations_total{<vm>}<rate>))", "{{timer}}")),
    graph("HPET accesses", "cps",
          """Accesses to the HPET's registers. Many reads of counter: the guest uses the HPET as its clock source, which is slow; give
             it kvm-clock or the TSC.""",
          ("sum by (operation, register) (rate(qemu_timer_hpet_accesses_total{<vm>}<rate>))", "{{operation}} {{register}}")),
    graph("Guest instructions", "ops",
          """Instructions that the guest executed, where QEMU counts them (-icount). Interrupts divided by these compare guests that
             run at different speeds.""",
          ("sum(rate(qemu_guest_instructions_total{<vm>}<rate>))", "instructions")),
])

BLOCK_ROW = Row("Disks, as QEMU counts them", [
    graph("Bytes", "Bps",
          "Bytes by device and operation. A disk at its throttle or its medium's limit is flat on top.",
          (f"sum by (device, operation) (rate(qemu_blockdev_bytes_total{{<vm>{DEVICE}}}<rate>))", "{{device}} {{operation}}")),
    graph("Operations", "iops",
          "Operations that ended well. Flushes beside many writes: the guest asks for durability often, which is slow on spinning disks.",
          (f"sum by (device, operation) (rate(qemu_blockdev_operations_total{{<vm>{DEVICE}}}<rate>))", "{{device}} {{operation}}")),
    graph("Mean latency", "s",
          """Time added up divided by operations. A mean hides outliers: see the quantiles below. High with few operations in flight: a
             slow medium; high with many: a full queue.""",
          (f"sum by (device, operation) (rate(qemu_blockdev_time_seconds_total{{<vm>{DEVICE}}}<rate>)) / "
           f"sum by (device, operation) (rate(qemu_blockdev_operations_total{{<vm>{DEVICE}}}<rate>))",
           "{{device}} {{operation}}")),
    graph("Operations in flight", "short",
          "Mean number of operations at once. Steadily near the queue's depth: the disk is the limit.",
          (f"sum by (device) (rate(qemu_blockdev_time_seconds_total{{<vm>{DEVICE}}}<rate>))", "{{device}}")),
    graph("Mean size", "bytes",
          """Bytes divided by operations. Small sizes with many operations: let the guest merge (read-ahead, a bigger file-system
             block), or look for a database's page size.""",
          (f'sum by (device, operation) (rate(qemu_blockdev_bytes_total{{<vm>{DEVICE},operation=~"read|write"}}<rate>)) / '
           f'sum by (device, operation) (rate(qemu_blockdev_operations_total{{<vm>{DEVICE},operation=~"read|write"}}<rate>))',
           "{{device}} {{operation}}")),
    graph("Failed, refused and merged", "iops",
          """Operations that failed, that were refused before they began, and that were merged into another. The first two should be 0:
             see QEMU's log and the host's kernel log.""",
          (f"sum by (device, operation) (rate(qemu_blockdev_failed_total{{<vm>{DEVICE}}}<rate>))", "{{device}} {{operation}} failed"),
          (f"sum by (device, operation) (rate(qemu_blockdev_invalid_total{{<vm>{DEVICE}}}<rate>))", "{{device}} {{operation}} refused"),
          (f"sum by (device, operation) (rate(qemu_blockdev_merged_total{{<vm>{DEVICE}}}<rate>))", "{{device}} {{operation}} merged"),
          moves=STEADY),
    table("Devices", "short",
          "Bytes and operations over the range of time, and how long each device has been idle.",
          Query(f"sum by (device) (increase(qemu_blockdev_bytes_total{{<vm>{DEVICE}}}[$__range]))", moves=GROWS),
          Query(f"sum by (device) (increase(qemu_blockdev_operations_total{{<vm>{DEVICE}}}[$__range]))", moves=GROWS),
          Query(f"max by (device) (qemu_blockdev_highest_write_offset_bytes{{<vm>{DEVICE}}})"),
          Query(f"max by (device) (qemu_blockdev_idle_seconds{{<vm>{DEVICE}}})"),
          columns={"device": "Device", "Value #A": Column("Bytes", "bytes"), "Value #B": "Operations",
                   "Value #C": Column("Highest write offset", "bytes"), "Value #D": Column("Idle", "s")},
          sort="Value #A", width=16, height=6),
    graph("Block jobs", "percentunit",
          """How far each block job is. One that does not move waits for its speed limit or a disk that fails; qemon status and
             query-jobs say more.""",
          ("max by (job) (qemu_job_progress_current{<vm>}) / max by (job) (qemu_job_progress_end{<vm>})", "{{job}}"), moves=STEADY,
          height=6),
])

LATENCY_ROW = Row("Disk latency and sizes", [
    heatmap("virtio-blk: latency", "s",
          """Where the latencies of virtio disks lie, from arrival at the device model to completion (pack virtio-blk). Two bands are
             two kinds of requests: cache and medium.""",
          buckets("qemu_virtio_blk_request_duration_seconds"), width=12),
    graph("virtio-blk: quantiles", "s",
          """Of reads and writes. p99 far above the median: a few requests wait for others; look at flushes and at what else uses the
             storage.""",
          *quantiles("qemu_virtio_blk_request_duration_seconds"), width=12),
    heatmap("virtio-blk: sizes", "bytes",
          "How large the guest's requests are (pack virtio-blk). Sizes are exact to a power of two.",
          buckets("qemu_virtio_blk_request_size_bytes")),
    graph("virtio-blk: mean latency", "s",
          "Mean by operation. Writes far above reads: cache=none on a slow medium, or a journal that flushes.",
          (mean("qemu_virtio_blk_request_duration_seconds", "operation"), "{{operation}}")),
    graph("virtio-blk: requests and errors", "iops",
          """What the guest asked for by operation, and completions that were errors. Errors in QEMU's sight reach the guest too: see
             its kernel log.""",
          ("sum by (operation) (rate(qemu_virtio_blk_requests_total{<vm>}<rate>))", "{{operation}}"),
          Query("sum by (status) (rate(qemu_virtio_blk_errors_total{<vm>}<rate>))", "{{status}}", STEADY)),
    heatmap("QEMU's own histogram: latency", "s",
          "Latencies of every kind of disk by QEMU's own histogram (collector block-latency, off by default), without any trace event on.",
          buckets("qemu_blockdev_latency_seconds", DEVICE), width=12),
    graph("QEMU's own histogram: quantiles", "s",
          "Of all operations of the chosen devices, flushes too. Switch the collector on with block-latency: on in qemond.yaml.",
          *quantiles("qemu_blockdev_latency_seconds", DEVICE), width=12),
    graph("Block backend: requests", "iops",
          """Requests at the block backend (pack block): of all disks, block jobs and NBD exports. More than the guest asks for: a
             block job runs.""",
          ("sum by (operation) (rate(qemu_block_requests_total{<vm>}<rate>))", "{{operation}}")),
    heatmap("Block backend: sizes", "bytes",
          "Sizes of requests at the block backend (pack block), after the device model split or merged what the guest asked for.",
          buckets("qemu_block_request_size_bytes")),
    graph("DMA: quantiles", "s",
          "Transfers of IDE, AHCI, NVMe and SCSI disks (pack dma): the one latency that NVMe has.",
          *quantiles("qemu_dma_request_duration_seconds", shares=(0.5, 0.99))),
])

VIRTIO_ROW = Row("Virtio queues", [
    graph("Kicks", "cps",
          """The guest's kicks that QEMU handled (pack virtio). Each is an exit: many for few elements are what ioeventfd and polling
             help against.""",
          ("sum by (device, queue) (rate(qemu_virtio_queue_kicks_total{<vm>}<rate>))", "{{device}} queue {{queue}}")),
    graph("Interrupts to the guest", "cps",
          "Notifications by device and path. Near the number of elements: the guest does not suppress them; compare with the kicks.",
          ("sum by (device, path) (rate(qemu_virtio_notifications_total{<vm>}<rate>))", "{{device}} {{path}}")),
    graph("Elements", "cps",
          "Elements that devices gave back to the guest. A queue whose kicks go on and whose elements stand still is stuck.",
          (f"sum by (device, queue) (rate(qemu_virtio_elements_total{{<vm>}}<rate>) {QUEUE})", "{{device}} queue {{queue}}")),
    heatmap("Time of an element", "s",
          "From taking an element to giving it back, all queues. A receive queue's time is the wait for a packet.",
          buckets("qemu_virtio_element_duration_seconds")),
    graph("Time of an element: quantiles", "s",
          "Of all queues. A disk's queue with a rising p99 is slow storage; see Disk latency.",
          *quantiles("qemu_virtio_element_duration_seconds")),
    graph("Bytes written into buffers", "Bps",
          "What devices wrote into the guest's buffers; what they read from them is not told.",
          (f"sum by (device, queue) (rate(qemu_virtio_written_bytes_total{{<vm>}}<rate>) {QUEUE})", "{{device}} queue {{queue}}")),
])

KVM_ROW = Row("KVM and TCG", [
    graph("KVM exits", "cps",
          "Exits from guest to host by vCPU (KVM, QEMU 7.1 and later). Each costs about a microsecond; the kinds beside say what for.",
          ("sum by (vcpu) (rate(qemu_kvm_exits_total{<vm>}<rate>))", "vCPU {{vcpu}}")),
    graph("KVM exits by kind", "cps",
          """Exits by kind, of all vCPUs (names of x86). io and mmio: emulated devices; irq: the host's interrupts; halt: an idle
             guest; emulated: instructions that the kernel had to emulate.""",
          *((f"sum(rate(qemu_kvm_{name}_total{{<vm>}}<rate>))", legend) for name, legend in (
              ("io_exits", "io"), ("mmio_exits", "mmio"), ("irq_exits", "irq"), ("halt_exits", "halt"), ("irq_window_exits", "irq window"),
              ("signal_exits", "signal"), ("insn_emulation", "emulated")))),
    graph("KVM halts", "percentunit",
          """Time that vCPUs waited in the kernel after a halt, and time that halt polling took, successful or in vain. Much of the
             last: lower halt_poll_ns.""",
          ("sum(rate(qemu_kvm_halt_wait_seconds_total{<vm>}<rate>))", "waiting"),
          ("sum(rate(qemu_kvm_halt_poll_success_seconds_total{<vm>}<rate>))", "polling"),
          ("sum(rate(qemu_kvm_halt_poll_fail_seconds_total{<vm>}<rate>))", "polling in vain")),
    graph("TCG: translated code", "bytes",
          "Host code that TCG keeps and room for it. When full everything is thrown away: raise -accel tcg,tb-size=.",
          ("max(qemu_jit_code_bytes{<vm>})", "code"), ("max(qemu_jit_code_bytes_max{<vm>})", "room"), moves=STEADY, width=12),
    graph("TCG: flushes", "cps",
          "TLB flushes by kind, invalidated blocks and flushes of all blocks. See the dashboard of execution for where the guest runs.",
          ("sum by (kind) (rate(qemu_jit_tlb_flushes_total{<vm>}<rate>))", "TLB {{kind}}"),
          ("sum(rate(qemu_jit_invalidations_total{<vm>}<rate>))", "invalidations"),
          ("sum(rate(qemu_jit_flushes_total{<vm>}<rate>))", "all blocks"), moves=STEADY, width=12),
])

MEMORY_ROW = Row("Memory", [
    graph("Guest memory", "bytes",
          """Memory that the guest was given, that was plugged in, and what the balloon leaves it. A balloon far below base with a
             guest that swaps: let it out again.""",
          ("max(qemu_memory_base_bytes{<vm>})", "base"), ("max(qemu_memory_plugged_bytes{<vm>})", "plugged"),
          ("max(qemu_balloon_actual_bytes{<vm>})", "balloon"), moves=STEADY),
    graph("QEMU's memory on the host", "bytes",
          """Resident, proportional, swapped and virtual memory. Swap above 0: the host is short of memory, and the guest waits for its
             disk.""",
          ("max(qemu_process_resident_memory_bytes{<vm>})", "resident"),
          ("max(qemu_process_proportional_memory_bytes{<vm>})", "proportional"), ("max(qemu_process_swap_bytes{<vm>})", "swapped"),
          ("max(qemu_process_virtual_memory_bytes{<vm>})", "virtual"), moves=STEADY),
    graph("Huge pages", "bytes",
          "Memory in huge pages by kind. Less than the guest's memory where hugetlb was configured: the pool was empty at the start.",
          ("sum by (kind) (qemu_process_huge_pages_bytes{<vm>})", "{{kind}}"), moves=STEADY),
    graph("Pressure", "percentunit",
          """Share of the time in which something in QEMU's control group waited for a processor, memory or a disk (PSI): some is any
             of it, full is all of it. Memory above a few percent: too little memory.""",
          ("sum by (resource, kind) (rate(qemu_cgroup_pressure_seconds_total{<vm>}<rate>))", "{{resource}} {{kind}}"), moves=STEADY),
    graph("Control group", "bytes",
          "Memory of QEMU's control group, page cache included. At its limit the kernel reclaims, then kills.",
          ("max(qemu_cgroup_memory_bytes{<vm>})", "memory.current"), moves=STEADY),
    graph("Dirty rate and migration", "Bps",
          """How fast the guest writes its memory, as last measured by calc-dirty-rate. Above the bandwidth of a migration it does not
             converge.""",
          ("max(qemu_dirty_rate_bytes_per_second{<vm>})", "dirty rate"), moves=STEADY),
])

TRACE_ROW = Row("Trace health", [
    timeline("Events on",
          "Which trace events were on, or sampled. Each costs the guest time while it is; qemon event off NAME ends it.",
          f"max by (event) (qemu_trace_event_enabled{{<vm>{EVENT}}})", "{{event}}", height=10),
    timeline("Packs on",
          """Which packs were on. A pack that is on while its graphs are empty has nothing to see: its device is not there, or KVM
             emulates it.""",
          "max by (pack) (qemond_pack_enabled{<vm>})", "{{pack}}", height=10),
    graph("Completeness", "percentunit",
          """Share of the last minute in which nothing of the trace was lost; absent while nothing is traced. Below 100 % what is made
             from events is too low.""",
          ("min(qemu_trace_complete_ratio{<vm>})", "complete"), moves=STEADY, maximum=1),
    graph("Drops", "cps",
          "Records that QEMU dropped because its buffer was full (simple). Trace fewer events, or sample the hot ones.",
          ("sum(rate(qemu_trace_dropped_events_total{<vm>}<rate>))", "dropped")),
    graph("Lag", "s",
          "Age of the newest record that was counted while more waits. More than a second: qemond gets too little processor time.",
          ("max(qemond_trace_lag_seconds{<vm>})", "lag"), moves=STEADY),
    graph("Records by event", "cps",
          "Records that QEMU wrote, by event. The highest is what the trace costs most for; qemon event cost tells before it is on.",
          (f"sum by (event) (rate(qemu_trace_events_total{{<vm>{EVENT}}}<rate>))", "{{event}}"), width=12),
    graph("Sampled events", "cps",
          """Of sampled events: how many records there would have been, and the share of the time that was observed. Below a percent
             observed, look at thirty periods or more.""",
          (f"sum by (event) (rate(qemu_trace_events_estimated_total{{<vm>{EVENT}}}<rate>))", "{{event}} estimated"),
          Query(f"sum by (event) (rate(qemu_trace_event_observed_seconds_total{{<vm>{EVENT}}}<rate>))", "{{event}} share observed", STEADY),
          width=12),
    graph("Records and bytes read", "cps",
          "Records that qemond decoded, and stale ones from before the file was opened, which are not counted as events.",
          ("sum(rate(qemond_trace_records_total{<vm>}<rate>))", "records"),
          Query("sum(rate(qemond_trace_stale_records_total{<vm>}<rate>))", "stale", STEADY)),
    graph("Bytes of trace", "Bps",
          "Bytes of trace that were read, and bytes that were passed over to find the next record. The latter are lost records.",
          ("sum(rate(qemond_trace_bytes_read_total{<vm>}<rate>))", "read"),
          Query("sum(rate(qemond_trace_lost_bytes_total{<vm>}<rate>))", "lost", STEADY)),
    graph("Trouble in reading", "cps",
          """What was no record, by reason, and files truncated by others. unknown_line is QEMU's own messages; the rest is a catalog
             that does not fit, or damage.""",
          ("sum by (reason) (rate(qemond_trace_decode_errors_total{<vm>}<rate>))", "{{reason}}"),
          ("sum(rate(qemond_trace_restarts_total{<vm>}<rate>))", "restarts"),
          ("sum(rate(qemond_trace_read_errors_total{<vm>}<rate>))", "failed reads"),
          ("sum(rate(qemond_trace_resyncs_total{<vm>}<rate>))", "resyncs"), moves=STEADY),
    graph("Pairs of latencies", "cps",
          """How begin and end records found each other. Much but matched: records are lost, or the pack was switched on in the middle;
             such pairs are never published.""",
          ("sum by (outcome) (rate(qemond_pack_pairs_total{<vm>}<rate>))", "{{outcome}}"), width=12),
    graph("Pairs in flight", "short",
          "Begin records that wait for their end. Rising for ever: ends are missing, or requests hang.",
          ("sum by (metric) (qemond_pack_pairs_in_flight{<vm>})", "{{metric}}"), moves=STEADY, width=12),
    graph("Trace space", "bytes",
          """What the trace takes up on the disk, and the limit of that (--trace-space). Events go off at the limit, at three quarters
             of it for a file of qemond's: trace fewer events, or make the trace directory larger.""",
          ("max(qemond_trace_space_used_bytes{<vm>})", "used"), ("max(qemond_trace_space_bytes{<vm>})", "limit"), moves=STEADY, width=6),
    timeline("Trace file system full",
          """Whether QEMU has no room to write its trace on; it loses records meanwhile. Free space in the trace directory, or switch
             events off.""",
          "max by (vm) (qemond_trace_file_system_full{<vm>})", "{{vm}}", on="full", off="has room", colors=("red", "green"), width=6),
    graph("Left out and overflowed", "cps",
          """Records that a rule left out because its arithmetic failed, and those counted under __other__ because a metric's limit was
             reached.""",
          ("sum by (metric, reason) (rate(qemond_pack_evaluation_errors_total{<vm>}<rate>))", "{{metric}} {{reason}}"),
          ("sum by (metric) (rate(qemond_series_overflow_total{<vm>}<rate>))", "{{metric}} overflow"), moves=STEADY, width=12),
    table("Budget trips", "none",
          """Events that were switched off because they cost more than the VM's budget. They stay off until asked for again, best with
             --sample.""",
          f"sum by (event) (qemond_budget_trips_total{{<vm>{EVENT}}})", columns={"event": "Event", "Value": "Trips"}, sort="Value",
          width=8),
    graph("Switched by others, flushes", "cps",
          """Times that somebody else switched a trace event, and that QEMU was asked to write what it had pending (simple). The former
             means that two tools trace one VM.""",
          ("sum(rate(qemond_event_foreign_changes_total{<vm>}<rate>))", "by others"),
          ("sum(rate(qemond_trace_flushes_total{<vm>}<rate>))", "flushes"), moves=STEADY, width=16),
])

DASHBOARD = Dashboard(
    "qemon-vm", "qemon: VM", "One VM in depth. Graphs of a pack are empty until it is on: qemon pack on NAME --vm VM.",
    [the_datasource(), *the_vms(several=False),
     Variable("device", "Disk", "label_values(qemu_blockdev_operations_total{<vm>}, device)",
              description="Disks, as QEMU's backends are named."),
     Variable("event", "Event", "label_values(qemu_trace_event_enabled{<vm>}, event)", description="Trace events that are or were on.")],
    [STATE_ROW, VCPU_ROW, INTERRUPT_ROW, BLOCK_ROW, LATENCY_ROW, VIRTIO_ROW, KVM_ROW, MEMORY_ROW, TRACE_ROW],
    annotations=TRACE_SWITCHES,
)
