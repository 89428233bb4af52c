"""All VMs on all hosts: which need a look, and which are busy."""
from source.model import (BUSY, FALLS, RATE, STATE, STEADY, TRACE_SWITCHES, UP_OR_DOWN, Column, Dashboard, Query, Row, Variable, graph,
                          link_to, stat, table, the_datasource, the_vms)

VM_OF_SERIES = [link_to("qemon-vm", "This VM in depth", "labels")]
VM_OF_ROW = link_to("qemon-vm", "This VM in depth", "fields")


def busiest(counter, matchers=""):
    """The rate of a counter by VM, of those VMs that had most of it in the range of time."""
    selected = f"{counter}{{<vm>{matchers}}}"
    return (f"sum by (job, instance, vm) (rate({selected}<rate>)) and on (job, instance, vm) "
            f"topk($top, sum by (job, instance, vm) (increase({selected}[$__range] @ end())))")


def lines(title, unit, description, counter, matchers="", **options):
    return graph(title, unit, description, (busiest(counter, matchers), "{{vm}} on {{instance}}"), links=VM_OF_SERIES, **options)


DASHBOARD = Dashboard(
    "qemon-fleet", "qemon: fleet", "All VMs on all hosts that qemond watches. A row of the table or a line leads to the VM.",
    [the_datasource(), *the_vms(), Variable("top", "Busiest", values="10,20,50,100", description="How many VMs the graphs of load show.")],
    [
        Row("Now", [
            stat("VMs watched", "none",
                  """VMs that qemond knows, reachable or not. Fewer than expected: look for the VM with qemon vm list on its host, and
                     at the discovery of sockets in qemond.yaml.""",
                  "count(qemu_up{<vm>})"),
            stat("VMs unreachable", "none",
                  """VMs whose monitor does not answer: stopped, hung, or with the monitor taken by another client. Their rows in the
                     table are red; qemon status on the host says why.""",
                  "count(qemu_up{<vm>}) - sum(qemu_up{<vm>})", bad_above=1),
            stat("Hosts", "none",
                  """qemonds that Prometheus could scrape. Fewer than expected: see Status > Targets in Prometheus, and systemctl
                     status qemond on the host.""",
                  "count(qemond_build_info{<host>})"),
            stat("VMs traced", "none",
                  """VMs with at least one trace event on. A trace that nobody needs any more costs the guest time: qemon lease list
                     shows who switched it on and until when.""",
                  "sum(max by (job, instance, vm) (qemu_trace_event_enabled{<vm>}))", none="none so far"),
            stat("Trace records", "cps",
                  """Records that all qemonds read, a second. Each costs its guest about a microsecond and a half with the log backend;
                     the graph of records below says whose they are.""",
                  "sum(rate(qemond_trace_records_total{<vm>}<rate>))", moves=RATE),
            stat("Least complete trace", "percentunit",
                  """The lowest share of the last minute in which nothing of a VM's trace was lost. Below 100 % the counts of events of
                     that VM are too low: trace fewer events, or sample them.""",
                  "min(qemu_trace_complete_ratio{<vm>})", bad_below=0.999, none="no trace"),
            table("VMs", "short",
                  """Every VM and what it does now. Red: its monitor does not answer. A click on a name opens the VM. Waiting is the
                     time that vCPUs were ready to run and had no processor, in processors: much of it means that the host has too few.""",
                  Query("max by (job, instance, vm) (qemu_up{<vm>})"),
                  Query("sum by (job, instance, vm) (rate(qemu_process_cpu_seconds_total{<vm>}<rate>))", moves=FALLS),
                  Query("sum by (job, instance, vm) (rate(qemu_vcpu_run_queue_wait_seconds_total{<vm>}<rate>))"),
                  Query("max by (job, instance, vm) (qemu_process_resident_memory_bytes{<vm>})"),
                  Query("sum by (job, instance, vm) (rate(qemu_blockdev_bytes_total{<vm>}<rate>))", moves=RATE),
                  Query("sum by (job, instance, vm) (rate(qemu_blockdev_operations_total{<vm>}<rate>))", moves=RATE),
                  Query("sum by (job, instance, vm) (rate(qemond_trace_records_total{<vm>}<rate>))", moves=RATE),
                  Query("max by (job, instance, vm) (qemu_trace_complete_ratio{<vm>})"),
                  columns={
                      "instance": "Host", "vm": Column("VM", link=VM_OF_ROW), "Value #A": Column("Monitor", mappings=(UP_OR_DOWN,)),
                      "Value #B": Column("CPU", "percentunit"), "Value #C": Column("Waiting", "percentunit"),
                      "Value #D": Column("Memory", "bytes"), "Value #E": Column("Disk", "Bps"), "Value #F": Column("Disk operations", "iops"),
                      "Value #G": Column("Records", "cps"), "Value #H": Column("Complete", "percentunit"), "job": "Job"},
                  sort="vm", width=24, height=10),
            table("Versions", "none",
                  """What each VM runs on, as QEMU says it. It explains differences between VMs, such as figures that an old QEMU does
                     not tell.""",
                  "max by (job, instance, vm, version, arch, accelerator, machine, trace_backend) (qemu_vm_info{<vm>})",
                  columns={"instance": "Host", "vm": Column("VM", link=VM_OF_ROW), "version": "QEMU", "arch": "Architecture",
                           "accelerator": "Accelerator", "machine": "Machine", "trace_backend": "Trace backend", "job": "Job"},
                  sort="vm"),
            graph("Run states", "none",
                  """How many VMs are in each run state. Anything but running that lasts needs a look: io-error and guest-panicked stop
                     a VM until somebody acts.""",
                  ("sum by (state) (qemu_run_state{<vm>})", "{{state}}"), moves=STATE, stack=True, width=12),
        ]),
        Row("Load", [
            lines("CPU", "percentunit",
                  """Time of the host's processors that each QEMU takes, vCPUs and all its other threads: 100 % is one processor. A VM
                     at the number of its vCPUs is busy or spins.""",
                  "qemu_process_cpu_seconds_total", moves=FALLS),
            lines("Run-queue wait", "percentunit",
                  """Time that vCPUs were ready and waited for a processor of the host (steal time), in processors. When it rises the
                     host is overcommitted: move VMs, or pin fewer to the same cores.""",
                  "qemu_vcpu_run_queue_wait_seconds_total", moves=STEADY),
            graph("Memory", "bytes",
                  "Resident memory of each QEMU. Near the sum of the host's memory the host swaps or kills: balloon or move VMs.",
                  ("""max by (job, instance, vm) (qemu_process_resident_memory_bytes{<vm>}) and on (job, instance, vm) topk($top, max
                      by (job, instance, vm) (max_over_time(qemu_process_resident_memory_bytes{<vm>}[$__range] @ end())))""",
                   "{{vm}} on {{instance}}"),
                  moves=STEADY, links=VM_OF_SERIES),
            lines("Disk bytes", "Bps",
                  """Bytes that guests read, wrote and discarded, by QEMU's own count. A VM that crowds out others on shared storage
                     shows here first: give it a limit with block_set_io_throttle.""",
                  "qemu_blockdev_bytes_total"),
            lines("Disk operations", "iops",
                  """Operations that ended well, flushes among them. Many small ones with few bytes: look at the sizes in the VM's
                     dashboard.""",
                  "qemu_blockdev_operations_total"),
            graph("Disk latency", "s",
                  """Mean time of an operation: time added up, divided by operations. A slow device raises it for all its VMs; one VM
                     alone is more likely to be throttled or to have a deep queue.""",
                  ("""(sum by (job, instance, vm) (rate(qemu_blockdev_time_seconds_total{<vm>}<rate>)) / sum by (job, instance, vm)
                      (rate(qemu_blockdev_operations_total{<vm>}<rate>))) and on (job, instance, vm) topk($top, sum by (job, instance,
                      vm) (increase(qemu_blockdev_operations_total{<vm>}[$__range] @ end())))""",
                   "{{vm}} on {{instance}}"),
                  links=VM_OF_SERIES),
            graph("Disk operations that failed", "iops",
                  "Operations that failed or were refused. Should be 0: QEMU's log and the host's kernel log say which device it was.",
                  ("""sum by (job, instance, vm) (rate(qemu_blockdev_failed_total{<vm>}<rate>)) + sum by (job, instance, vm)
                      (rate(qemu_blockdev_invalid_total{<vm>}<rate>))""",
                   "{{vm}} on {{instance}}"),
                  moves=STEADY, links=VM_OF_SERIES),
            lines("Interrupts", "cps",
                  """Interrupts that QEMU's emulated controllers counted, stages of one path included: good for comparing a VM with
                     itself, not with others. A storm shows as a line far above its past; the VM's dashboard names the line.""",
                  "qemu_irq_statistics_total"),
            lines("Resets", "cps",
                  "Resets of VMs. A guest that resets again and again has panicked or fails to boot: look at its console.",
                  "qemu_resets_total", moves=STEADY),
        ]),
        Row("Trace", [
            lines("Trace records", "cps",
                  """Records a second that qemond read. Above the VM's budget (50,000 with the log backend, 200,000 with simple) events
                     are switched off.""",
                  "qemond_trace_records_total"),
            graph("Completeness", "percentunit",
                  """Share of the last minute in which nothing of the trace was lost; absent while nothing is traced. Below 100 % the
                     figures made from events are too low.""",
                  ("min by (job, instance, vm) (qemu_trace_complete_ratio{<vm>})", "{{vm}} on {{instance}}"), moves=STEADY, maximum=1,
                  links=VM_OF_SERIES),
            lines("Dropped records", "cps",
                  """Records that QEMU dropped because its buffer was full (simple). More than a burst now and then: trace fewer
                     events, or sample the hot ones.""",
                  "qemu_trace_dropped_events_total"),
            graph("Lag", "s",
                  """Age of the newest record that was counted while more waits. Rises when qemond gets too little processor time, or
                     when an event is too hot to follow.""",
                  ("max by (job, instance, vm) (qemond_trace_lag_seconds{<vm>})", "{{vm}} on {{instance}}"), moves=STEADY,
                  links=VM_OF_SERIES),
            graph("Monitor round trips", "s",
                  """99th percentile of the time from a monitor command to its answer, by VM. QEMU's main loop is busy or blocked when
                     it rises; the guest's devices wait for the same loop.""",
                  ("histogram_quantile(0.99, sum by (job, instance, vm, le) (rate(qemond_monitor_round_trip_seconds_bucket{<vm>}<rate>)))",
                   "{{vm}} on {{instance}}"),
                  moves=BUSY, links=VM_OF_SERIES),
            table("Budget trips", "none",
                  """Events that were switched off because they cost more than the VM's budget, and how often. They stay off until
                     somebody asks again: with qemon event on, best with --sample.""",
                  "sum by (job, instance, vm, event) (qemond_budget_trips_total{<vm>}) > 0",
                  columns={"instance": "Host", "vm": Column("VM", link=VM_OF_ROW), "event": "Event", "Value": "Trips", "job": "Job"},
                  sort="Value", width=8),
        ]),
    ],
    annotations=TRACE_SWITCHES,
)
