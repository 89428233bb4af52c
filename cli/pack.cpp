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

/// "3 of 4": how many of a pack's metrics a VM offers.
std::string offered(const Json& pack, const Json& vm) {
  const std::size_t all = array_at(pack, "metrics").size();
  const std::size_t missing = std::min(all, array_at(vm, "not_offered").size());
  return std::to_string(all - missing) + " of " + std::to_string(all);
}

void list_packs(const Invocation& invocation, CommandContext& context) {
  const std::string query = invocation.vm.empty() ? "" : "?vm=" + percent_encode(invocation.vm);
  const Result<Json> answer = context.client().get("/v1/packs" + query);
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);

  Table table({{"PACK"}, {"VM"}, {"STATE"}, {"EVENTS", right}, {"METRICS", right}, {"HELP"}});
  std::vector<std::string> notes;
  for (const Json& pack : array_at(*answer, "packs")) {
    const std::string name = text_at(pack, "name");
    std::string help = text_at(pack, "help");
    if (array_at(pack, "vms").empty()) {
      table.add({name, "-", flag_at(pack, "only_replay") ? "replay only" : "-",
                 std::to_string(array_at(pack, "events").size()),
                 std::to_string(array_at(pack, "metrics").size()), help});
    }
    for (const Json& vm : array_at(pack, "vms")) {
      const std::string vm_name = text_at(vm, "vm");
      const std::string error = text_at(vm, "error");
      table.add({name, vm_name, flag_at(vm, "on") ? "on" : "off",
                 error.empty() ? std::to_string(array_at(vm, "events").size()) : "?",
                 error.empty() ? offered(pack, vm) : "?", std::exchange(help, "")});
      if (!error.empty()) continue;
      for (const Json& missing : array_at(vm, "not_offered"))
        notes.push_back(vm_name + ": " + text_at(missing, "name") + ": " + text_at(missing, "why"));
      if (const std::string note = text_at(vm, "note"); !note.empty())
        notes.push_back(vm_name + ": " + name + ": " + note);
    }
  }
  table.print(context.out());
  if (!notes.empty()) context.out() << "\nnot offered:\n";
  for (const std::string& note : notes) context.out() << "  " << printable(note) << '\n';
}

void show_pack(const Invocation& invocation, CommandContext& context) {
  const Result<Json> answer =
      context.client().get("/v1/packs/" + percent_encode(invocation.packs.front()));
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);

  std::ostream& out = context.out();
  out << printable(text_at(*answer, "name")) << ": " << printable(text_at(*answer, "help")) << '\n';
  out << "  file    " << printable(text_at(*answer, "file")) << '\n';
  out << "  events ";
  for (const std::string& event : texts_at(*answer, "events")) out << ' ' << printable(event);
  out << '\n';
  if (const std::string sample = sample_text(*answer); !sample.empty())
    out << "  sample  " << sample << '\n';
  out << '\n';
  Table table({{"METRIC"}, {"KIND"}, {"LABELS"}, {"HELP"}});
  for (const Json& metric : array_at(*answer, "metrics")) {
    std::string labels = "vm";
    for (const std::string& label : texts_at(metric, "labels")) labels += "," + label;
    table.add({text_at(metric, "name"), text_at(metric, "kind"), labels, text_at(metric, "help")});
  }
  table.print(out);
}

/// What became of the packs on one VM.
void print_switched(const Json& vm, const std::string& action, CommandContext& context) {
  const std::string name = text_at(vm, "vm");
  if (const std::string error = text_at(vm, "error"); !error.empty())
    return context.fail(name + ": " + error);
  for (const Json& failed : array_at(vm, "failed")) {
    context.fail(name + ": not switched " + action + ": " + text_at(failed, "why") + " (" +
                 text_at(failed, "name") + ")");
  }
  for (const Json& pack : array_at(vm, "packs")) {
    const std::string pack_name = text_at(pack, "name");
    const Json& missing = array_at(pack, "not_offered");
    const auto metrics = count_at(pack, "metrics");
    if (!missing.empty() && missing.size() >= metrics) {
      context.fail(name + ": pack " + pack_name + " has no metric for this QEMU: " +
                   text_at(missing.front(), "name") + ": " + text_at(missing.front(), "why"));
      continue;
    }
    if (context.json()) continue;
    context.out() << printable(name) << ": pack " << printable(pack_name) << ' '
                  << (flag_at(pack, "changed") ? "" : "already ") << action << lease_suffix(pack);
    if (!missing.empty())
      context.out() << ", without " << missing.size() << " of its " << metrics
                    << " metrics (see qemon pack list)";
    context.out() << '\n';
  }
  const std::vector<std::string> changed = texts_at(vm, "changed");
  if (!context.json() && !changed.empty())
    context.out() << printable(name) << ": " << counted(changed.size(), "event") << ' ' << action
                  << " (" << name_list(changed) << ")\n";
}

