"""Runs of `qemon experiment`, side by side."""
from source.model import (GROWS, RATE, STEADY, TRACE_SWITCHES, Annotation, Column, Dashboard, Query, Row, Variable, graph, stat, table,
                          the_datasource, the_vms)

# 1 while an experiment runs. Figures are joined to it and not it to them, so that two experiments may run at once on a VM.
RUN = 'qemu_experiment_info{<vm>,experiment=~"$experiment"}'
LEGEND = "{{experiment}} ({{vm}})"


def during(figure):
    """A figure of VMs while an experiment runs; with the labels of the experiment."""
    return f"{RUN} * on (job, instance, vm) group_left() sum by (job, instance, vm) ({figure})"


def speed(counter, matchers=""):
    return during(f"rate({counter}{{<vm>{matchers}}}<rate>)")


def since_start(counter, matchers=""):
    """What a counter has grown by since the experiment began."""
    joined = during(f"{counter}{{<vm>{matchers}}}")
    return f"({joined}) - min_over_time(({joined})[$__range:$__interval] @ end())"


def total(counter, matchers=""):
    """What a counter grew by in an experiment that is in the range of time, whether it still runs or not."""
    joined = during(f"{counter}{{<vm>{matchers}}}")
    return f"max_over_time(({joined})[$__range:$__interval]) - min_over_time(({joined})[$__range:$__interval])"


def over_operations(title, unit, description, query, counter, moves):
    queries = [(query(counter, f',operation="{name}"'), f"{LEGEND} {name}") for name in ("read", "write")]
    return graph(title, unit, description, *queries, moves=moves)


CONTROLLER = ',controller="$controller"'
BYTES, OPERATIONS = "qemu_blockdev_bytes_total", "qemu_blockdev_operations_total"
INTERRUPTS, INSTRUCTIONS, CPU = "qemu_irq_statistics_total", "qemu_guest_instructions_total", "qemu_vcpu_cpu_seconds_total"

