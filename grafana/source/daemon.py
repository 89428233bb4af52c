"""How the qemonds themselves are doing."""
from source.model import BUSY, RATE, STEADY, TRACE_SWITCHES, Column, Dashboard, Query, Row, graph, heatmap, stat, table, the_datasource, the_vms

DASHBOARD = Dashboard(
    "qemon-daemon", "qemon: qemond", "How the qemonds themselves are doing: what they cost, and whether they keep up.",
    [the_datasource(), *the_vms()],
    [
        Row("Now", [
            stat("qemonds scraped", "none", """Targets of Prometheus that answered. Fewer than there are hosts: see Status > Targets in Prometheus.""",
                 "sum(up{<host>})"),
            stat("qemonds that do not answer", "none", """Targets that Prometheus could not scrape. systemctl status qemond on the host, and whether
                its listen address can be reached from here.""", "count(up{<host>}) - sum(up{<host>})", bad_above=1),
            stat("VMs attached", "none", "VMs whose monitor answers. Fewer than the fleet has: its dashboard lists those that are unreachable.", "sum(qemu_up{<vm>})"),
            stat("Longest scrape", "s", """Time of the slowest scrape. Near the scrape interval, scrapes fail: lower limits of packs, or scrape less
                often.""", "max(scrape_duration_seconds{<host>})", bad_above=5),
            stat("Series", "short", """Series that all qemonds export. Each costs memory in Prometheus: a pack with many labels has its limit in its
                file.""", "sum(scrape_samples_scraped{<host>})"),
            stat("Collectors failing", "none", """Collectors whose last poll failed. The table of collectors says which; their gauges are absent until one succeeds.""",
                 "count(qemond_collector_success{<vm>}) - sum(qemond_collector_success{<vm>})", bad_above=1),
            table("Versions", "none", "The version of each qemond and the compiler that built it. Different versions may export different metrics.",
                  "max by (job, instance, version, compiler) (qemond_build_info{<host>})",
                  columns={"instance": "Host", "version": "Version", "compiler": "Compiler", "job": "Job"}, sort="instance", width=12, height=6),
            graph("Time since start", "s", """How long each qemond has been running. A line that falls is a restart: journalctl -u qemond says
                why.""", ("time() - process_start_time_seconds{<host>}", "{{instance}}"), moves=STEADY, width=12, height=6),
        ]),
        Row("What it costs", [
            graph("CPU", "percentunit", """Processor time of qemond: it uses one thread, so it cannot keep up at 100 %. Records a second are what costs; trace
                fewer events, or sample them.""", ("rate(process_cpu_seconds_total{<host>}<rate>)", "{{instance}}"), moves=BUSY),
            graph("Memory", "bytes", """Resident memory of qemond. Grows with VMs and series, then stays. A line that rises for ever is a
                defect.""", ("process_resident_memory_bytes{<host>}", "{{instance}}"), moves=STEADY),
            graph("File descriptors", "short", """Descriptors that are open, and the limit. Each VM takes a few; near the limit raise LimitNOFILE.""",
                  ("process_open_fds{<host>}", "{{instance}} open"), ("process_max_fds{<host>}", "{{instance}} limit"), moves=STEADY),
            graph("Scrape time", "s", """How long Prometheus waited for /metrics. Proportional to the series; a step without more series is a busy host.""",
                  ("scrape_duration_seconds{<host>}", "{{instance}}"), moves=STEADY),
            graph("Series", "short", """Series of each qemond. A rise without new VMs or packs is a label with too many values; the graph of overflow says
                whose limit was reached.""", ("scrape_samples_scraped{<host>}", "{{instance}}"), moves=STEADY),
            graph("HTTP requests", "reqps", """Requests that qemond answered, the control socket's too, and those that it could not understand. Bad ones: somebody probes
                the port, or a proxy speaks another protocol.""",
                  Query("rate(qemond_http_requests_total{<host>}<rate>)", "{{instance}} requests", BUSY), ("rate(qemond_http_bad_requests_total{<host>}<rate>)", "{{instance}} bad"),
                  moves=STEADY),
        ]),
        Row("Monitors", [
            heatmap("Monitor round trips", "s", """Time from a command to QEMU's answer, of all VMs. Above 10 ms QEMU's main loop is busy; above a second it
                hangs, and the guest's devices with it.""", "sum by (le) (increase(qemond_monitor_round_trip_seconds_bucket{<vm>}<rate>))", moves=BUSY, width=12),
            graph("Monitor round trips by VM", "s", """99th percentile by VM. One VM that is slow has a busy or blocked main loop; all at once, a busy
                host.""",
                  ("histogram_quantile(0.99, sum by (instance, vm, le) (rate(qemond_monitor_round_trip_seconds_bucket{<vm>}<rate>)))", "{{vm}} on {{instance}}"),
                  moves=BUSY, width=12),
            graph("Commands", "cps", """Monitor commands that were answered. They share QEMU's main loop with the guest; collectors that ask less often make it
                fewer.""", ("sum by (instance, vm) (rate(qemond_monitor_round_trip_seconds_count{<vm>}<rate>))", "{{vm}} on {{instance}}"), moves=BUSY),
            graph("Timeouts", "cps", """Monitor commands that QEMU did not answer within 5 s. Above 0 QEMU hangs or is stopped by a debugger.""",
                  ("sum by (instance, vm) (rate(qemond_monitor_timeouts_total{<vm>}<rate>))", "{{vm}} on {{instance}}"), moves=STEADY),
            graph("Reconnects", "cps", """How often monitors were attached again. Again and again: the VM restarts in a loop, or somebody else takes
                its monitor in turns.""",
                  ("sum by (instance, vm) (rate(qemond_monitor_reconnects_total{<vm>}<rate>))", "{{vm}} on {{instance}}"), moves=STEADY),
        ]),
        Row("Collectors", [
            table("Collectors", "short", """Every collector of every VM: whether its last poll succeeded, how long that took, and how old its figures are. One that
                fails for long has its reason in qemond's log.""",
                  "min by (job, instance, vm, collector) (qemond_collector_success{<vm>})",
                  "max by (job, instance, vm, collector) (qemond_collector_duration_seconds{<vm>})",
                  "time() - max by (job, instance, vm, collector) (qemond_collector_last_success_timestamp_seconds{<vm>})",
                  columns={"instance": "Host", "vm": "VM", "collector": "Collector",
                           "Value #A": Column("Last poll", mappings=({"type": "value", "options": {
                               "1": {"text": "succeeded", "color": "green", "index": 0}, "0": {"text": "failed", "color": "red", "index": 1}}},)),
                           "Value #B": Column("Took", "s"), "Value #C": Column("Age", "s")}, sort="collector", width=12, height=10),
            graph("Time of a poll", "s", """How long each collector's last poll took, the slowest VM. One that takes long is asked less often by
                itself.""", ("max by (collector) (qemond_collector_duration_seconds{<vm>})", "{{collector}}"), moves=STEADY, width=12, height=10),
        ]),
        Row("Following traces", [
            graph("Records", "cps", "Records that each qemond decoded and counted. Its processor time is in proportion to them.",
                  ("sum by (instance) (rate(qemond_trace_records_total{<vm>}<rate>))", "{{instance}}"), moves=RATE),
            graph("Bytes", "Bps", "Bytes of trace that each qemond read. They are also what goes through the trace directory.",
                  ("sum by (instance) (rate(qemond_trace_bytes_read_total{<vm>}<rate>))", "{{instance}}"), moves=RATE),
            graph("Lag", "bytes", """Bytes that QEMU wrote and qemond has not counted yet. It should go back to 0 within a second; if it only rises, events go
                off by the budget.""", ("max by (instance, vm) (qemond_trace_lag_bytes{<vm>})", "{{vm}} on {{instance}}"), moves=STEADY),
            graph("Trouble in reading", "cps", """Failed reads, traces truncated by others, and times that decoding had to look for the next record. Each costs
                completeness; the VM's dashboard shows when.""",
                  ("sum by (instance) (rate(qemond_trace_read_errors_total{<vm>}<rate>))", "{{instance}} failed reads"),
                  ("sum by (instance) (rate(qemond_trace_restarts_total{<vm>}<rate>))", "{{instance}} restarts"),
                  ("sum by (instance) (rate(qemond_trace_resyncs_total{<vm>}<rate>))", "{{instance}} resyncs"), moves=STEADY),
            graph("What was no record", "cps", """Input that could not be decoded, by reason. unknown_line is QEMU's own messages in its log and harmless; the others mean a
                catalog that does not fit QEMU, or a damaged file.""",
                  ("sum by (instance, reason) (rate(qemond_trace_decode_errors_total{<vm>}<rate>))", "{{instance}} {{reason}}"), moves=STEADY),
            graph("Series beyond a limit", "cps", """Records counted under __other__ because their metric has as many series as its limit. The sum stays right; for
                single values raise limit in the pack.""",
                  ("sum by (instance, metric) (rate(qemond_series_overflow_total{<vm>}<rate>))", "{{metric}} on {{instance}}"), moves=STEADY),
        ]),
    ],
    annotations=TRACE_SWITCHES,
)
