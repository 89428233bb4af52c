#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/fields.hpp"
#include "cli/lease_text.hpp"
#include "cli/table.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

constexpr auto right = Table::Align::right;

std::string path_of(const Invocation& invocation) {
  return "/v1/vms/" + percent_encode(invocation.vm) + "/plugin";
}

/// The sum of a vCPU's accesses for which `which` is true.
template <typename Which>
std::uint64_t accesses(const Json& vcpu, Which which) {
  std::uint64_t sum = 0;
  for (const Json& access : array_at(vcpu, "accesses"))
    if (which(access)) sum += count_at(access, "count");
  return sum;
}

void print_vcpus(const Json& answer, std::ostream& out) {
  Table table({{"VCPU", right},
               {"INSTRUCTIONS", right},
               {"BLOCKS", right},
               {"LOADS", right},
               {"STORES", right},
               {"OF DEVICES", right},
               {"IDLES", right}});
  for (const Json& vcpu : array_at(answer, "vcpus")) {
    table.add(
        {std::to_string(count_at(vcpu, "vcpu")), std::to_string(count_at(vcpu, "instructions")),
         std::to_string(count_at(vcpu, "blocks")),
         std::to_string(accesses(
             vcpu, [](const Json& access) { return text_at(access, "operation") == "load"; })),
         std::to_string(accesses(
             vcpu, [](const Json& access) { return text_at(access, "operation") == "store"; })),
         std::to_string(accesses(
             vcpu, [](const Json& access) { return text_at(access, "target") == "device"; })),
         std::to_string(count_at(vcpu, "idles"))});
  }
  table.print(out);
}

void print_blocks(const Json& answer, std::ostream& out) {
  const std::uint64_t whole = count_at(answer, "executed_instructions");
  Table hottest(
      {{"HOTTEST BLOCK"}, {"INSTRUCTIONS", right}, {"EXECUTIONS", right}, {"SHARE", right}});
  for (const Json& block : array_at(answer, "hottest"))
    hottest.add({hexadecimal(count_at(block, "address")),
                 std::to_string(count_at(block, "instructions")),
                 std::to_string(count_at(block, "executions")),
                 share_text(count_at(block, "executed_instructions"), whole)});
  out << '\n';
  hottest.print(out);
  Table classes({{"CLASS"}, {"INSTRUCTIONS", right}, {"SHARE", right}});
  for (const auto& [name, count] : object_at(answer, "classes").items())
    classes.add({name, std::to_string(count_at(object_at(answer, "classes"), name)),
                 share_text(count_at(object_at(answer, "classes"), name), whole)});
  out << '\n';
  classes.print(out);
}

/// " until 15:04:05, then count", if the level that is wanted is not the one that was found.
std::string end_of_level(const Json& answer, const std::string& wanted) {
  const std::string found = text_at(answer, "found_level");
  if (found == wanted) return {};
  const std::string until = until_text(answer);
  return (until == "forever" ? " " : " until ") + until + ", then " + printable(found);
}

void show_plugin(const Invocation& invocation, CommandContext& context) {
  const Result<Json> answer = context.client().get(path_of(invocation));
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);
  std::ostream& out = context.out();
  out << printable(invocation.vm) << ": level " << printable(text_at(*answer, "level"));
  out << end_of_level(*answer, text_at(*answer, "wanted_level"));
  if (text_at(*answer, "level") != text_at(*answer, "wanted_level"))
    out << " (" << printable(text_at(*answer, "wanted_level")) << " once the guest runs)";
  out << "; " << printable(text_at(*answer, "target")) << ", plugin API "
      << count_at(*answer, "api") << "; " << counted(count_at(*answer, "translations"), "block")
      << " translated, " << counted(count_at(*answer, "flushes"), "flush") << "\n\n";
  print_vcpus(*answer, out);
  if (answer->contains("hottest")) print_blocks(*answer, out);
}

void switch_level(const Invocation& invocation, CommandContext& context) {
  Json body;
  body["level"] = invocation.level;
  add_length(invocation.duration, "seconds", body);
  const Result<Json> answer = context.client().post(path_of(invocation), body);
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);
  context.out() << printable(invocation.vm) << ": plugin level "
                << printable(text_at(*answer, "level"))
                << end_of_level(*answer, text_at(*answer, "level")) << '\n';
}

}  // namespace

void add_plugin_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const plugin =
      app.add_subcommand("plugin", "What the TCG plugin of a VM counts, and how much");
  plugin->require_subcommand(1);

  CLI::App* const show = plugin->add_subcommand(
      "show", "Instructions, memory accesses and the hottest blocks of a VM");
  CLI::App* const level = plugin->add_subcommand(
      "level", "Choose what is counted beside instructions: more costs the guest more");
  for (CLI::App* const command : {show, level})
    command->add_option("VM", invocation.vm, "Name of the VM")
        ->required()
        ->type_name("")
        ->check(not_empty());
  show->callback([&invocation] { invocation.command = show_plugin; });
  level->add_option("LEVEL", invocation.level, "count, memory, blocks or all")
      ->required()
      ->type_name("")
      ->check(CLI::IsMember({"count", "memory", "blocks", "all"}));
  add_for_option(*level, invocation, "Then as it was: 30s, 10m, 2h, 1d or forever");
  level->footer("Example:\n  qemon plugin level web1 blocks --for 1m");
  level->callback([&invocation] { invocation.command = switch_level; });
}

}  // namespace qemon::cli
