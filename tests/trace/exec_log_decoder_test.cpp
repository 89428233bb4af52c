#include "trace/exec_log_decoder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/trace/log_reading.hpp"

namespace qemon::trace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Kept {
  std::string event;
  std::uint64_t pc = 0;
  bool has_time = false;
  std::int64_t time_ns = 0;
  std::uint32_t id = 0;

  bool operator==(const Kept&) const = default;
};

void PrintTo(const Kept& kept, std::ostream* out) {
  *out << kept.event << " pc 0x" << std::hex << kept.pc << std::dec << " time " << kept.has_time
       << ' ' << kept.time_ns << " id " << kept.id;
}

Kept block(std::uint64_t pc) {
  return {"exec_log_block", pc};
}

Kept registers(std::uint64_t pc) {
  return {"exec_log_registers", pc};
}

/// A decoder and what came out of it.
class Decoding : public test::LogReading<ExecLogDecoder> {
 public:
  void on_record(const Record& record) override {
    Arguments arguments;
    ASSERT_EQ(record.decoder, &decoder);
    ASSERT_TRUE(record.decoder->arguments(record, arguments));
    ASSERT_EQ(arguments.count, 1u);
    records.push_back({events.name(record.event), arguments.values[0].bits, record.has_time,
                       record.time_ns, record.id});
  }
  void on_loss(std::uint64_t) override { ADD_FAILURE() << "nothing is ever known to be lost"; }

  std::vector<Kept> records;
};

// Recorded with QEMU 7.2: qemu-system-x86_64 -accel tcg -d exec,cpu.
constexpr std::string_view x86_boot_log =
    R"(Trace 0: 0x7f506c000100 [00000000ffff0000/00000000fffffff0/00000040/ff000200] 
EAX=00000000 EBX=00000000 ECX=00000000 EDX=00060fb1
ESI=00000000 EDI=00000000 EBP=00000000 ESP=00000000
EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0
ES =0000 00000000 0000ffff 00009300
CS =f000 ffff0000 0000ffff 00009b00
SS =0000 00000000 0000ffff 00009300
DS =0000 00000000 0000ffff 00009300
FS =0000 00000000 0000ffff 00009300
GS =0000 00000000 0000ffff 00009300
LDT=0000 00000000 0000ffff 00008200
TR =0000 00000000 0000ffff 00008b00
GDT=     00000000 0000ffff
IDT=     00000000 0000ffff
CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000
DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000 
DR6=00000000ffff0ff0 DR7=0000000000000400
CCS=00000000 CCD=00000000 CCO=EFLAGS
EFER=0000000000000000
FCW=037f FSW=0000 [ST=0] FTW=00 MXCSR=00001f80
FPR0=0000000000000000 0000 FPR1=0000000000000000 0000
XMM00=0000000000000000 0000000000000000 XMM01=0000000000000000 0000000000000000
Linking TBs 0x7f506c000100 index 1 -> 0x7f506c000240
Trace 0: 0x7f506c000240 [00000000000f0000/00000000000fe05b/00000040/ff000200] 
Stopped execution of TB chain before 0x7f506c000240 [00000000000fe05b] 
)";

// Recorded with QEMU 7.2's user mode emulators: -d exec,cpu.
constexpr std::string_view x86_64_user_log =
    R"(Trace 0: 0x7feef1000280 [0000000000000000/0000000000401005/1040c0b3/00000000] 
RAX=0000000000000000 RBX=0000000000000000 RCX=0000000000000002 RDX=0000000000000000
RSI=0000000000000000 RDI=0000000000000000 RBP=0000000000000000 RSP=00000040008007f0
R8 =0000000000000000 R9 =0000000000000000 R10=0000000000000000 R11=0000000000000000
R12=0000000000000000 R13=0000000000000000 R14=0000000000000000 R15=0000000000000000
RIP=0000000000401005 RFL=00000202 [-------] CPL=3 II=0 A20=1 SMM=0 HLT=0
ES =0000 0000000000000000 00000000 00000000
CS =0033 0000000000000000 ffffffff 00effb00 DPL=3 CS64 [-RA]
SS =002b 0000000000000000 ffffffff 00cff300 DPL=3 DS   [-WA]
GDT=     0000004000802000 0000007f
CR0=80010001 CR2=0000000000000000 CR3=0000000000000000 CR4=00050220
CCS=0000000000000000 CCD=0000000000000002 CCO=DECL
EFER=0000000000000500
)";