void switch_packs(const Invocation& invocation, CommandContext& context,
                  const std::string& action) {
  const Json body = switch_request(invocation, action, "packs", invocation.packs);
  const Result<Json> answer = context.client().post("/v1/packs", body);
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) context.print(*answer);
  const Json& vms = array_at(*answer, "vms");
  if (vms.empty()) return context.fail("qemond watches no VM: start it with --vm NAME=ADDRESS");
  for (const Json& vm : vms) print_switched(vm, action, context);
}

void switch_on(const Invocation& invocation, CommandContext& context) {
  switch_packs(invocation, context, "on");
}
void switch_off(const Invocation& invocation, CommandContext& context) {
  switch_packs(invocation, context, "off");
}

CLI::App* add_switch_command(CLI::App& pack, const std::string& action, const std::string& help,
                             Invocation& invocation,
                             void (*command)(const Invocation&, CommandContext&)) {
  CLI::App* const added = pack.add_subcommand(action, help);
  added->add_option("NAME", invocation.packs, "Names of packs")
      ->required()
      ->type_name("")
      ->check(not_empty());
  added->add_option("--vm", invocation.vm, "Only on this VM (otherwise on all)")
      ->type_name("NAME")
      ->check(not_empty());
  added->footer("Example:\n  qemon pack " + action + " virtio-blk irq --vm web1");
  added->callback([&invocation, command] { invocation.command = command; });
  return added;
}

}  // namespace

void add_pack_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const pack =
      app.add_subcommand("pack", "Metrics made of events: list packs, switch them on and off");
  pack->require_subcommand(0, 1);

  CLI::App* const list =
      pack->add_subcommand("list", "List packs, where they are on, and what a VM cannot offer");
  list->add_option("--vm", invocation.vm, "Only this VM")->type_name("NAME")->check(not_empty());
  list->callback([&invocation] { invocation.command = list_packs; });

  CLI::App* const show = pack->add_subcommand("show", "Show a pack's events and metrics");
  show->add_option("NAME", invocation.packs, "Name of the pack")
      ->required()
      ->expected(1)
      ->type_name("")
      ->check(not_empty());
  show->callback([&invocation] { invocation.command = show_pack; });

  CLI::App* const on = add_switch_command(
      *pack, "on", "Switch a pack's events on and make its metrics", invocation, switch_on);
  add_for_option(*on, invocation,
                 "For how long: 30s, 10m, 2h, 1d or forever; otherwise as long as qemond is told "
                 "by --lease, one hour if it is not");
  add_sample_option(*on, invocation,
                    "Its events on for a part of the time only, for instance 20ms/1s, or off for "
                    "all the time; otherwise as the pack says",
                    true);
  add_switch_command(*pack, "off",
                     "Switch a pack's events off again, but for those that somebody else wants",
                     invocation, switch_off);

  CLI::App* const check = pack->add_subcommand(
      "check", "Check the file of a pack against a QEMU's trace events; needs no daemon");
  check->add_option("FILE", invocation.files, "Files of packs")
      ->required()
      ->type_name("")
      ->check(not_empty());
  check
      ->add_option("--trace-events", invocation.catalogs,
                   "trace-events-all of a QEMU that the pack is for; may be repeated (default: the "
                   "installed one)")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->check(not_empty());
  check->footer("Example:\n  qemon pack check my-packs/disk.yaml");
  check->callback([&invocation] { invocation.command = check_packs; });
}

}  // namespace qemon::cli