DASHBOARD = Dashboard(
    "qemon-experiment", "qemon: experiments",
    """Runs of qemon experiment, side by side: choose them above, and a range of time in which they all are. qemon experiment
    compare puts them on one axis.""",
    [the_datasource(), *the_vms(),
     Variable("experiment", "Experiment", "label_values(qemu_experiment_info{<vm>}, experiment)",
              description="Experiments that ran in the range of time."),
     Variable("controller", "Interrupts of", "label_values(qemu_irq_statistics_total{<vm>}, controller)", several=False,
              description="The controller whose interrupts are counted: on x86 they are stages of one path, so their sum says nothing.")],
    [
        Row("Runs", [
            stat("Running now", "none",
                  "Experiments that run now. One that should have ended: qemon experiment stop NAME.",
                  f"count(count by (experiment) ({RUN}))", none="none"),
            stat("In the range of time", "none",
                  "Experiments of which there is anything in the range of time. One is missing: widen the range.",
                  f"count(count by (experiment) (last_over_time({RUN}[$__range])))", none="none"),
            stat("Trace completeness", "percentunit",
                  """The lowest share of any minute of a run in which nothing of the trace was lost. Below 100 % counts of events are
                     too low: run it again with fewer events, or sampled ones.""",
                  f"min(min_over_time(({RUN} * on (job, instance, vm) group_left() qemu_trace_complete_ratio{{<vm>}})[$__range:$__interval]))",
                  bad_below=0.999, none="no trace", width=4),
            table("Runs", "none",
                  """Each run with its labels, and how long it was in the range of time. Two lengths that differ much for one command:
                     look at the cache, and at the host's load.""",
                  f"count_over_time(({RUN})[$__range:$__interval]) * $__interval_ms / 1000", columns=None, width=24, height=6),
            table("Totals", "short",
                  """What each run added up to in the range of time. qemon experiment compare has the same exactly, from the daemon's
                     own looks at start and end.""",
                  Query(total(BYTES, ',operation="read"')), Query(total(BYTES, ',operation="write"')), Query(total(OPERATIONS)),
                  Query(total(INTERRUPTS, CONTROLLER)), Query(total(INSTRUCTIONS)), Query(total(CPU)), moves=GROWS,
                  columns={"experiment": "Experiment", "vm": "VM", "Value #A": Column("Read", "bytes"), "Value #B": Column("Written", "bytes"),
                           "Value #C": "Operations", "Value #D": "Interrupts", "Value #E": "Instructions", "Value #F": Column("vCPU time", "s")},
                  sort="experiment", width=24, height=6),
        ]),
        Row("Since the start of each run", [
            over_operations("Bytes", "bytes",
                  """Bytes read and written since the run's start. The end of a curve is the run's total: a cold cache reads what a hot
                     one does not.""",
                  since_start, BYTES, GROWS),
            graph("Operations", "short",
                  "Disk operations since the run's start. More operations for the same bytes are smaller ones.",
                  (since_start(OPERATIONS), LEGEND), moves=GROWS),
            graph("Interrupts", "short",
                  """Interrupts of the chosen controller since the run's start. A straight line is a tick; a tickless guest's is flat
                     while it is idle.""",
                  (since_start(INTERRUPTS, CONTROLLER), LEGEND), moves=GROWS),
            graph("Guest instructions", "short",
                  """Instructions since the run's start; only with -icount. Runs of one program that differ here did different work: no
                     comparison of time holds.""",
                  (since_start(INSTRUCTIONS), LEGEND), moves=GROWS),
            graph("vCPU time", "s",
                  "Processor time of vCPUs since the run's start. Above the run's length more than one was busy.",
                  (since_start(CPU), LEGEND), moves=GROWS),
            graph("Trace records", "short",
                  "Records of the run that qemond read. Far more in one run than in the other: tracing slowed it more as well.",
                  (since_start("qemond_trace_records_total"), LEGEND), moves=GROWS),
        ]),
        Row("Over time", [
            over_operations("Bytes a second", "Bps",
                  "Disk throughput during runs. Flat on top: the medium or a throttle was the limit.",
                  speed, BYTES, RATE),
            graph("Operations a second", "iops",
                  "Disk operations during runs. Gaps: the guest waited for something else.",
                  (speed(OPERATIONS), LEGEND)),
            graph("Interrupts a second", "cps",
                  "Interrupts of the chosen controller during runs. 100, 250 or 1000 for each CPU of an idle guest is its tick.",
                  (speed(INTERRUPTS, CONTROLLER), LEGEND)),
            graph("Instructions a second", "ops",
                  "Speed of the guest; only with -icount. Lower with the trace than without: the trace costs that much.",
                  (speed(INSTRUCTIONS), LEGEND)),
            graph("vCPUs", "percentunit",
                  "Processor time of vCPUs during runs; 100 % is one processor.",
                  (speed(CPU), LEGEND)),
            graph("Interrupts for a million instructions", "short",
                  """Interrupts of the chosen controller divided by instructions (-icount): compares guests whatever their speed. Lower
                     is less overhead.""",
                  (f"1e6 * ({speed(INTERRUPTS, CONTROLLER)}) / ({speed(INSTRUCTIONS)})", LEGEND)),
            graph("Mean disk latency", "s",
                  "Time of disk operations divided by their number, during runs. A hot cache shows as a lower line.",
                  (f"({speed('qemu_blockdev_time_seconds_total')}) / ({speed(OPERATIONS)})", LEGEND)),
            graph("Run-queue wait", "percentunit",
                  "Time that vCPUs waited for a processor of the host. Different in two runs: the host was busier in one, so repeat it.",
                  (speed("qemu_vcpu_run_queue_wait_seconds_total"), LEGEND), moves=STEADY),
            graph("Trace completeness", "percentunit",
                  "Share of the last minute in which nothing of the trace was lost. Below 100 %: see the VM's dashboard, Trace health.",
                  (f"{RUN} * on (job, instance, vm) group_left() qemu_trace_complete_ratio{{<vm>}}", LEGEND), moves=STEADY, maximum=1),
        ]),
    ],
    annotations=[
        Annotation("Experiment", "purple", RUN, "{{experiment}} on {{vm}}", "vm,experiment"),
        *TRACE_SWITCHES,
    ],
    span="now-30m",
)
