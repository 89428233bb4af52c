#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>

#include "cli/commands.hpp"
#include "cli/fields.hpp"
#include "cli/lease_text.hpp"
#include "cli/table.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

constexpr auto right = Table::Align::right;

/// A sampled event goes on and off too often to be called by what it is now.
std::string state_of(const Json& event) {
  return sample_text(event).empty() ? text_at(event, "state") : "sampled";
}

std::string note_of(const Json& event) {
  std::string note;
  if (flag_at(event, "found_on")) note = "was on before qemond attached";
  if (flag_at(event, "switched_off_by_others"))
    note += std::string(note.empty() ? "" : ", ") + "switched off by others";
  if (const std::string tripped = text_at(event, "tripped"); !tripped.empty())
    note += std::string(note.empty() ? "" : ", ") + "off until asked for again: " + tripped;
  if (const std::string sample = sample_text(event); !sample.empty())
    note += std::string(note.empty() ? "" : ", ") + "sampled " + sample;
  return note;
}

void list_events(const Invocation& invocation, CommandContext& context) {
  std::string query;
  const auto add = [&](const char* name, const std::string& value) {
    query += std::string(query.empty() ? "?" : "&") + name + "=" + percent_encode(value);
  };
  const std::string pattern = invocation.patterns.empty() ? "" : invocation.patterns.front();
  if (!pattern.empty()) add("pattern", pattern);
  if (!invocation.vm.empty()) add("vm", invocation.vm);
  if (invocation.enabled_only) add("enabled", "1");

  const Result<Json> answer = context.client().get("/v1/events" + query);
  if (!answer) return context.fail(answer.error().detail);
  Table table({{"VM"}, {"EVENT"}, {"STATE"}, {"HELD"}, {"RECORDS", right}, {"NOTE"}});
  bool any = false;
  bool failed = false;
  for (const Json& vm : array_at(*answer, "vms")) {
    const std::string name = text_at(vm, "vm");
    for (const Json& event : array_at(vm, "events")) {
      table.add({name, text_at(event, "name"), state_of(event),
                 flag_at(event, "held") ? "yes" : "no", std::to_string(count_at(event, "records")),
                 note_of(event)});
      any = true;
    }
    if (const std::string error = text_at(vm, "error"); !error.empty()) {
      context.fail(name + ": " + error);
      failed = true;
    }
  }
  if (context.json()) {
    context.print(*answer);
  } else if (any || !failed) {
    table.print(context.out());
  }
  if (!any && !failed && !pattern.empty() && !invocation.enabled_only)
    context.fail("no event matches '" + pattern + "': see 'qemon event list'");
}

/// Lists of {"name", "why"}, by reason.
std::map<std::string, std::vector<std::string>> by_reason(const Json& list) {
  std::map<std::string, std::vector<std::string>> reasons;
  for (const Json& entry : list) reasons[text_at(entry, "why")].push_back(text_at(entry, "name"));
  return reasons;
}

/// What was done on one VM, on standard output.
void print_done(std::ostream& out, const Json& vm, const std::string& action) {
  const std::string name = printable(text_at(vm, "vm"));
  const std::vector<std::string> changed = texts_at(vm, "changed");
  const std::string lease = lease_suffix(vm);
  if (!changed.empty())
    out << name << ": " << counted(changed.size(), "event") << " " << action << lease
        << (lease.empty() ? " (" : ": ") << name_list(changed) << (lease.empty() ? ")\n" : "\n");
  if (const std::size_t already = array_at(vm, "already").size(); already != 0)
    out << name << ": " << already << " already " << action << (changed.empty() ? lease : "")
        << '\n';
  for (const auto& [why, names] : by_reason(array_at(vm, "kept")))
    out << name << ": " << names.size() << " kept, "
        << (why.empty() ? "left as found" : printable(why)) << " (" << name_list(names) << ")\n";
}

/// What was not done on one VM, on standard error. `known_elsewhere`: patterns that matched on
/// another VM.
void report_not_done(CommandContext& context, const Json& vm, const std::string& action,
                     const std::set<std::string>& known_elsewhere) {
  const std::string name = text_at(vm, "vm");
  const std::vector<std::string> unavailable = texts_at(vm, "unavailable");
  if (!unavailable.empty()) {
    const std::string line =
        name + ": unavailable (compiled out of this QEMU): " + name_list(unavailable);
    // A pattern may well match such events besides others; only if there was nothing else did the
    // command fail.
    const bool useful = !array_at(vm, "changed").empty() || !array_at(vm, "already").empty() ||
                        !array_at(vm, "kept").empty();
    useful ? context.note(line) : context.fail(line);
  }
  for (const std::string& pattern : texts_at(vm, "unknown")) {
    const std::string line = name + ": no event matches '" + pattern + "'";
    known_elsewhere.contains(pattern) ? context.note(line)
                                      : context.fail(line + ": see 'qemon event list'");
  }
  for (const auto& [why, names] : by_reason(array_at(vm, "failed")))
    context.fail(name + ": not switched " + action + ": " + (why.empty() ? "unknown reason" : why) +
                 " (" + name_list(names) + ")");
  if (const std::string error = text_at(vm, "error"); !error.empty())
    context.fail(name + ": " + error);
}

