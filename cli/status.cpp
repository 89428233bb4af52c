#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/fields.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

/// Adds `part` to a list with commas, unless it is empty.
void append(std::string& list, const std::string& part) {
  if (part.empty()) return;
  if (!list.empty()) list += ", ";
  list += part;
}

std::string whole(double number) {
  return std::to_string(std::llround(number));
}

/// "100%", "99.2%"; never 100% when it is less.
std::string percent(double ratio) {
  const double tenths = std::floor(ratio * 1000);
  std::string text = whole(std::floor(tenths / 10));
  const auto tenth = std::llround(tenths) % 10;
  return text + (tenth == 0 ? "" : "." + std::to_string(tenth)) + "%";
}

/// "  trace     log (how it was found out), file by descriptor"
void print_line(std::ostream& out, std::string_view title, const std::string& text) {
  if (text.empty()) return;
  std::string head = "  " + std::string(title);
  head.resize(12, ' ');
  out << head << printable(text) << '\n';
}

std::string headline(const Json& vm) {
  const std::string state = text_at(vm, "state");
  const std::string reason = text_at(vm, "reason");
  std::string line = state.empty() ? "unknown" : state;
  if (!reason.empty()) line += ": " + reason;
  if (const auto released = number_at(vm, "released_for_seconds"))
    line += " for " + human_seconds(*released) + " more";
  append(line, text_at(vm, "run_state"));
  const std::string version = text_at(vm, "qemu_version");
  const std::string package = text_at(vm, "package");
  if (!version.empty())
    append(line, "QEMU " + version + (package.empty() ? "" : " (" + package + ")"));
  append(line, text_at(vm, "arch"));
  append(line, text_at(vm, "accelerator"));
  if (count_at(vm, "pid") != 0) append(line, "pid " + std::to_string(count_at(vm, "pid")));
  return line;
}

std::string trace_text(const Json& trace) {
  const std::string backend = text_at(trace, "backend");
  const std::string how = text_at(trace, "how");
  // Nothing has been asked yet, or there is nothing to ask.
  if (how.empty() && (backend.empty() || backend == "unknown" || backend == "none")) return {};
  std::string text = backend + (how.empty() ? "" : " (" + how + ")");
  const std::string destination = text_at(trace, "destination");
  if (destination != "none") append(text, destination);
  const std::string path = text_at(trace, "path");
  if (!path.empty()) text += ": " + path;
  return text;
}

/// The log drops nothing while it can be written, and does not tell what could not be.
std::string drops_text(const Json& trace) {
  const std::string backend = text_at(trace, "backend");
  if (backend == "log" || backend == "exec-log") return "drops are not counted by the log backend";
  return std::to_string(count_at(trace, "dropped")) + " dropped";
}

std::string records_text(const Json& trace) {
  std::string text = std::to_string(count_at(trace, "records")) + " from " +
                     human_bytes(count_at(trace, "bytes_read")) + ", " + drops_text(trace) +
                     ", lag " + human_bytes(count_at(trace, "lag_bytes"));
  if (const auto seconds = number_at(trace, "lag_seconds")) append(text, human_seconds(*seconds));
  if (const auto complete = number_at(trace, "complete_ratio"))
    append(text, "complete in " + percent(*complete) + " of the last minute");
  return text;
}

/// "50000 records/s, 64.0 MiB/s, ... for 5.0 s"
std::string budget_text(const Json& budget) {
  std::string text;
  if (const auto records = number_at(budget, "records"))
    append(text, whole(*records) + " records/s");
  if (const auto bytes = number_at(budget, "bytes"))
    append(text, human_bytes(static_cast<std::uint64_t>(*bytes)) + "/s");
  if (const auto drops = number_at(budget, "drops")) append(text, whole(*drops) + " drops/s");
  if (const auto lag = number_at(budget, "lag_seconds"))
    append(text, human_seconds(*lag) + " of lag");
  if (text.empty()) return budget.empty() ? "" : "unlimited";
  if (const auto grace = number_at(budget, "grace_seconds"))
    text += "; more for " + human_seconds(*grace) + " switches events off";
  const auto rate = number_at(object_at(budget, "rates"), "records");
  if (rate) text += "; now " + whole(*rate) + " records/s";
  return text;
}

void print_vm(std::ostream& out, const Json& vm) {
  const Json& trace = object_at(vm, "trace");
  const Json& events = object_at(vm, "events");
  out << printable(text_at(vm, "name")) << ": " << printable(headline(vm)) << '\n';
  std::string guest = text_at(vm, "guest_name");
  append(guest, text_at(vm, "uuid"));
  print_line(out, "guest", guest);
  print_line(out, "address", text_at(vm, "address"));
  const std::string traced = trace_text(trace);
  print_line(out, "trace", traced);
  print_line(out, "plugin", text_at(vm, "plugin"));
  print_line(out, "catalog", text_at(trace, "catalog"));
  const auto leases = count_at(vm, "leases");
  if (count_at(events, "known") != 0)
    print_line(out, "events",
               std::to_string(count_at(events, "on")) + " on, " +
                   (leases == 0 ? std::string()
                                : std::to_string(count_at(events, "held")) + " held by " +
                                      counted(leases, "lease") + ", ") +
                   std::to_string(count_at(events, "known")) + " known");
  std::string packs;
  for (const std::string& pack : texts_at(vm, "packs")) append(packs, pack);
  print_line(out, "packs", packs);
  if (!traced.empty() || count_at(trace, "bytes_read") != 0)
    print_line(out, "records", records_text(trace));
  print_line(out, "budget", budget_text(object_at(vm, "budget")));
  for (const std::string& problem : texts_at(vm, "degraded")) print_line(out, "degraded", problem);
  for (const std::string& line : texts_at(vm, "unknown")) print_line(out, "unknown", line);
}

void show_status(const Invocation&, CommandContext& context) {
  const Result<Json> answer = context.client().get("/v1/status");
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);

  std::ostream& out = context.out();
  out << "qemond " << printable(text_at(*answer, "version"));
  if (count_at(*answer, "pid") != 0) out << ", pid " << count_at(*answer, "pid");
  if (const auto uptime = number_at(*answer, "uptime_seconds"))
    out << ", up " << human_seconds(*uptime);
  out << '\n';
  const std::string listen = text_at(*answer, "listen");
  if (!listen.empty()) print_line(out, "metrics", "http://" + listen + "/metrics");
  print_line(out, "control", text_at(*answer, "control_socket"));
  const Json& vms = array_at(*answer, "vms");
  if (vms.empty()) out << "\nno VMs: start qemond with --vm NAME=ADDRESS\n";
  for (const Json& vm : vms) {
    out << '\n';
    print_vm(out, vm);
  }
}

}  // namespace

void add_status_command(CLI::App& app, Invocation& invocation) {
  CLI::App* const command =
      app.add_subcommand("status", "Show the daemon and every VM that it watches");
  command->callback([&invocation] { invocation.command = show_status; });
}

}  // namespace qemon::cli
