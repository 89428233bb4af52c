#include "cli/symbols.hpp"

#include <cxxabi.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace qemon::cli {
namespace {

struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};
struct Free {
  void operator()(char* text) const { std::free(text); }
};

std::string readable(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, Free> demangled(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status));
  return status == 0 && demangled ? demangled.get() : name;
}

/// FILE@0xADDRESS taken apart. An `@` that no number follows belongs to the name.
std::pair<std::string, std::optional<std::uint64_t>> split(const std::string& file) {
  const auto at = file.rfind("@0x");
  if (at == std::string::npos) return {file, std::nullopt};
  std::uint64_t address = 0;
  const char* const end = file.data() + file.size();
  const auto [stop, code] = std::from_chars(file.data() + at + 3, end, address, 16);
  if (code != std::errc() || stop != end) return {file, std::nullopt};
  return {file.substr(0, at), address};
}

}  // namespace

/// Of one file that is being read.
class Symbols::Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {}

  Result<File> read(std::optional<std::uint64_t> load_address) {
    if (auto opened = open(); !opened) return opened.error();
    if (header_.e_type == ET_REL)
      return Error{path_ +
                   ": is an object file, whose addresses are not settled: give the linked "
                   "program"};
    if (load_address) {
      const auto first = first_segment();
      if (!first) return Error{path_ + ": has nothing to load, so that no address can be given"};
      bias_ = *load_address - *first;
    }
    // What is left of a stripped file's symbols is for its dynamic linker.
    for (const std::uint32_t type : {std::uint32_t{SHT_SYMTAB}, std::uint32_t{SHT_DYNSYM}}) {
      read_table(type);
      if (!symbols_.empty()) break;
    }
    if (symbols_.empty())
      return Error{path_ +
                   ": has no symbols of code (it is stripped): give the file as it was "
                   "before, or its debug file"};
    std::ranges::sort(symbols_, [](const Symbol& a, const Symbol& b) {
      return a.address != b.address ? a.address < b.address
             : a.rank != b.rank     ? a.rank > b.rank
                                    : a.name < b.name;
    });
    const auto same_address = [](const Symbol& a, const Symbol& b) {
      return a.address == b.address;
    };
    symbols_.erase(std::unique(symbols_.begin(), symbols_.end(), same_address), symbols_.end());
    for (std::size_t i = 0; i + 1 < symbols_.size(); ++i)
      if (symbols_[i].is_label)
        symbols_[i].end = std::min(symbols_[i].end, symbols_[i + 1].address);
    return std::move(symbols_);
  }

 private:
  Result<void> open() {
    struct stat about {};
    if (::stat(path_.c_str(), &about) != 0) return system_error(errno, path_);
    if (!S_ISREG(about.st_mode))
      return Error{path_ + ": is not a regular file: give the guest's program or vmlinux"};
    file_ = UniqueFd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file_) return system_error(errno, path_);
    elf_version(EV_CURRENT);
    elf_.reset(elf_begin(file_.get(), ELF_C_READ, nullptr));
    if (!elf_ || elf_kind(elf_.get()) != ELF_K_ELF || !gelf_getehdr(elf_.get(), &header_))
      return Error{path_ +
                   ": is not an ELF file: give the guest's program or vmlinux, not a "
                   "compressed image"};
    return {};
  }

  std::optional<std::uint64_t> first_segment() {
    std::size_t count = 0;
    if (elf_getphdrnum(elf_.get(), &count) != 0) return std::nullopt;
    for (std::size_t i = 0; i < count; ++i) {
      GElf_Phdr segment;
      if (gelf_getphdr(elf_.get(), static_cast<int>(i), &segment) == nullptr) continue;
      if (segment.p_type == PT_LOAD) return segment.p_vaddr;
    }
    return std::nullopt;
  }

  void read_table(std::uint32_t type) {
    Elf_Scn* section = nullptr;
    while ((section = elf_nextscn(elf_.get(), section)) != nullptr) {
      GElf_Shdr about;
      if (gelf_getshdr(section, &about) == nullptr || about.sh_type != type) continue;
      Elf_Data* const data = elf_getdata(section, nullptr);
      if (data == nullptr || about.sh_entsize == 0) continue;
      const auto count = static_cast<int>(data->d_size / about.sh_entsize);
      for (int i = 0; i < count; ++i) {
        GElf_Sym symbol;
        if (gelf_getsym(data, i, &symbol) == nullptr) break;
        take(symbol, about.sh_link);
      }
    }
  }

  void take(const GElf_Sym& symbol, std::size_t names) {
    const auto type = GELF_ST_TYPE(symbol.st_info);
    if (type != STT_FUNC && type != STT_NOTYPE && type != STT_GNU_IFUNC) return;
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= SHN_LORESERVE) return;
    GElf_Shdr section;
    if (gelf_getshdr(elf_getscn(elf_.get(), symbol.st_shndx), &section) == nullptr) return;
    if ((section.sh_flags & SHF_EXECINSTR) == 0) return;
    const char* const name = elf_strptr(elf_.get(), names, symbol.st_name);
    // "$x", "$d.3": where Arm's and RISC-V's code and data begin.
    if (name == nullptr || *name == '\0' || *name == '$' ||
        std::string_view(name).starts_with(".L"))
      return;
    // The lowest bit of an Arm function says that it is of Thumb.
    const std::uint64_t value =
        header_.e_machine == EM_ARM ? symbol.st_value & ~std::uint64_t{1} : symbol.st_value;
    Symbol added;
    added.address = value + bias_;
    // A label in assembly ends where the next symbol or its section does.
    added.is_label = symbol.st_size == 0;
    added.end =
        bias_ + (added.is_label ? section.sh_addr + section.sh_size : value + symbol.st_size);
    added.name = name;
    const auto binding = GELF_ST_BIND(symbol.st_info);
    added.rank = (type == STT_NOTYPE ? 0U : 4U) + (binding == STB_GLOBAL ? 2U
                                                   : binding == STB_WEAK ? 1U
                                                                         : 0U);
    symbols_.push_back(std::move(added));
  }

  std::string path_;
  UniqueFd file_;
  std::unique_ptr<Elf, ElfEnd> elf_;
  GElf_Ehdr header_{};
  std::uint64_t bias_ = 0;
  File symbols_;
};

Result<void> Symbols::add(const std::string& file) {
  const auto [path, load_address] = split(file);
  auto symbols = Reader(path).read(load_address);
  if (!symbols) return symbols.error();
  files_.push_back(std::move(*symbols));
  names_.push_back(file);
  return {};
}

std::optional<std::string> Symbols::find(std::uint64_t address) const {
  for (std::size_t file = 0; file < files_.size(); ++file)
    if (auto found = find_in(file, address)) return found;
  return std::nullopt;
}

std::optional<std::string> Symbols::find_in(std::size_t file, std::uint64_t address) const {
  const File& symbols = files_[file];
  auto at = std::ranges::upper_bound(symbols, address, {}, &Symbol::address);
  // Behind a function that has ended, one that began before it may go on.
  constexpr int steps_max = 16;
  for (int step = 0; step < steps_max && at != symbols.begin(); ++step) {
    --at;
    if (address >= at->end) continue;
    const std::uint64_t offset = address - at->address;
    const auto name = readable(at->name);
    return offset == 0 ? name : name + "+" + hexadecimal(offset);
  }
  return std::nullopt;
}

}  // namespace qemon::cli