/// Patterns that at least one VM had events for. QEMUs of different versions and machines differ in
/// their events, so a pattern that some VM does not know is worth a note, and only one that none
/// knows is a mistake.
std::set<std::string> known_patterns(const Invocation& invocation, const Json& vms) {
  std::set<std::string> known;
  for (const Json& vm : vms) {
    if (!text_at(vm, "error").empty()) continue;
    const std::vector<std::string> unknown = texts_at(vm, "unknown");
    for (const std::string& pattern : invocation.patterns)
      if (std::ranges::find(unknown, pattern) == unknown.end()) known.insert(pattern);
  }
  return known;
}

void switch_events(const Invocation& invocation, CommandContext& context,
                   const std::string& action) {
  const Json body = switch_request(invocation, action, "patterns", invocation.patterns);
  const Result<Json> answer = context.client().post("/v1/events", body);
  if (!answer) return context.fail(answer.error().detail);

  const Json& vms = array_at(*answer, "vms");
  if (context.json()) context.print(*answer);
  if (vms.empty()) return context.fail("qemond watches no VM: start it with --vm NAME=ADDRESS");
  const std::set<std::string> known = known_patterns(invocation, vms);
  for (const Json& vm : vms) {
    if (!context.json()) print_done(context.out(), vm, action);
    report_not_done(context, vm, action, known);
  }
}

void switch_on(const Invocation& invocation, CommandContext& context) {
  switch_events(invocation, context, "on");
}
void switch_off(const Invocation& invocation, CommandContext& context) {
  switch_events(invocation, context, "off");
}

void add_vm_option(CLI::App& command, Invocation& invocation, const std::string& help) {
  command.add_option("--vm", invocation.vm, help)->type_name("NAME")->check(not_empty());
}

}  // namespace

void add_event_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const event = app.add_subcommand("event", "List trace events, switch them on and off");
  event->require_subcommand(0, 1);

  CLI::App* const list =
      event->add_subcommand("list", "List events, their state and how often they occurred");
  list->add_option("GLOB", invocation.patterns,
                   "Only events that match, for instance 'virtio_blk_*'")
      ->expected(0, 1)
      ->type_name("")
      ->check(not_empty());
  add_vm_option(*list, invocation, "Only this VM");
  list->add_flag("--enabled", invocation.enabled_only, "Only events that are on");
  list->footer("Example:\n  qemon event list 'virtio_blk_*' --enabled");
  list->callback([&invocation] { invocation.command = list_events; });

  CLI::App* const on = event->add_subcommand("on", "Switch events on while the guest runs");
  on->add_option("GLOB", invocation.patterns,
                 "Names, or patterns with * and ? as in QEMU; quote them")
      ->required()
      ->type_name("")
      ->check(not_empty());
  add_vm_option(*on, invocation, "Only on this VM (otherwise on all)");
  add_for_option(*on, invocation,
                 "For how long: 30s, 10m, 2h, 1d or forever; otherwise as long as qemond is told "
                 "by --lease, one hour if it is not");
  add_sample_option(*on, invocation,
                    "On for a part of the time only, for instance 20ms/1s: for what occurs so "
                    "often that all of it would slow the guest down",
                    false);
  on->footer("Example:\n  qemon event on 'virtio_blk_*' apic_deliver_irq --vm web1 --for 10m");
  on->callback([&invocation] { invocation.command = switch_on; });

  CLI::App* const off =
      event->add_subcommand("off", "Switch events off again that were switched on with qemon");
  off->add_option("GLOB", invocation.patterns,
                  "Names, or patterns with * and ? as in QEMU; quote them")
      ->required()
      ->type_name("")
      ->check(not_empty());
  add_vm_option(*off, invocation, "Only on this VM (otherwise on all)");
  add_event_cost_command(*event, invocation);
  off->footer("Example:\n  qemon event off '*'");
  off->callback([&invocation] { invocation.command = switch_off; });
}

}  // namespace qemon::cli
