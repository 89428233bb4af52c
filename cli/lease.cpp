#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
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

std::string who(const Json& lease) {
  std::string text = text_at(lease, "user");
  if (const auto uid = number_at(lease, "uid");
      uid && text != std::to_string(count_at(lease, "uid")))
    text += " (" + std::to_string(count_at(lease, "uid")) + ")";
  return text;
}

void list_leases(const Invocation& invocation, CommandContext& context) {
  const std::string query = invocation.vm.empty() ? "" : "?vm=" + percent_encode(invocation.vm);
  const Result<Json> answer = context.client().get("/v1/leases" + query);
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);

  Table table({{"ID", right}, {"VM"}, {"WHAT"}, {"EVENTS", right}, {"WHO"}, {"SINCE"}, {"UNTIL"}});
  for (const Json& lease : array_at(*answer, "leases")) {
    const auto since = number_at(lease, "since");
    const auto remaining = number_at(lease, "remaining_seconds");
    std::string until = until_text(lease);
    if (remaining) until += " (" + human_seconds(*remaining) + ")";
    std::string what = text_at(lease, "what");
    if (const std::string sample = sample_text(lease); !sample.empty())
      what += ", sampled " + sample;
    table.add({std::to_string(count_at(lease, "id")), text_at(lease, "vm"), what,
               std::to_string(array_at(lease, "events").size()), who(lease),
               since ? clock_text(*since) : "-", until});
  }
  table.print(context.out());
}

/// The path that a lease is changed by.
std::string target_of(const Invocation& invocation) {
  return "/v1/leases/" + percent_encode(invocation.lease);
}

void extend_lease(const Invocation& invocation, CommandContext& context) {
  Json body;
  body["action"] = "extend";
  add_length(invocation.duration, "seconds", body);
  const Result<Json> answer = context.client().post(target_of(invocation), body);
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);
  context.out() << printable(text_at(*answer, "vm")) << ": lease " << count_at(*answer, "id")
                << " (" << printable(text_at(*answer, "what")) << ") runs "
                << (until_text(*answer) == "forever" ? "" : "until ") << until_text(*answer)
                << '\n';
}

void end_lease(const Invocation& invocation, CommandContext& context) {
  Json body;
  body["action"] = "end";
  const Result<Json> answer = context.client().post(target_of(invocation), body);
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) context.print(*answer);
  const std::string vm = text_at(*answer, "vm");
  if (!context.json())
    context.out() << printable(vm) << ": lease " << printable(invocation.lease) << " ended"
                  << went_off(*answer) << '\n';
  if (const std::string error = text_at(*answer, "error"); !error.empty())
    context.fail(vm + ": " + error);
}

}  // namespace

void add_lease_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const lease = app.add_subcommand(
      "lease", "What is switched on, for whom and until when; extend it or end it");
  lease->require_subcommand(0, 1);

  CLI::App* const list = lease->add_subcommand("list", "List leases");
  list->add_option("--vm", invocation.vm, "Only this VM")->type_name("NAME")->check(not_empty());
  list->callback([&invocation] { invocation.command = list_leases; });

  CLI::App* const extend = lease->add_subcommand("extend", "Give a lease another end");
  CLI::App* const end =
      lease->add_subcommand("end", "End a lease; what nobody else wants goes off");
  for (CLI::App* const command : {extend, end}) {
    command->add_option("ID", invocation.lease, "Its number in 'qemon lease list'")
        ->required()
        ->type_name("")
        ->check(not_empty());
  }
  add_for_option(*extend, invocation, "From now: 30s, 10m, 2h, 1d or forever");
  extend->footer("Example:\n  qemon lease extend 7 --for 2h");
  extend->callback([&invocation] { invocation.command = extend_lease; });
  end->footer("Example:\n  qemon lease end 7");
  end->callback([&invocation] { invocation.command = end_lease; });
}

}  // namespace qemon::cli
