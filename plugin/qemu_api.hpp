// The part of QEMU's plugin API that is used here, declared anew from its documentation
// (docs/devel/tcg-plugins): QEMU's own header is not shipped by distributions. All functions are
// weak: one plugin works with each API from 1 (QEMU 6.2 to 8.2) to 6 (11.0), and asks for what is
// there.
#pragma once

#include <cstddef>
#include <cstdint>

// QEMU's names.
// NOLINTBEGIN(readability-identifier-naming)
extern "C" {

using qemu_plugin_id_t = std::uint64_t;
using qemu_plugin_meminfo_t = std::uint32_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
struct qemu_plugin_scoreboard;

struct qemu_info_t {
  const char* target_name;
  struct {
    int min;
    int cur;
  } version;
  bool system_emulation;
  struct {
    int smp_vcpus;
    int max_vcpus;
  } system;
};

/// API 2: a counter of each vCPU's in a scoreboard.
struct qemu_plugin_u64 {
  qemu_plugin_scoreboard* score;
  std::size_t offset;
};

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS = 0 };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_RW = 3 };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 = 0 };
enum qemu_plugin_cond { QEMU_PLUGIN_COND_GE = 7 };
enum qemu_plugin_discon_type {
  QEMU_PLUGIN_DISCON_INTERRUPT = 1,
  QEMU_PLUGIN_DISCON_EXCEPTION = 2,
  QEMU_PLUGIN_DISCON_HOSTCALL = 4,
  QEMU_PLUGIN_DISCON_ALL = 7,
};

using qemu_plugin_simple_cb_t = void (*)(qemu_plugin_id_t);
using qemu_plugin_udata_cb_t = void (*)(qemu_plugin_id_t, void*);
using qemu_plugin_vcpu_simple_cb_t = void (*)(qemu_plugin_id_t, unsigned);
using qemu_plugin_vcpu_udata_cb_t = void (*)(unsigned, void*);
using qemu_plugin_vcpu_tb_trans_cb_t = void (*)(qemu_plugin_id_t, qemu_plugin_tb*);
using qemu_plugin_vcpu_mem_cb_t = void (*)(unsigned, qemu_plugin_meminfo_t, std::uint64_t, void*);
using qemu_plugin_vcpu_syscall_cb_t = void (*)(qemu_plugin_id_t, unsigned, std::int64_t,
                                               std::uint64_t, std::uint64_t, std::uint64_t,
                                               std::uint64_t, std::uint64_t, std::uint64_t,
                                               std::uint64_t, std::uint64_t);
using qemu_plugin_vcpu_discon_cb_t = void (*)(qemu_plugin_id_t, unsigned, qemu_plugin_discon_type,
                                              std::uint64_t, std::uint64_t);

#define QEMON_WEAK __attribute__((weak, visibility("default")))
QEMON_WEAK void qemu_plugin_reset(qemu_plugin_id_t, qemu_plugin_simple_cb_t);
QEMON_WEAK void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t, qemu_plugin_vcpu_simple_cb_t);
QEMON_WEAK void qemu_plugin_register_vcpu_exit_cb(qemu_plugin_id_t, qemu_plugin_vcpu_simple_cb_t);
QEMON_WEAK void qemu_plugin_register_vcpu_idle_cb(qemu_plugin_id_t, qemu_plugin_vcpu_simple_cb_t);
QEMON_WEAK void qemu_plugin_register_vcpu_resume_cb(qemu_plugin_id_t, qemu_plugin_vcpu_simple_cb_t);
QEMON_WEAK void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t,
                                                     qemu_plugin_vcpu_syscall_cb_t);
QEMON_WEAK void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                                      qemu_plugin_vcpu_tb_trans_cb_t);
QEMON_WEAK void qemu_plugin_register_flush_cb(qemu_plugin_id_t, qemu_plugin_simple_cb_t);
QEMON_WEAK void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, qemu_plugin_udata_cb_t, void*);
QEMON_WEAK void qemu_plugin_register_vcpu_tb_exec_cb(qemu_plugin_tb*, qemu_plugin_vcpu_udata_cb_t,
                                                     qemu_plugin_cb_flags, void*);
QEMON_WEAK void qemu_plugin_register_vcpu_mem_cb(qemu_plugin_insn*, qemu_plugin_vcpu_mem_cb_t,
                                                 qemu_plugin_cb_flags, qemu_plugin_mem_rw, void*);
QEMON_WEAK std::size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb*);
QEMON_WEAK std::uint64_t qemu_plugin_tb_vaddr(const qemu_plugin_tb*);
QEMON_WEAK qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb*, std::size_t);
QEMON_WEAK std::size_t qemu_plugin_insn_size(const qemu_plugin_insn*);
QEMON_WEAK char* qemu_plugin_insn_disas(const qemu_plugin_insn*);
QEMON_WEAK unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t);
QEMON_WEAK bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t);
QEMON_WEAK qemu_plugin_hwaddr* qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t, std::uint64_t);
QEMON_WEAK bool qemu_plugin_hwaddr_is_io(const qemu_plugin_hwaddr*);
// API 2 (QEMU 9.0).
QEMON_WEAK qemu_plugin_scoreboard* qemu_plugin_scoreboard_new(std::size_t);
QEMON_WEAK std::uint64_t qemu_plugin_u64_get(qemu_plugin_u64, unsigned);
QEMON_WEAK void qemu_plugin_u64_set(qemu_plugin_u64, unsigned, std::uint64_t);
QEMON_WEAK void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(qemu_plugin_tb*, qemu_plugin_op,
                                                                  qemu_plugin_u64, std::uint64_t);
// API 3 (QEMU 9.1).
QEMON_WEAK void qemu_plugin_register_vcpu_tb_exec_cond_cb(qemu_plugin_tb*,
                                                          qemu_plugin_vcpu_udata_cb_t,
                                                          qemu_plugin_cb_flags, qemu_plugin_cond,
                                                          qemu_plugin_u64, std::uint64_t, void*);
// API 5 (QEMU 10.2).
QEMON_WEAK void qemu_plugin_register_vcpu_discon_cb(qemu_plugin_id_t, qemu_plugin_discon_type,
                                                    qemu_plugin_vcpu_discon_cb_t);
#undef QEMON_WEAK

/// What a plugin gives to QEMU.
__attribute__((visibility("default"))) extern int qemu_plugin_version;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id,
                                                               const qemu_info_t* info, int argc,
                                                               char** argv);

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
