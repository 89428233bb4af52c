/* SPDX-License-Identifier: MIT OR GPL-2.0-only
   What the kernel runs at each of QEMU's probes that qemond is attached to. Nothing in it waits. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
/* Kernels since 5.15 tell a program at which probe it is; the table for older ones is not used. */
#define BPF_USDT_HAS_BPF_COOKIE 1
#define BPF_USDT_MAX_SPEC_CNT 1
#define BPF_USDT_MAX_IP_CNT 1
#include <bpf/usdt.bpf.h>

#include "usdt/probe_record.h"

/* Under no other licence may a program read the memory of a process and the clock. */
char program_license[] SEC("license") = "Dual MIT/GPL";

/* Set, as the sizes of the maps are, by qemond before it loads the program. */
const volatile uint32_t slot_count;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, uint32_t);
  __type(value, struct probe_event);
} events SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, uint32_t);
  __type(value, uint64_t);
} counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, probe_adders_max);
  __type(key, uint32_t);
  __type(value, struct probe_adder);
} adders SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, probe_adders_max * probe_shards);
  __type(key, uint32_t);
  __type(value, struct probe_totals);
} totals SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, uint32_t);
  __type(value, uint64_t);
} losses SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} records SEC(".maps");

struct scratch {
  uint64_t busy;
  struct probe_record record;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, probe_scratch_count);
  __type(key, uint32_t);
  __type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline uint32_t shard(void) {
  return bpf_get_smp_processor_id() & (probe_shards - 1);
}

/* Atomic, because the program of another thread may run on this CPU in between. */
static __always_inline void count(uint32_t slot) {
  uint32_t at = shard() * slot_count + slot;
  uint64_t* counter = bpf_map_lookup_elem(&counts, &at);
  if (counter) __sync_fetch_and_add(counter, 1);
}

/* False if the record is to be had whole. */
static __always_inline bool add_up(struct pt_regs* ctx, uint32_t which, bool has_arguments) {
  const struct probe_adder* adder = bpf_map_lookup_elem(&adders, &which);
  uint32_t at = shard() * probe_adders_max + which;
  struct probe_totals* into = bpf_map_lookup_elem(&totals, &at);
  if (!adder || !into) return false;
  if (!has_arguments && adder->count != 0) return false;
  uint64_t values[probe_sums_max] = {0};
  for (uint32_t i = 0; has_arguments && i < probe_sums_max; ++i) {
    if (i >= adder->count) break;
    const struct probe_addend* addend = &adder->addends[i];
    uint64_t argument = addend->argument;
    if (argument >= probe_arguments_max) return false;
    long value = 0;
    if (bpf_usdt_arg(ctx, argument, &value) != 0) return false;
    uint32_t shift = addend->shift & 63;
    values[i] = (uint64_t)value << shift;
    values[i] = addend->is_signed ? (uint64_t)((long)values[i] >> shift) : values[i] >> shift;
    if (values[i] > probe_addend_max) return false;
  }
  for (uint32_t i = 0; i < probe_sums_max; ++i) {
    if (i >= adder->count) break;
    __sync_fetch_and_add(&into->sums[i], values[i]);
  }
  __sync_fetch_and_add(&into->records, 1);
  return true;
}

/* Memory for a record that no preempted program uses. */
static __always_inline struct scratch* take_scratch(void) {
  for (uint32_t i = 0; i < probe_scratch_count; ++i) {
    uint32_t key = i;
    struct scratch* scratch = bpf_map_lookup_elem(&scratches, &key);
    if (scratch && __sync_val_compare_and_swap(&scratch->busy, 0, 1) == 0) return scratch;
  }
  return 0;
}

/* Appends a string of QEMU's. NULL counts as empty. */
static __always_inline int add_text(struct probe_record* record, uint32_t i, const void* address) {
  record->values[i] = 0;
  if (!address) return 0;
  uint32_t at = record->text_bytes;
  if (at >= probe_text_bytes) return -1;
  long size = bpf_probe_read_user_str(record->text + at, probe_string_bytes, address);
  if (size < 1) return -1;
  record->values[i] = size - 1;
  record->text_bytes = at + (uint32_t)size - 1;
  return 0;
}

static __always_inline void read_arguments(struct pt_regs* ctx, const struct probe_event* event,
                                           struct probe_record* record) {
  for (uint32_t i = 0; i < probe_arguments_max; ++i) {
    if (i >= event->argument_count) break;
    long value = 0;
    if (bpf_usdt_arg(ctx, i, &value) != 0) record->unreadable = 1;
    if (!(event->strings >> i & 1))
      record->values[i] = value;
    else if (add_text(record, i, (const void*)value) != 0)
      record->unreadable = 1;
  }
}

static __always_inline uint32_t size_of(const struct probe_record* record) {
  uint32_t text = record->text_bytes;
  if (text == 0) {
    uint32_t values = record->argument_count;
    if (values > probe_arguments_max) values = probe_arguments_max;
    return __builtin_offsetof(struct probe_record, values) + values * sizeof record->values[0];
  }
  if (text > sizeof record->text) text = sizeof record->text;
  return __builtin_offsetof(struct probe_record, text) + text;
}

static __always_inline int see(struct pt_regs* ctx, uint32_t slot, bool has_arguments) {
  const volatile uint64_t* shared = bpf_map_lookup_elem(&events, &slot);
  if (!shared) return 0;
  /* As of one moment: qemond may change it just now. */
  union {
    uint64_t word;
    struct probe_event event;
  } wanted = {.word = *shared};
  const struct probe_event* event = &wanted.event;
  if (event->mode == probe_off) return 0;
  if (event->mode == probe_counted) {
    count(slot);
    return 0;
  }
  if (event->mode == probe_summed && add_up(ctx, event->adder, has_arguments)) return 0;
  uint32_t zero = 0;
  uint64_t* lost = bpf_map_lookup_elem(&losses, &zero);
  if (!lost) return 0;
  struct scratch* scratch = take_scratch();
  if (!scratch) {
    __sync_fetch_and_add(lost, 1);
    return 0;
  }
  struct probe_record* record = &scratch->record;
  record->time_ns = bpf_ktime_get_ns();
  record->lost = *(volatile uint64_t*)lost;
  record->slot = slot;
  record->thread = (uint32_t)bpf_get_current_pid_tgid();
  record->text_bytes = 0;
  record->described = event->described;
  record->unreadable = !has_arguments;
  record->argument_count = event->argument_count;
  record->strings = event->strings;
  if (has_arguments) read_arguments(ctx, event, record);
  /* qemond looks by itself, several times a second. */
  if (bpf_ringbuf_output(&records, record, size_of(record), BPF_RB_NO_WAKEUP) != 0)
    __sync_fetch_and_add(lost, 1);
  __sync_lock_test_and_set(&scratch->busy, 0);
  return 0;
}

SEC("usdt")
int on_probe(struct pt_regs* ctx) { return see(ctx, bpf_usdt_cookie(ctx), true); }

/* At a probe whose arguments are where libbpf cannot find them. */
SEC("uprobe")
int on_bare_probe(struct pt_regs* ctx) { return see(ctx, bpf_get_attach_cookie(ctx), false); }
