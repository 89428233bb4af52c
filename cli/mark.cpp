#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/fields.hpp"
#include "cli/lease_text.hpp"
#include "cli/table.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

constexpr auto right = Table::Align::right;

std::string time_text(const Json& mark) {
  const auto time = number_at(mark, "time");
  return time ? clock_text(*time) : "-";
}

void list_marks(const Invocation& invocation, CommandContext& context) {
  const std::string query = invocation.vm.empty() ? "" : "?vm=" + percent_encode(invocation.vm);
  const Result<Json> answer = context.client().get("/v1/marks" + query);
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);

  Table table({{"ID", right}, {"TIME"}, {"VM"}, {"WHO"}, {"TAGS"}, {"TEXT"}});
  for (const Json& mark : array_at(*answer, "marks")) {
    const std::string vm = text_at(mark, "vm");
    const auto tags = texts_at(mark, "tags");
    table.add({std::to_string(count_at(mark, "id")), time_text(mark), vm.empty() ? "-" : vm,
               text_at(mark, "user"), tags.empty() ? "-" : name_list(tags), text_at(mark, "text")});
  }
  table.print(context.out());
}

void mark(const Invocation& invocation, CommandContext& context) {
  if (invocation.list) {
    if (!invocation.text.empty() || !invocation.tags.empty())
      return context.refuse("--list takes no TEXT and no --tag: see 'qemon mark --help'");
    return list_marks(invocation, context);
  }
  if (invocation.text.empty())
    return context.refuse("what is to be marked? write qemon mark TEXT, or qemon mark --list");
  Json body;
  body["text"] = invocation.text;
  if (!invocation.vm.empty()) body["vm"] = invocation.vm;
  if (!invocation.tags.empty()) body["tags"] = invocation.tags;
  const Result<Json> answer = context.client().post("/v1/marks", body);
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);
  const std::string vm = text_at(*answer, "vm");
  context.out() << (vm.empty() ? "" : printable(vm) + ": ") << "mark " << count_at(*answer, "id")
                << " made at " << time_text(*answer) << '\n';
}

}  // namespace

void add_mark_command(CLI::App& app, Invocation& invocation) {
  CLI::App* const command =
      app.add_subcommand("mark",
                         "Note this moment, for graphs: in /metrics, and in Grafana if "
                         "qemond writes annotations");
  command->add_option("TEXT", invocation.text, "What happens now, on one line")->type_name("");
  command->add_option("--vm", invocation.vm, "What it is about; without it no VM in particular")
      ->type_name("NAME")
      ->check(not_empty());
  command->add_option("--tag", invocation.tags, "To find it by in Grafana; may be repeated")
      ->type_name("TAG")
      ->allow_extra_args(false)
      ->check(not_empty());
  command->add_flag("--list", invocation.list, "List the last thousand marks");
  command->footer("Example:\n  qemon mark \"cache dropped\" --vm web1 --tag experiment-7");
  command->callback([&invocation] { invocation.command = mark; });
}

}  // namespace qemon::cli
