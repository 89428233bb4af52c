#include "plugin/instruction_class.hpp"

namespace qemon::plugin {

namespace {

struct Rule {
  std::string_view begin;  ///< Of the mnemonic; with a blank at its end, all of it.
  InstructionClass is;
};

using enum InstructionClass;

// The first rule that fits decides.
constexpr Rule x86_rules[] = {
    {"jmp", branch},    {"j", branch},      {"loop", branch},    {"call", call},
    {"lcall", call},    {"ret", ret},       {"lret", ret},       {"iret", ret},
    {"sysret", ret},    {"sysexit", ret},   {"syscall", system}, {"sysenter", system},
    {"int ", system},   {"int3", system},   {"into", system},    {"inv", system},
    {"inc", integer},   {"in ", system},    {"inb", system},     {"inw", system},
    {"inl", system},    {"insb", system},   {"insw", system},    {"insl", system},
    {"out", system},    {"hlt", system},    {"cli ", system},    {"sti ", system},
    {"cld", other},     {"lgdt", system},   {"lidt", system},    {"lldt", system},
    {"ltr", system},    {"lmsw", system},   {"sgdt", system},    {"sidt", system},
    {"wrmsr", system},  {"rdmsr", system},  {"rdtsc", system},   {"cpuid", system},
    {"swapgs", system}, {"clts", system},   {"wbinvd", system},  {"mfence", system},
    {"lfence", system}, {"sfence", system}, {"cmov", move},      {"mov", move},
    {"push", move},     {"pop ", move},     {"popq", move},      {"popl", move},
    {"popf", system},   {"lea", move},      {"xchg", move},      {"stos", move},
    {"lods", move},     {"bswap", move},    {"cbtw", move},      {"cwt", move},
    {"clt", move},      {"cqt", move},      {"add", integer},    {"sub", integer},
    {"dec", integer},   {"and", integer},   {"or", integer},     {"xor", integer},
    {"xadd", integer},  {"not", integer},   {"neg", integer},    {"sh", integer},
    {"sal", integer},   {"sar", integer},   {"ro", integer},     {"rc", integer},
    {"mul", integer},   {"imul", integer},  {"div", integer},    {"idiv", integer},
    {"cmp", integer},   {"scas", integer},  {"test", integer},   {"adc", integer},
    {"adox", integer},  {"adcx", integer},  {"sbb", integer},    {"bt", integer},
    {"bs", integer},    {"set", integer},   {"popcnt", integer}, {"lzcnt", integer},
    {"tzcnt", integer}, {"f", vector},      {"v", vector},
};
constexpr Rule arm_rules[] = {
    {"bl ", call},     {"blr", call},     {"blx", call},     {"bic", integer},  {"bf", integer},
    {"br", branch},    {"b", branch},     {"cb", branch},    {"tbz", branch},   {"tbnz", branch},
    {"ret", ret},      {"eret", ret},     {"rfe", ret},      {"ld", move},      {"st", move},
    {"sw", move},      {"mov", move},     {"mvn", move},     {"adr", move},     {"push", move},
    {"pop", move},     {"msr", system},   {"mrs", system},   {"mcr", system},   {"mrc", system},
    {"svc", system},   {"hvc", system},   {"smc", system},   {"brk", system},   {"cps", system},
    {"wf", system},    {"isb", system},   {"dsb", system},   {"dmb", system},   {"tlbi", system},
    {"ic ", system},   {"dc ", system},   {"at ", system},   {"sys", system},   {"f", vector},
    {"v", vector},     {"scvt", vector},  {"ucvt", vector},  {"add", integer},  {"adc", integer},
    {"sub", integer},  {"sbc", integer},  {"rsb", integer},  {"mul", integer},  {"mla", integer},
    {"madd", integer}, {"msub", integer}, {"mneg", integer}, {"sm", integer},   {"um", integer},
    {"sdiv", integer}, {"udiv", integer}, {"and", integer},  {"orr", integer},  {"orn", integer},
    {"eor", integer},  {"eon", integer},  {"neg", integer},  {"ls", integer},   {"as", integer},
    {"ror", integer},  {"cmp", integer},  {"cmn", integer},  {"ccmp", integer}, {"ccmn", integer},
    {"tst", integer},  {"teq", integer},  {"cs", integer},   {"cinc", integer}, {"cset", integer},
    {"sbf", integer},  {"ubf", integer},  {"sxt", integer},  {"uxt", integer},  {"clz", integer},
    {"cls", integer},  {"rbit", integer}, {"rev", integer},  {"extr", integer},
};
constexpr Rule riscv_rules[] = {
    {"beq", branch},   {"bne", branch},    {"blt", branch},    {"bge", branch},
    {"bgt", branch},   {"ble", branch},    {"j ", branch},     {"jr ", branch},
    {"jal", call},     {"call", call},     {"tail", branch},   {"ret", ret},
    {"mret", ret},     {"sret", ret},      {"uret", ret},      {"lb", move},
    {"lh", move},      {"lw", move},       {"ld", move},       {"lui", move},
    {"li", move},      {"la", move},       {"lr.", move},      {"sb ", move},
    {"sh ", move},     {"sw ", move},      {"sd ", move},      {"sdsp", move},
    {"swsp", move},    {"sc.", move},      {"mv", move},       {"auipc", move},
    {"fence", system}, {"csr", system},    {"ecall", system},  {"ebreak", system},
    {"wfi", system},   {"sfence", system}, {"hfence", system}, {"f", vector},
    {"v", vector},     {"add", integer},   {"amo", integer},   {"and", integer},
    {"sub", integer},  {"or", integer},    {"xor", integer},   {"not", integer},
    {"neg", integer},  {"sl", integer},    {"sr", integer},    {"seqz", integer},
    {"snez", integer}, {"sltz", integer},  {"sgtz", integer},  {"mul", integer},
    {"div", integer},  {"rem", integer},   {"sext", integer},  {"zext", integer},
};

/// Names of registers that only vector and floating point instructions have.
constexpr std::string_view x86_registers[] = {"%xmm", "%ymm", "%zmm", "%mm", "%st"};
/// What only privileged instructions have: "mov %rax, %cr3".
constexpr std::string_view x86_system_registers[] = {"%cr", "%db", "%dr"};

template <std::size_t count>
bool has_any(std::string_view text, const std::string_view (&words)[count]) {
  for (const std::string_view word : words) {
    if (text.find(word) != std::string_view::npos) return true;
  }
  return false;
}

/// A mnemonic that is a rule's text whole stands for one that ends with a blank too.
bool fits(std::string_view mnemonic, std::string_view begin) {
  if (!begin.ends_with(' ')) return mnemonic.starts_with(begin);
  begin.remove_suffix(1);
  return mnemonic == begin;
}

template <std::size_t count>
InstructionClass by_rules(std::string_view mnemonic, const Rule (&rules)[count]) {
  for (const Rule& rule : rules) {
    if (fits(mnemonic, rule.begin)) return rule.is;
  }
  return other;
}

/// Takes the first word from `text`.
std::string_view take_word(std::string_view& text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  std::size_t length = 0;
  while (length < text.size() && text[length] != ' ' && text[length] != '\t') ++length;
  const std::string_view word(text.data(), length);
  text.remove_prefix(length);
  return word;
}

}  // namespace

Family family_of(std::string_view target) {
  if (target == "x86_64" || target == "i386") return Family::x86;
  if (target.starts_with("aarch64") || target.starts_with("arm")) return Family::arm;
  if (target.starts_with("riscv")) return Family::riscv;
  return Family::unknown;
}

InstructionClass classify(Family family, std::string_view disassembly) {
  std::string_view operands = disassembly;
  std::string_view mnemonic = take_word(operands);
  switch (family) {
    case Family::x86:
      while (mnemonic.starts_with("rep") || mnemonic == "lock" || mnemonic == "notrack" ||
             mnemonic == "bnd")
        mnemonic = take_word(operands);
      if (has_any(operands, x86_registers)) return vector;
      if (has_any(operands, x86_system_registers)) return system;
      return by_rules(mnemonic, x86_rules);
    case Family::arm:
      return by_rules(mnemonic, arm_rules);
    case Family::riscv:
      if (mnemonic.starts_with("c.")) mnemonic.remove_prefix(2);
      return by_rules(mnemonic, riscv_rules);
    case Family::unknown:
      break;
  }
  return other;
}

}  // namespace qemon::plugin
