/* SPDX-License-Identifier: Apache-2.0 OR MIT OR GPL-2.0-only
   What the program in the kernel and qemond tell each other, in C for both. */
#pragma once

#ifdef __cplusplus
#include <cstdint>
using std::uint16_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;
#else
#include <linux/types.h>
typedef __u8 uint8_t;
typedef __u16 uint16_t;
typedef __u32 uint32_t;
typedef __u64 uint64_t;
#endif

enum {
  probe_arguments_max = 11, /* An event of QEMU has at most 10, and those of vCPUs one more. */
  probe_string_bytes = 513, /* With its NUL: QEMU's `simple` backend cuts at 512 too. */
  probe_text_bytes = 2048,  /* Where the last string of a record may begin. */
  probe_scratch_count = 4,  /* Records in the making on a CPU: one may preempt another. */
  probe_adders_max = 255,   /* For events with certain arguments; a byte tells which one. */
  probe_sums_max = 4,       /* Arguments of one adder. */
  probe_shards = 16         /* Of the counters, so that CPUs do not get in each other's way. */
};

enum { probe_off, probe_counted, probe_summed, probe_recorded };

/* What is wanted of an event, by slot. */
struct probe_event {
  uint8_t mode;
  uint8_t described; /* Whether the catalog has the event; otherwise its arguments stay unknown. */
  uint8_t argument_count;
  uint8_t adder;    /* When summed: which one adds up; probe_adders_max: none. */
  uint32_t strings; /* A bit for each argument that is a string. */
};

/* An argument that is added up, and how its 64 bits are to be read. */
struct probe_addend {
  uint8_t argument;
  uint8_t shift; /* 64 minus its bits. */
  uint8_t is_signed;
};

/* Adds up arguments of one event. A record with one that is below 0, above probe_addend_max or not
   to be read is recorded whole instead. */
struct probe_adder {
  uint8_t count;
  struct probe_addend addends[probe_sums_max];
  uint8_t reserved[3];
};

/* 2^40, which no enumerator of C holds: what is taken away every 60 ms cannot overflow then. */
#define probe_addend_max 0x10000000000ULL

/* What it has added up since the beginning. */
struct probe_totals {
  uint64_t records;
  uint64_t sums[probe_sums_max];
};

/* One occurrence, in the ring; of `text`, or of `values` if there is no text, only what is in use.
 */
struct probe_record {
  uint64_t time_ns; /* CLOCK_MONOTONIC. */
  uint64_t lost;    /* How many records had found no room by then. */
  uint32_t slot;
  uint32_t thread;
  uint32_t text_bytes;
  uint8_t described;
  uint8_t unreadable; /* Some argument could not be read, so none is to be used. */
  uint8_t argument_count;
  uint8_t reserved;
  uint32_t strings;
  uint32_t reserved_too;
  /* What QEMU's `simple` backend would store; of a string its length. */
  uint64_t values[probe_arguments_max];
  /* The strings one after another, without NULs. */
  char text[probe_text_bytes + probe_string_bytes];
};
