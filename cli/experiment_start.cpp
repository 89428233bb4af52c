// qemon experiment start: marks a run, and runs its command.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/fields.hpp"
#include "cli/lease_text.hpp"
#include "cli/run_command.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

using namespace std::chrono_literals;

// How long an experiment goes on without a word of whoever runs its command, and how often there is
// one.
constexpr int unattended_seconds = 15;
constexpr auto word_interval = 4s;
constexpr auto word_deadline = 3s;

std::string target_of(const std::string& name) {
  return "/v1/experiments/" + percent_encode(name);
}

/// For the parser: empty if it is NAME=VALUE.
std::string check_label(const std::string& text) {
  const auto equals = text.find('=');
  return equals == std::string::npos || equals == 0 ? "'" + printable(text) + "' is not NAME=VALUE"
                                                    : std::string();
}

Json wish_of(const Invocation& invocation) {
  Json body;
  body["action"] = "start";
  body["name"] = invocation.names.front();
  if (!invocation.vm.empty()) body["vm"] = invocation.vm;
  body["packs"] = invocation.packs;
  body["labels"] = Json::object();
  for (const std::string& label : invocation.labels) {
    const auto equals = label.find('=');
    body["labels"][label.substr(0, equals)] = label.substr(equals + 1);
  }
  if (invocation.replace) body["replace"] = true;
  if (invocation.words.empty()) {
    add_length(invocation.duration, "for_seconds", body);
  } else {
    body["command"] = invocation.words;
    body["for_seconds"] = unattended_seconds;
    body["attended"] = true;
  }
  return body;
}

/// "cold: running on web1, web2, 1 pack (virtio-blk)".
std::string running_line(const Json& answer) {
  std::string line = text_at(answer, "name") + ": running on " + name_list(texts_at(answer, "vms"));
  const auto packs = texts_at(answer, "packs");
  if (!packs.empty()) line += ", " + counted(packs.size(), "pack") + " (" + name_list(packs) + ")";
  return line;
}

/// "cold: finished after 12.3 s".
std::string ended_line(const Json& answer) {
  return text_at(answer, "name") + ": " + text_at(answer, "state") + " after " +
         human_seconds(number_at(answer, "length_seconds").value_or(0));
}

std::string not_complete(const Json& answer) {
  return text_at(answer, "name") + ": not complete: see 'qemon experiment show " +
         text_at(answer, "name") + "'";
}

/// The command's exit status is ours, whatever becomes of the experiment.
void run_attended(const Invocation& invocation, CommandContext& context) {
  const std::string name = invocation.names.front();
  const auto quick = context.client().patient(word_deadline);
  std::string trouble;
  const auto say_a_word = [&] {
    Json body;
    body["action"] = "extend";
    body["seconds"] = unattended_seconds;
    const Result<Json> answer = quick.post(target_of(name), body);
    if (answer || !trouble.empty()) return;
    trouble = answer.error().detail;
    context.note("the experiment is in danger, the command goes on: " + trouble);
  };
  const Result<int> status = run_command(invocation.words, word_interval, say_a_word);
  Json body;
  body["action"] = "stop";
  const Result<Json> stopped = context.client().post(target_of(name), body);
  if (!status) {
    body["action"] = "delete";
    if (stopped) (void)context.client().post(target_of(name), body);
    context.note(status.error().detail + ": the experiment is given up");
    // As shells have it.
    return context.exit_with(status.error().code == std::errc::no_such_file_or_directory ? 127
                                                                                         : 126);
  }
  if (!stopped) {
    context.note("the experiment has no end: " + stopped.error().detail);
  } else {
    context.note(ended_line(*stopped));
    if (!flag_at(*stopped, "complete")) context.note(not_complete(*stopped));
  }
  context.exit_with(*status);
}

void start(const Invocation& invocation, CommandContext& context) {
  const Result<Json> answer = context.client().post("/v1/experiments", wish_of(invocation));
  if (!answer) return context.fail(answer.error().detail);
  if (!invocation.words.empty()) {
    // Standard output is the command's.
    context.note(running_line(*answer));
    return run_attended(invocation, context);
  }
  if (context.json()) return context.print(*answer);
  std::string line = running_line(*answer);
  if (const auto left = number_at(*answer, "remaining_seconds"))
    line += ", for " + human_seconds(*left) + " or until 'qemon experiment stop'";
  context.out() << printable(line) << '\n';
}

void stop(const Invocation& invocation, CommandContext& context) {
  Json body;
  body["action"] = "stop";
  const Result<Json> answer = context.client().post(target_of(invocation.names.front()), body);
  if (!answer) return context.fail(answer.error().detail);
  if (context.json()) return context.print(*answer);
  context.out() << printable(ended_line(*answer)) << '\n';
  if (!flag_at(*answer, "complete")) context.note(not_complete(*answer));
}

void remove(const Invocation& invocation, CommandContext& context) {
  for (const std::string& name : invocation.names) {
    Json body;
    body["action"] = "delete";
    const Result<Json> answer = context.client().post(target_of(name), body);
    if (!answer) {
      context.fail(answer.error().detail);
    } else if (context.json()) {
      context.print(*answer);
    }
  }
}

}  // namespace

void add_experiment_start_command(CLI::App& experiment, Invocation& invocation) {
  CLI::App* const begin = experiment.add_subcommand(
      "start", "Switch packs on, mark a run, and run a command, or until 'qemon experiment stop'");
  // Just one word: those behind it are the command's.
  begin
      ->add_option_function<std::string>(
          "NAME", [&invocation](const std::string& name) { invocation.names = {name}; },
          "What to call it")
      ->required()
      ->type_name("")
      ->check(not_empty());
  begin->add_option("COMMAND", invocation.words, "The command and its arguments, behind --")
      ->type_name("");
  begin->add_option("--vm", invocation.vm, "Only this VM (otherwise all that are attached)")
      ->type_name("NAME")
      ->check(not_empty());
  begin->add_option("--pack", invocation.packs, "A pack to switch on meanwhile; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->check(not_empty());
  begin
      ->add_option("--label", invocation.labels, "A label of qemu_experiment_info; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false)
      ->check(CLI::Validator(check_label, ""));
  begin->add_flag("--replace", invocation.replace, "Forget one of that name that has ended");
  add_for_option(*begin, invocation,
                 "Without a command, for how long at most: 30s, 10m, 2h, 1d or forever; otherwise "
                 "as long as qemond is told by --lease, one hour if it is not");
  begin->footer(
      "The exit status is that of the command.\n"
      "Example:\n  qemon experiment start cold --vm web1 --pack virtio-blk --label cache=cold -- "
      "./build.sh");
  begin->callback([&invocation] {
    // With a command, it is over when that is.
    if (!invocation.words.empty() && !invocation.duration.empty())
      throw CLI::ValidationError("--for", "is for experiments without a command");
    invocation.command = start;
  });

  CLI::App* const end = experiment.add_subcommand(
      "stop", "End a run, switch its packs back, and keep what it came to");
  end->add_option("NAME", invocation.names, "Its name")
      ->required()
      ->expected(1)
      ->type_name("")
      ->check(not_empty());
  end->callback([&invocation] { invocation.command = stop; });

  CLI::App* const forget = experiment.add_subcommand("delete", "Forget runs that have ended");
  forget->add_option("NAME", invocation.names, "Their names")
      ->required()
      ->type_name("")
      ->check(not_empty());
  forget->callback([&invocation] { invocation.command = remove; });
}

}  // namespace qemon::cli
