// FiguresReader: reads what libqemon-plugin.so publishes, while QEMU writes it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "plugin/shared_figures.hpp"

namespace qemon::plugin {

/// The pages of all vCPUs that have run, each of one moment.
struct Figures {
  Header header;
  struct OfVcpu {
    std::uint32_t index = 0;
    Vcpu counts;
  };
  std::vector<OfVcpu> vcpus;
};

/// Copies with pread(2) and maps nothing: whoever may write the file may cut it short too, and a
/// mapping of what is no longer there ends the process.
class FiguresReader {
 public:
  /// An Error if it cannot be read, or is not such a file, or of another layout. A level can be
  /// wanted only where the file may be written.
  [[nodiscard]] static Result<FiguresReader> open(const std::string& path);

  /// A vCPU whose page does not hold still, because the host lets its thread wait in the middle of
  /// writing, is as it was at the last call. An Error if the file has been cut short.
  [[nodiscard]] Result<Figures> read();
  /// What it begins with alone.
  [[nodiscard]] Result<Header> read_header() const;
  /// All blocks there are, or `count` of them from the `first` on. What they have in sum grows
  /// while it is read.
  [[nodiscard]] Result<std::vector<Block>> read_blocks(std::uint64_t first = 0,
                                                       std::uint64_t count = ~std::uint64_t{
                                                           0}) const;
  /// Bits of Level. QEMU follows once a vCPU has run some thousand instructions more, or has
  /// nothing to do.
  [[nodiscard]] Result<void> want_level(std::uint32_t level) const;

  /// False once another file is at that path, or none: another QEMU has been started, or somebody
  /// removed it.
  [[nodiscard]] bool is_still_there() const;

 private:
  FiguresReader(std::string path, UniqueFd file, bool is_writable, std::uint64_t bytes)
      : path_(std::move(path)), file_(std::move(file)), is_writable_(is_writable), bytes_(bytes) {}
  /// Of one vCPU, of one moment; nothing if it did not hold still.
  [[nodiscard]] Result<std::optional<Vcpu>> read_page(std::uint64_t offset, bool is_at_rest) const;
  [[nodiscard]] Result<void> copy(void* to, std::size_t bytes, std::uint64_t from) const;
  [[nodiscard]] bool is_abandoned() const;

  std::string path_;
  UniqueFd file_;
  bool is_writable_ = false;
  std::uint64_t bytes_ = 0;  ///< Of the file, as it was when it was opened.
  std::map<std::uint32_t, Vcpu> last_;
};

/// "count", "memory", "blocks" or "all".
[[nodiscard]] std::string_view level_name(std::uint32_t level);
/// The bits of such a name; an Error names the others.
[[nodiscard]] Result<std::uint32_t> level_named(std::string_view name);

/// "branch"; "return" for ret.
[[nodiscard]] std::string_view class_name(std::size_t instruction_class);

}  // namespace qemon::plugin
