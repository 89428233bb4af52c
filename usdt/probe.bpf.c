/* SPDX-License-Identifier: MIT OR GPL-2.0-only
   What the kernel runs at each probe of QEMU that qemond is attached to. Nothing in it waits. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
/* Kernels since 5.15 tell the program which probe it is at; the table for older ones is not needed. */
#define BPF_USDT_HAS_BPF_COOKIE 1
#define BPF_USDT_MAX_SPEC_CNT 1
#define BPF_USDT_MAX_IP_CNT 1
#include <bpf/usdt.bpf.h>

#include "usdt/probe_record.h"

/* The kernel lets a program read memory of the process and the clock only under such a licence. */
char program_license[] SEC("license") = "Dual MIT/GPL";

/* Sizes are set by who loads it. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, uint32_t);
  __type(value, struct probe_event);
} events SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, uint32_t);
  __type(value, uint64_t);
} counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} records SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, uint32_t);
  __type(value, uint64_t);
} losses SEC(".maps");

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

/* A record's memory that nobody uses: a program stays on its CPU, but another thread's may run there meanwhile. */
static __always_inline struct scratch* take_scratch(void) {
  for (uint32_t i = 0; i < probe_scratch_count; ++i) {
    struct scratch* scratch = bpf_map_lookup_elem(&scratches, &i);
    if (scratch && __sync_val_compare_and_swap(&scratch->busy, 0, 1) == 0) return scratch;
  }
  return 0;
}

/* Appends the string at `address`, as the backend `simple` stores it: cut, and empty for NULL. */
static __always_inline int add_text(struct probe_record* record, uint32_t i, const void* address) {
  uint32_t at = record->text_bytes;
  record->values[i] = 0;
  if (!address) return 0;
  if (at > probe_text_bytes - 1) return -1;
  at &= probe_text_bytes - 1;
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
    uint32_t count = record->argument_count;
    if (count > probe_arguments_max) count = probe_arguments_max;
    return __builtin_offsetof(struct probe_record, values) + count * sizeof record->values[0];
  }
  if (text > sizeof record->text) text = sizeof record->text;
  return __builtin_offsetof(struct probe_record, text) + text;
}

SEC("usdt")
int on_probe(struct pt_regs* ctx) {
  uint32_t slot = bpf_usdt_cookie(ctx);
  const struct probe_event* event = bpf_map_lookup_elem(&events, &slot);
  if (!event) return 0;
  if (!event->whole) {
    uint64_t* count = bpf_map_lookup_elem(&counts, &slot);
    /* Atomic, because another thread's program may run on this CPU in between. */
    if (count) __sync_fetch_and_add(count, 1);
    return 0;
  }
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
  record->argument_count = event->argument_count;
  record->unreadable = 0;
  record->reserved = 0;
  record->text_bytes = 0;
  read_arguments(ctx, event, record);
  /* qemond looks by itself, several times a second. */
  if (bpf_ringbuf_output(&records, record, size_of(record), BPF_RB_NO_WAKEUP) != 0)
    __sync_fetch_and_add(lost, 1);
  __sync_lock_test_and_set(&scratch->busy, 0);
  return 0;
}