constexpr std::string_view i386_user_log =
    R"(Trace 0: 0x7eff0cc000c0 [00000000/08049000/104000b3/00000000] 
EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000000
ESI=00000000 EDI=00000000 EBP=00000000 ESP=40800920
EIP=08049000 EFL=00000202 [-------] CPL=3 II=0 A20=1 SMM=0 HLT=0
ES =002b 00000000 ffffffff 00cff300 DPL=3 DS   [-WA]
)";

constexpr std::string_view aarch64_user_log =
    R"(Trace 0: 0x7fdfd1c00280 [0000000001009331/000000000040007c/00000001/00000000] 
 PC=000000000040007c X00=0000000000000002 X01=0000000000000000
X02=0000000000000000 X03=0000000000000000 X04=0000000000000000
X29=0000000000000000 X30=0000000000000000  SP=00000055008007e0
PSTATE=20000000 --C- EL0t  SVCR=00000000 --  BTYPE=0
)";

constexpr std::string_view arm_user_log =
    R"(Trace 0: 0x7f595e0001c0 [00000480/00010058/00000000/00000000] 
R00=00000002 R01=40800a90 R02=00000000 R03=00000000
R04=00000000 R05=00000000 R06=00000000 R07=00000000
R08=00000000 R09=00000000 R10=00010068 R11=00000000
R12=00000000 R13=40800930 R14=00000000 R15=00010058
PSR=20000010 --C- A usr32
)";

constexpr std::string_view riscv64_user_log =
    R"(Trace 0: 0x7fb103400240 [0000000000000000/00000000000100b4/00207600/00000000] 
 pc       00000000000100b4
 x0/zero  0000000000000000 x1/ra    0000000000000000 x2/sp    0000004000800810 x3/gp    0000000000000000
 x28/t3   0000000000000000 x29/t4   0000000000000000 x30/t5   0000000000000000 x31/t6   0000000000000000
)";

constexpr std::string_view ppc64_user_log =
    R"(Trace 0: 0x7f757be00280 [0000000000000000/000000001000007c/02806105/00000000] 
NIP 000000001000007c   LR 0000000000000000 CTR 0000000000000000 XER 0000000000000000 CPU#0
MSR 9000000102806901 HID0 0000000000000000  HF 02806105 iidx 0 didx 0
TB 00000767 3294605724630
GPR00 0000000000000000 00000040008007b0 0000000000000000 0000000000000002
CR 40000000  [ G  -  -  -  -  -  -  -  ]             RES ffffffffffffffff
)";

constexpr std::string_view s390x_user_log =
    R"(Trace 0: 0x7f1775600280 [0000000000000000/000000000100007c/60000003/00000000] 
PSW=mask 0000200180000000 addr 000000000100007c cc 02
R00=0000000000000000 R01=0000000000000000 R02=0000000000000002 R03=0000000000000000
R12=0000000000000000 R13=0000000000000000 R14=0000000000000000 R15=0000004000800810

)";

constexpr std::string_view mips_user_log =
    R"(Trace 0: 0x7fdec80001c0 [00000000/004000d4/000000a2/00000000] 
pc=0x004000d4 HI=0x00000000 LO=0x00000000 ds 00a2 00000000 1
GPR00: r0 00000000 at 00000000 v0 00000000 v1 00000000
GPR28: gp 00000000 sp 40800930 s8 00000000 ra 00000000
CP0 Status  0x20000010 Cause   0x00000000 EPC    0x00000000
    Config0 0x80008482 Config1 0x9e190c8f LLAddr 0x0000000000000000
    Config2 0x80000000 Config3 0x00000000
)";

TEST(ExecLogDecoder, AddsItsEventsAndDescribesThem) {
  Decoding log;
  const Catalog catalog = exec_log_catalog();

  log.events.use_catalog(&catalog);

  ASSERT_EQ(log.events.size(), 2u);
  for (EventIndex event = 0; event < 2; ++event) {
    const CatalogEvent* const described = log.events.described(event);
    ASSERT_NE(described, nullptr);
    ASSERT_EQ(described->arguments.size(), 1u);
    EXPECT_EQ(described->arguments[0].name, "pc");
    EXPECT_EQ(described->arguments[0].kind, ArgumentKind::unsigned_integer);
    EXPECT_EQ(described->arguments[0].bits, 64);
  }
  EXPECT_THAT(catalog.problems(), IsEmpty());
}

