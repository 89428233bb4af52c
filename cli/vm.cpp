#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/fields.hpp"
#include "cli/table.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

constexpr auto right = Table::Align::right;

std::string or_dash(std::string text) {
  return text.empty() ? "-" : text;
}

std::vector<std::string> row_of(const Json& vm) {
  const Json& trace = object_at(vm, "trace");
  const auto lag_seconds = number_at(trace, "lag_seconds");
  return {text_at(vm, "name"),
          or_dash(text_at(vm, "state")),
          or_dash(text_at(vm, "qemu_version")),
          or_dash(text_at(trace, "backend")),
          std::to_string(count_at(object_at(vm, "events"), "on")),
          std::to_string(count_at(trace, "records")),
          human_bytes(count_at(trace, "bytes_read")),
          human_bytes(count_at(trace, "lag_bytes")),
          lag_seconds ? human_seconds(*lag_seconds) : "-",
          std::to_string(count_at(trace, "dropped")),
          or_dash(text_at(vm, "address"))};
}

/// What does not fit into a row: one line each.
std::vector<std::string> notes_of(const Json& vm) {
  std::vector<std::string> notes;
  const std::string name = text_at(vm, "name");
  const std::string reason = text_at(vm, "reason");
  if (!reason.empty()) notes.push_back(name + ": " + text_at(vm, "state") + ": " + reason);
  if (const auto released = number_at(vm, "released_for_seconds"))
    notes.push_back(name + ": released for " + human_seconds(*released) + " more");
  const Json& trace = object_at(vm, "trace");
  const std::string how = text_at(trace, "how");
  if (!how.empty())
    notes.push_back(name + ": trace backend " + text_at(trace, "backend") + ": " + how);
  for (const std::string& problem : texts_at(vm, "degraded"))
    notes.push_back(name + ": degraded: " + problem);
  return notes;
}

void list_vms(const Invocation&, CommandContext& context) {
  const Result<Json> answer = context.client().get("/v1/vms");
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);

  Table table({{"NAME"},
               {"STATE"},
               {"QEMU"},
               {"TRACE"},
               {"EVENTS ON", right},
               {"RECORDS", right},
               {"READ", right},
               {"LAG", right},
               {"LAG TIME", right},
               {"DROPPED", right},
               {"ADDRESS"}});
  std::vector<std::string> notes;
  for (const Json& vm : array_at(*answer, "vms")) {
    table.add(row_of(vm));
    for (std::string& note : notes_of(vm)) notes.push_back(std::move(note));
  }
  table.print(context.out());
  if (!notes.empty()) context.out() << '\n';
  for (const std::string& note : notes) context.out() << printable(note) << '\n';
}

void release_vm(const Invocation& invocation, CommandContext& context) {
  const Result<double> seconds = parse_seconds(invocation.duration);
  if (!seconds)
    return context.fail(seconds.error().detail);  // Checked by the parser, so this does not happen.
  Json body;
  if (std::floor(*seconds) == *seconds && *seconds < 1e15) {
    body["seconds"] = static_cast<std::uint64_t>(*seconds);
  } else {
    body["seconds"] = *seconds;
  }
  const Result<Json> answer =
      context.client().post("/v1/vms/" + percent_encode(invocation.vm) + "/release", body);
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);
  context.out() << printable(text_at(*answer, "vm")) << ": monitor released for "
                << human_seconds(number_at(*answer, "released_for_seconds").value_or(*seconds))
                << "; qemond takes it back then\n";
}

/// For the parser: empty if it is a duration.
std::string check_duration(const std::string& text) {
  const Result<double> seconds = parse_seconds(text);
  return seconds ? std::string() : seconds.error().detail;
}

void attach_vm(const Invocation& invocation, CommandContext& context) {
  Json body;
  body["address"] = invocation.address;
  const Result<Json> answer =
      context.client().post("/v1/vms/" + percent_encode(invocation.vm) + "/attach", body);
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);
  context.out() << printable(invocation.vm) << ": watched, see qemon status\n";
}

void detach_vm(const Invocation& invocation, CommandContext& context) {
  const Result<Json> answer =
      context.client().post("/v1/vms/" + percent_encode(invocation.vm) + "/detach", Json::object());
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);
  context.out() << printable(invocation.vm) << ": no longer watched\n";
}

}  // namespace

void add_vm_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const vm = app.add_subcommand("vm", "List VMs, lend their monitors");
  vm->require_subcommand(0, 1);

  CLI::App* const list = vm->add_subcommand("list", "List the VMs that qemond watches");
  list->callback([&invocation] { invocation.command = list_vms; });

  CLI::App* const attach =
      vm->add_subcommand("attach", "Watch one more VM, until it is detached or qemond ends");
  attach->add_option("NAME", invocation.vm, "What it is to be called")
      ->required()
      ->type_name("")
      ->check(not_empty());
  attach
      ->add_option(
          "ADDRESS", invocation.address,
          "unix:PATH or tcp:HOST:PORT of its QMP monitor; hmp: in front for a human monitor")
      ->required()
      ->type_name("")
      ->check(not_empty());
  attach->footer("Example:\n  qemon vm attach web3 unix:/run/vms/web3.qmp");
  attach->callback([&invocation] { invocation.command = attach_vm; });

  CLI::App* const detach =
      vm->add_subcommand("detach", "Put a VM's tracing back as it was found and leave it");
  detach->add_option("NAME", invocation.vm, "Name of the VM")
      ->required()
      ->type_name("")
      ->check(not_empty());
  detach->callback([&invocation] { invocation.command = detach_vm; });

  CLI::App* const release = vm->add_subcommand(
      "release", "Lend a VM's monitor to another program, since it serves one at a time");
  release->add_option("NAME", invocation.vm, "Name of the VM")
      ->required()
      ->type_name("")
      ->check(not_empty());
  release->add_option("--for", invocation.duration, "For how long: 500ms, 60s, 10m, 2h")
      ->required()
      ->type_name("DURATION")
      ->check(CLI::Validator(check_duration, ""));
  release->footer("Example:\n  qemon vm release web1 --for 60s");
  release->callback([&invocation] { invocation.command = release_vm; });
}

}  // namespace qemon::cli
