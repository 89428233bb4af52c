// qemon experiment list and show.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/experiment_rows.hpp"
#include "cli/experiment_tables.hpp"
#include "cli/fields.hpp"
#include "cli/lease_text.hpp"
#include "cli/table.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

constexpr auto right = Table::Align::right;

std::string words(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& word : list) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string started_text(const Json& experiment) {
  const auto started = number_at(experiment, "started");
  return started ? clock_text(*started) : "-";
}

void list_experiments(const Invocation&, CommandContext& context) {
  const Result<Json> answer = context.client().get("/v1/experiments");
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);

  Table table({{"NAME"},
               {"STATE"},
               {"STARTED"},
               {"LENGTH", right},
               {"COMPLETE"},
               {"VMS"},
               {"PACKS"},
               {"LABELS"},
               {"BY"}});
  for (const Json& each : array_at(*answer, "experiments")) {
    table.add({text_at(each, "name"), text_at(each, "state"), started_text(each),
               human_seconds(number_at(each, "length_seconds").value_or(0)),
               flag_at(each, "complete") ? "yes" : "no", words(texts_at(each, "vms")),
               words(texts_at(each, "packs")), labels_text(each), text_at(each, "by")});
  }
  table.print(context.out());
}

void print_vm(const Json& vm, std::ostream& out) {
  out << '\n'
      << printable(text_at(vm, "vm")) << ": QEMU " << printable(text_at(vm, "qemu_version")) << ", "
      << printable(text_at(vm, "arch")) << ", " << printable(text_at(vm, "accelerator"));
  if (const auto executed = number_at(vm, "guest_instructions"))
    out << ", " << whole_or_short(*executed) << " guest instructions";
  out << '\n';
  const Json& completeness = object_at(vm, "completeness");
  if (const auto share = number_at(completeness, "ratio"))
    out << "  trace complete " << whole_or_short(*share * 100) << "% of the time, "
        << count_at(completeness, "dropped_events") << " events dropped by QEMU\n";
  for (const std::string& note : texts_at(vm, "notes")) out << "  ! " << printable(note) << '\n';
}

void show_experiment(const Invocation& invocation, CommandContext& context) {
  const Result<Json> answer =
      context.client().get("/v1/experiments/" + percent_encode(invocation.names.front()));
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);

  std::ostream& out = context.out();
  out << printable(text_at(*answer, "name")) << ": " << printable(text_at(*answer, "state"));
  const double length = number_at(*answer, "length_seconds").value_or(0);
  out << ", began " << started_text(*answer) << ", "
      << (text_at(*answer, "state") == "running" ? "runs for " : "took ") << human_seconds(length);
  if (const std::string who = text_at(*answer, "ended_by"); !who.empty())
    out << ", ended by " << printable(who);
  out << '\n';
  if (const std::string labels = labels_text(*answer); !labels.empty())
    out << "  labels   " << printable(labels) << '\n';
  if (const auto packs = texts_at(*answer, "packs"); !packs.empty())
    out << "  packs    " << printable(words(packs)) << '\n';
  if (const auto command = texts_at(*answer, "command"); !command.empty())
    out << "  command  " << printable(words(command)) << '\n';
  for (const Json& vm : array_at(*answer, "vms")) print_vm(vm, out);
  auto rows = rows_of({*answer});
  keep_matching(invocation.metrics, rows);
  print_figures({text_at(*answer, "name")}, rows, out);
}

}  // namespace

void add_metric_option(CLI::App& command, Invocation& invocation) {
  command
      .add_option("--metric", invocation.metrics,
                  "Only metrics that match this name or pattern; may be repeated")
      ->type_name("GLOB")
      ->allow_extra_args(false)
      ->check(not_empty());
}

void add_experiment_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const experiment = app.add_subcommand(
      "experiment", "Mark runs, keep what the VMs did meanwhile, and compare them");
  experiment->require_subcommand(0, 1);
  add_experiment_start_command(*experiment, invocation);

  CLI::App* const list = experiment->add_subcommand("list", "List runs");
  list->callback([&invocation] { invocation.command = list_experiments; });

  CLI::App* const show = experiment->add_subcommand("show", "Show what one run came to");
  show->add_option("NAME", invocation.names, "Its name")
      ->required()
      ->expected(1)
      ->type_name("")
      ->check(not_empty());
  add_metric_option(*show, invocation);
  show->callback([&invocation] { invocation.command = show_experiment; });
  add_experiment_compare_command(*experiment, invocation);
}

}  // namespace qemon::cli