TEST(ExecLogDecoder, ReadsBlocksAndDumpsOfABootingGuest) {
  Decoding log;

  log.feed(x86_boot_log);

  EXPECT_THAT(log.records, ElementsAre(block(0xfffffff0), registers(0xfff0), block(0xfe05b)));
  EXPECT_EQ(log.decoder.stats().records, 3u);
  EXPECT_TRUE(log.decoder.stats().span.empty());
  EXPECT_EQ(log.unknown(), 2u) << "Linking and Stopped";
}

TEST(ExecLogDecoder, ReadsDumpsOfEachArchitecture) {
  const std::pair<std::string_view, std::uint64_t> logs[] = {
      {x86_64_user_log, 0x401005}, {i386_user_log, 0x8049000},  {aarch64_user_log, 0x40007c},
      {arm_user_log, 0x10058},     {riscv64_user_log, 0x100b4}, {ppc64_user_log, 0x1000007c},
      {s390x_user_log, 0x100007c}, {mips_user_log, 0x4000d4},
  };
  for (const auto& [text, pc] : logs) {
    Decoding log;

    log.feed(text);

    EXPECT_THAT(log.records, ElementsAre(block(pc), registers(pc))) << text;
    EXPECT_EQ(log.unknown(), 0u) << text;
  }
}

TEST(ExecLogDecoder, ReadsBlocksAsEachQemuWritesThem) {
  Decoding log;

  log.feed(
      "Trace 0: 0x7f01 [00000480/0001005c/00000000/ff000000] _start\n"     // Since 6.1.
      "Trace 11: 0x7f01 [00001234/ffffffff81000000/0000c0b3/00000000] \n"  // 8.1: base of %08x.
      "Trace 0: 0x7f01 [0000000000000000/00000000000ffff0/0x40] \n"        // 2.11 to 6.0.
      "Chain 0: 0x7f01 [0000000000000000/00000000000ffff1/0x40] main\n"
      "Trace 0x7f01 [0: 00000000004000b0] main\n"  // 2.7 to 2.10.
      "Trace 0x7f01 [00000000004000b1] \n");       // 2.6 and older.

  EXPECT_THAT(log.records, ElementsAre(block(0x1005c), block(0xffffffff81000000), block(0xffff0),
                                       block(0xffff1), block(0x4000b0), block(0x4000b1)));
  EXPECT_EQ(log.unknown(), 0u);
}

TEST(ExecLogDecoder, TakesSymbolsForWhatTheyAre) {
  Decoding log;

  log.feed(
      "Trace 0: 0x7f01 [0/1/0/0] operator[](1/2)\n"
      "Trace 0: 0x7f01 [0/2/0/0] RIP=5\r\n");

  EXPECT_THAT(log.records, ElementsAre(block(1), block(2)));
}

TEST(ExecLogDecoder, TakesTheTimeThatAPrefixTells) {
  Decoding log;
  const std::int64_t time_ns = 1795378627141597000;

  log.feed(
      "30048@1795377070.851320:Trace 0: 0x7f01 [0/1/0/0] \n"
      "2026-11-22T20:17:07.141597Z RIP=0000000000000002 RFL=00000202\n"
      "2026-11-22T20:17:07.141597Z RAX=0000000000000002 RBX=0000000000000000\n"
      "2026-11-22T20:17:07.141597Z [web 1] qemu(123:CPU 0/TCG): Trace 0: 0x7f01 [0/3/0/0] \n"
      "qemu-x86_64(4:main): Trace 0: 0x7f01 [0/4/0/0] \n");

  EXPECT_THAT(log.records, ElementsAre(Kept{"exec_log_block", 1, true, 1795377070851320000, 30048},
                                       Kept{"exec_log_registers", 2, true, time_ns, 0},
                                       Kept{"exec_log_block", 3, true, time_ns, 123},
                                       Kept{"exec_log_block", 4, false, 0, 4}));
  EXPECT_FALSE(log.decoder.stats().span.empty());
  EXPECT_EQ(log.unknown(), 0u);
}

