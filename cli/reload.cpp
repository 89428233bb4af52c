#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/fields.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

void reload(const Invocation&, CommandContext& context) {
  const Result<Json> answer = context.client().post("/v1/reload", Json::object());
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) context.print(*answer);
  const std::vector<std::string> mistakes = texts_at(*answer, "mistakes");
  for (const std::string& mistake : mistakes) context.fail(mistake);
  if (!mistakes.empty()) return context.fail("nothing was reloaded: everything stays as it was");
  for (const Json& warning : array_at(*answer, "warnings"))
    context.fail(text_at(warning, "vm") + ": a metric is left out: " + text_at(warning, "why"));
  if (!context.json())
    context.out() << "reloaded: " << counted(count_at(*answer, "packs"), "pack") << '\n';
}

}  // namespace

void add_reload_command(CLI::App& app, Invocation& invocation) {
  CLI::App* const command = app.add_subcommand("reload",
                                               "Let qemond read its configuration and packs again; "
                                               "counters go on, and so does what did not change");
  command->callback([&invocation] { invocation.command = reload; });
}

}  // namespace qemon::cli
