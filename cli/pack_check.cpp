#include "exporters/pack_check.hpp"

#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/text.hpp"
#include "exporters/pack_library.hpp"

namespace qemon::cli {

void check_packs(const Invocation& invocation, CommandContext& context) {
  const auto catalogs = exporters::load_catalogs(invocation.catalogs);
  if (!catalogs) return context.fail(catalogs.error().detail);
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const std::string& file : invocation.files) {
    const auto check = exporters::check_pack_file(file, *catalogs);
    files.push_back({{"file", file}, {"mistakes", check.mistakes.lines()}, {"notes", check.notes}});
    for (const std::string& mistake : check.mistakes.lines()) context.fail_in_file(mistake);
    if (!check.mistakes.empty() || context.json()) continue;
    for (const std::string& note : check.notes) context.out() << printable(note) << '\n';
    context.out() << printable(file) << ": is right\n";
  }
  if (context.json()) context.print({{"files", std::move(files)}});
}

}  // namespace qemon::cli