TEST(ExecLogDecoder, CountsEveryOtherLineAsUnknown) {
  const std::string lines[] = {
      "Trace",
      "Trace ",
      "Trace 0: 0x7f01",
      "Trace 0: 0x7f01 [",
      "Trace 0: 0x7f01 [0/",
      "Trace 0: 0x7f01 [0/1",
      "Trace 0: 0x7f01 [0/1 ",
      "Trace 0: 0x7f01 [0/x/0/0] ",
      "Trace 0: 0x7f01 [0/0x1/0/0] ",
      "Trace 0: 0x7f01 [0//0/0] ",
      "Trace 0: 0x7f01 [0/00000000000000001/0/0] ",
      "Trace 0: 0x7f01 [/1/0/0] ",
      "Trace 0: 0x7f01 [0:] ",
      "Trace 0: 0x7f01 [] ",
      "Trace 0: 0x7f01 [-1] ",
      "Trace " + std::string(100, '0') + " [0/1/0/0]",
      " Trace 0: 0x7f01 [0/1/0/0] ",
      "Chains 0: 0x7f01 [0/1/0/0] ",
      "Linking TBs 0x7f7504000240 index 1 -> 0x7f7504000400",
      "Linking TBs 0x7f7504000240 [0000000000401000] index 1 -> 0x7f7504000400 [00000000004010f0]",
      "Stopped execution of TB chain before 0x7f75040035c0 [00000000000f1234] ",
      "CPU Reset (CPU 0)",
      "Servicing hardware INT=0x08",
      "     0: v=08 e=0000 i=0 cpl=0 IP=f000:000000000000d2f4 pc=00000000000fd2f4",
      "check_exception old: 0xffffffff new 0xd",
      "IN: _start",
      "0x00401000:  b9 03 00 00 00           movl     $3, %ecx",
      "virtio_blk_handle_read vdev 0x5577 req 0x5578 sector 1 nsectors 8",
      "apic_mem_readl 0x20 = 0x00050014",
      "qemu: uncaught target signal 11 (Segmentation fault) - core dumped",
      "RIP=",
      "RIP=xyz",
      "EIP 8049000",
      "Config",
      "Configuration 0x1",
      "PC",
      "NIP",
      " pc",
      "=0000",
      "\xff\xfe\x01",
      std::string("RIP\0=00401000", 13),
      std::string(5000, 'x'),
  };
  for (const auto& line : lines) test::expect_to_be_unknown<Decoding>(line);
}

TEST(ExecLogDecoder, GivesTheSameWhateverThePieces) {
  const std::string text = std::string(x86_boot_log) + std::string(arm_user_log);
  for (const std::size_t size : {1, 2, 3, 7, 64, 100}) {
    Decoding log;

    for (std::size_t at = 0; at < text.size(); at += size)
      log.feed(std::string_view(text).substr(at, size));

    EXPECT_THAT(log.records, ElementsAre(block(0xfffffff0), registers(0xfff0), block(0xfe05b),
                                         block(0x10058), registers(0x10058)));
    EXPECT_EQ(log.unknown(), 2u);
  }
}

TEST(ExecLogDecoder, GivesTheSameSplitAtEveryByte) {
  for (const std::string_view text : {x86_boot_log, x86_64_user_log, arm_user_log}) {
    Decoding whole;
    whole.feed(text);
    for (std::size_t first = 0; first < text.size(); ++first) {
      Decoding split;
      split.feed(text.substr(0, first));
      split.feed(text.substr(first));
      ASSERT_EQ(split.records, whole.records) << "split at " << first;
      ASSERT_EQ(split.unknown(), whole.unknown()) << "split at " << first;
      ASSERT_EQ(split.pending, "");
    }
  }
}

