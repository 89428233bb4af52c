// PackLibrary: the packs that there are, from the folder that ships and from the user's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/result.hpp"
#include "exporters/pack.hpp"

namespace qemon::exporters {

/// Packs are shared by the library and the engines that use them: loading anew replaces those whose
/// files changed, and engines go on with the old ones until they are told.
class PackLibrary {
 public:
  /// Loads every *.yaml and *.yml of the folders; a later folder's pack replaces one of the same
  /// name. A pack whose text is unchanged stays the same object. All mistakes are returned, a line
  /// each, and then nothing has changed. `shipped` may be missing, `folders` must be there.
  [[nodiscard]] std::vector<std::string> load(const std::string& shipped,
                                              const std::vector<std::string>& folders);
  /// The pack's name, for one more file; mistakes as above. Replaces a pack of that name.
  [[nodiscard]] Result<std::string> add_file(const std::string& path);

  using Packs = std::map<std::string, std::shared_ptr<const Pack>, std::less<>>;
  [[nodiscard]] const Packs& packs() const { return packs_; }
  [[nodiscard]] std::shared_ptr<const Pack> find(std::string_view name) const;
  /// "there is no pack x: did you mean y?" and what there is.
  [[nodiscard]] std::string no_such_pack(std::string_view name) const;

 private:
  Packs packs_;
};

/// The *.yaml and *.yml files of a folder, in the order of their names.
[[nodiscard]] std::vector<std::string> pack_files(const std::string& folder,
                                                  std::error_code& error);

/// Where the packs are that came with this program: ../share/qemon/packs, as seen from its folder.
[[nodiscard]] std::string shipped_pack_folder();

/// Reads and parses a pack's file (a regular file of at most 1 MiB). Mistakes are told.
[[nodiscard]] std::shared_ptr<const Pack> load_pack(const std::string& path, Mistakes& mistakes);

}  // namespace qemon::exporters
