"""Where a guest runs under TCG, and which registers of devices it touches."""
from source.model import (GROWS, RATE, STEADY, TRACE_SWITCHES, Column, Dashboard, Query, Row, Variable, graph, heatmap, stat, table,
                          the_datasource, the_vms)

# The label is hexadecimal without leading zeros; with them, rows stand in the order of addresses.
PAGES = """sum by (address) (label_replace(label_replace(rate(qemu_tcg_executed_page_total{<vm>,page=~"0x.*"}<rate>),
    "padded", "000000000000$1", "page", "0x(.*)"), "address", "0x$1", "padded", ".*(.{12})"))"""

DASHBOARD = Dashboard(
    "qemon-execution", "qemon: execution",
    """Where a guest runs (TCG only; packs tcg and mmio). Both packs are hot: switch them on for a short while with
    qemon pack on tcg mmio --for 30s, or have less of it with qemon event on exec_tb --sample 20ms/1s.""",
    [the_datasource(), *the_vms(several=False),
     Variable("region", "MMIO region", "label_values(qemu_mmio_accesses_total{<vm>}, region)",
              description="Name of the region in QEMU (info mtree).")],
    [
        Row("Code", [
            stat("Blocks entered", "cps",
                  """Translated blocks entered from QEMU's main loop. It is a sample with a bias: blocks that jump to each other are
                     entered once. Nothing here: switch on the pack tcg.""",
                  "sum(rate(qemu_tcg_blocks_executed_total{<vm>}<rate>))", moves=RATE),
            stat("Blocks translated", "cps",
                  """Blocks that TCG translated, exact. High for long: code that changes itself, or a code buffer that is flushed again
                     and again (tb-size).""",
                  "sum(rate(qemu_tcg_blocks_translated_total{<vm>}<rate>))"),
            stat("Translated code", "bytes",
                  "Host code that TCG keeps. At its maximum everything is thrown away and translated anew: raise -accel tcg,tb-size=.",
                  "sum(qemu_jit_code_bytes{<vm>})"),
            stat("Room for code", "percentunit",
                  "How full the buffer for translated code is. At 100 % it is flushed.",
                  "sum(qemu_jit_code_bytes{<vm>}) / sum(qemu_jit_code_bytes_max{<vm>})", bad_above=0.95),
            stat("Accesses to devices", "cps",
                  """Accesses to registers of emulated devices, port I/O too. Each costs the guest an exit to QEMU. Nothing here:
                     switch on the pack mmio.""",
                  "sum(rate(qemu_mmio_accesses_total{<vm>}<rate>))", moves=RATE),
            stat("Trace completeness", "percentunit",
                  """Share of the last minute in which nothing of the trace was lost. Below 100 % the figures here are too low, and
                     still right in proportion if losses hit all alike.""",
                  "min(qemu_trace_complete_ratio{<vm>})", bad_below=0.999, none="no trace"),
            heatmap("Pages executed", "short",
                  """Entries by 4 KiB page of guest virtual memory, a row for each page in the order of addresses. A bright row is a
                     loop that leaves to the main loop often; look its addresses up in the guest's symbols. Pages beyond the busiest
                     are left out here and are in the series __other__.""",
                  PAGES, legend="{{address}}", buckets=False, width=24, height=14),
            table("Busiest pages", "short",
                  "Entries by page over the range of time, the 25 highest. __other__ is all pages that have no series of their own.",
                  "topk(25, sum by (page) (increase(qemu_tcg_executed_page_total{<vm>}[$__range])))", moves=GROWS,
                  columns={"page": "Page", "Value": "Entries"}, sort="Value", width=8, height=12),
            table("Top program counters", "short",
                  """The program counters at which blocks were entered most since the pack was switched on. Count is at most Error too
                     high: rows whose Error is near their Count may not belong here. Look the addresses up with addr2line in the
                     guest's kernel or program.""",
                  Query("sum by (pc) (qemu_tcg_hot_pc{<vm>})"), Query("sum by (pc) (qemu_tcg_hot_pc_error{<vm>})", moves=STEADY),
                  moves=GROWS, columns={"pc": "Program counter", "Value #A": "Count", "Value #B": "Error"}, sort="Value #A", width=8,
                  height=12),
            graph("Blocks", "cps",
                  """Blocks entered from the main loop, and blocks translated. Translation is high while new code runs; steadily high
                     it is what the guest's time goes into.""",
                  ("sum(rate(qemu_tcg_blocks_executed_total{<vm>}<rate>))", "entered"),
                  Query("sum(rate(qemu_tcg_blocks_translated_total{<vm>}<rate>))", "translated", STEADY), height=12),
            graph("Flushes of the translation lookaside buffer", "cps",
                  "TLB flushes by kind. Many full ones: the guest changes address spaces often, and each costs it a refill.",
                  ("sum by (kind) (rate(qemu_jit_tlb_flushes_total{<vm>}<rate>))", "{{kind}}")),
            graph("Blocks thrown away", "cps",
                  """Translated blocks invalidated because their page was written, and flushes of the whole buffer. Flushes above 0 for
                     long: raise tb-size.""",
                  ("sum(rate(qemu_jit_invalidations_total{<vm>}<rate>))", "invalidations"),
                  ("sum(rate(qemu_jit_flushes_total{<vm>}<rate>))", "flushes"), moves=STEADY),
            graph("Blocks kept", "short",
                  "Translated blocks that TCG keeps; cross page ones need a check at each entry, direct jumps need none.",
                  ("sum(qemu_jit_blocks{<vm>})", "all"), ("sum(qemu_jit_cross_page_blocks{<vm>})", "cross page"),
                  ("sum(qemu_jit_direct_jump_blocks{<vm>})", "direct jumps"), moves=STEADY),
        ]),
        Row("Devices", [
            graph("Accesses by region", "cps",
                  """Accesses to each region's registers. A region that leads far is a driver that polls, or a device that is emulated
                     where a virtio one would do.""",
                  ('sum by (region, operation) (rate(qemu_mmio_accesses_total{<vm>,region=~"$region"}<rate>))', "{{region}} {{operation}}"),
                  width=12, height=10),
            graph("Bytes by region", "Bps",
                  "Bytes of those accesses. Bytes near accesses mean single bytes: a device that moves its data through registers.",
                  ('sum by (region, operation) (rate(qemu_mmio_bytes_total{<vm>,region=~"$region"}<rate>))', "{{region}} {{operation}}"),
                  width=12, height=10),
            graph("Accesses by size", "cps",
                  "Accesses of 1, 2, 4 and 8 bytes. Single bytes in great number are programmed I/O of old devices.",
                  ("sum by (operation, size) (rate(qemu_mmio_sized_accesses_total{<vm>}<rate>)) > 0", "{{operation}} of {{size}} bytes"),
                  height=10),
            table("Regions", "short",
                  "Accesses by region over the range of time.",
                  Query('sum by (region, operation) (increase(qemu_mmio_accesses_total{<vm>,region=~"$region"}[$__range]))'),
                  Query('sum by (region, operation) (increase(qemu_mmio_bytes_total{<vm>,region=~"$region"}[$__range]))'), moves=GROWS,
                  columns={"region": "Region", "operation": "Operation", "Value #A": "Accesses", "Value #B": Column("Bytes", "bytes")},
                  sort="Value #A", height=10),
            table("Hot addresses", "short",
                  """The addresses that were accessed most since the pack was switched on; Count is at most Error too high. The data
                     sheet or the driver says which register it is.""",
                  Query("sum by (address) (qemu_mmio_hot_address{<vm>})"),
                  Query("sum by (address) (qemu_mmio_hot_address_error{<vm>})", moves=STEADY), moves=GROWS,
                  columns={"address": "Address", "Value #A": "Count", "Value #B": "Error"}, sort="Value #A", height=10),
        ]),
    ],
    annotations=TRACE_SWITCHES, span="now-15m", refresh="5s",
)