// What a line was, its bytes alone tell: a register with a damaged name may pass for another one,
// of which nothing is counted.
TEST(ExecLogDecoder, ADamagedByteTouchesTheRecordsOfNoOtherLine) {
  for (const std::string_view text : {x86_boot_log, x86_64_user_log, arm_user_log}) {
    Decoding sound;
    sound.feed(text);
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (unsigned bit = 0; bit < 10; ++bit) {
        std::string bytes(text);
        const auto flipped = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ 1U << bit);
        bytes[at] = bit < 8 ? flipped : bit == 8 ? '\0' : '\xff';
        Decoding run;
        run.feed(bytes);

        const auto mismatch = [](auto begin, auto end, auto other, auto other_end) {
          return std::mismatch(begin, end, other, other_end).first - begin;
        };
        const auto same_before = mismatch(sound.records.begin(), sound.records.end(),
                                          run.records.begin(), run.records.end());
        const auto same_behind = mismatch(sound.records.rbegin(), sound.records.rend(),
                                          run.records.rbegin(), run.records.rend());
        const auto all = static_cast<std::ptrdiff_t>(sound.records.size());
        // The end of a line belongs to both.
        EXPECT_GE(same_before + same_behind, all - (text[at] == '\n' ? 2 : 1)) << "byte " << at;
        EXPECT_LE(run.records.size(), sound.records.size() + 1) << "byte " << at;
        EXPECT_LE(run.unknown(), sound.unknown() + 2) << "byte " << at;
      }
    }
  }
}

TEST(ExecLogDecoder, WaitsForTheEndOfALineAndForgetsItAtARestart) {
  Decoding log;

  log.feed("Trace 0: 0x7f01 [0/1/0/0] \nTrace 0: 0x7f01 [0/2/0/0] ");

  EXPECT_THAT(log.records, ElementsAre(block(1)));
  EXPECT_EQ(log.pending, "Trace 0: 0x7f01 [0/2/0/0] ");
  log.pending.clear();
  log.decoder.restart();
  log.feed("Trace 0: 0x7f01 [0/3/0/0] \n");
  EXPECT_THAT(log.records, ElementsAre(block(1), block(3)));
}

TEST(ExecLogDecoder, PassesOverAHole) {
  Decoding log;

  log.feed(std::string(100'000, '\0') + "Trace 0: 0x7f01 [0/1/0/0] \n");
  log.feed(std::string(3, '\0'));
  log.feed("Trace 0: 0x7f01 [0/2/0/0] \n");

  EXPECT_THAT(log.records, ElementsAre(block(1), block(2)));
  EXPECT_EQ(log.unknown(), 0u);
}

TEST(ExecLogDecoder, SkipsTheRestOfAnOverlongLine) {
  Decoding log;
  const std::string rest(decode_bytes_max, 'x');

  log.feed("Trace 0: 0x7f01 [0/1/0/0] " + rest);
  EXPECT_EQ(log.pending, "");
  log.feed(rest + "\nTrace 0: 0x7f01 [0/2/0/0] \n");
  log.feed(rest + "\n" + rest + rest);
  log.decoder.restart();
  log.feed("Trace 0: 0x7f01 [0/3/0/0] \n");

  EXPECT_THAT(log.records, ElementsAre(block(1), block(2), block(3)));
  EXPECT_EQ(log.overlong(), 3u);
  EXPECT_EQ(log.unknown(), 0u);
}

TEST(ExecLogDecoder, RefusesArgumentsOfRecordsThatAreNotItsOwn) {
  const Decoding log;
  Arguments got;

  EXPECT_FALSE(log.decoder.arguments({.event = 2, .payload = "1"}, got));
  EXPECT_FALSE(log.decoder.arguments({.event = 0, .payload = ""}, got));
  EXPECT_FALSE(log.decoder.arguments({.event = 0, .payload = "1g"}, got));
  EXPECT_FALSE(log.decoder.arguments({.event = 0, .payload = "12345678123456781"}, got));
}

TEST(ExecLogDecoder, SurvivesRubbish) {
  test::expect_to_survive_rubbish<Decoding>({"Trace 0: 0x[/]RIP=R12pc \n\n\r\0\0\xff", 31});
}

TEST(ExecLogDecoder, SurvivesEveryCutOfALine) {
  for (const std::string_view text : {x86_64_user_log, arm_user_log, s390x_user_log, mips_user_log,
                                      riscv64_user_log, ppc64_user_log}) {
    for (std::size_t size = 0; size <= text.size(); ++size) {
      Decoding log;
      log.feed(std::string(text.substr(0, size)) + "\n");
      EXPECT_LE(log.records.size(), 2u);
      EXPECT_EQ(log.pending, "");
    }
  }
}

}  // namespace
}  // namespace qemon::trace
