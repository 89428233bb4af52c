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
  probe_arguments_max = 10,   /* As many as an event of QEMU may have. */
  probe_string_bytes = 513,   /* With NUL: QEMU's `simple` backend cuts a string at 512 too. */
  probe_text_bytes = 2048,    /* All strings of a record but the last one's end. */
  probe_scratch_count = 4,    /* Records in the making on a CPU: one preempts another. */
};

/* How an event is to be recorded, by slot. */
struct probe_event {
  uint8_t whole;          /* With time and arguments, instead of counted. */
  uint8_t argument_count; /* As the catalog declares. */
  uint16_t strings;       /* A bit for each argument that is a string. */
};

/* One occurrence, in the ring. Only as much of it as is in use. */
struct probe_record {
  uint64_t time_ns; /* CLOCK_MONOTONIC. */
  uint64_t lost;    /* How many records had no room before this one. */
  uint32_t slot;
  uint32_t thread;
  uint8_t argument_count;
  uint8_t unreadable; /* Some argument could not be read: none of them is to be used. */
  uint16_t reserved;
  uint32_t text_bytes;
  uint64_t values[probe_arguments_max]; /* Of a string: its length. */
  /* The strings follow each other, without a NUL between them. */
  char text[probe_text_bytes + probe_string_bytes];
};
