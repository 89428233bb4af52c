#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <vector>

#include "cli/commands.hpp"
#include "cli/fields.hpp"
#include "cli/lease_text.hpp"
#include "cli/text.hpp"
#include "daemon/journal.hpp"
#include "daemon/lttng_helper.hpp"
#include "daemon/put_back.hpp"
#include "daemon/trace_buffer.hpp"

namespace qemon::cli {

namespace {

/// qemond does it.
void print_answer(const Json& answer, CommandContext& context) {
  if (context.json()) context.print(answer);
  for (const Json& vm : array_at(answer, "vms")) {
    const std::string name = text_at(vm, "vm");
    const std::string error = text_at(vm, "error");
    if (!error.empty()) context.fail(name + ": " + error);
    if (context.json()) continue;
    const std::size_t ended = array_at(vm, "ended").size();
    if (ended == 0 && array_at(vm, "changed").empty() && !error.empty()) continue;
    context.out() << printable(name) << ": " << counted(ended, "lease") << " ended" << went_off(vm)
                  << '\n';
  }
}

/// One VM of the journal, and what became of it.
struct Restoring {
  daemon::JournalEntry entry;
  daemon::PutBack done;
};

/// All at once: a monitor that does not answer keeps nobody else waiting.
void put_all_back(std::vector<std::unique_ptr<Restoring>>& all, const std::string& folder) {
  boost::asio::io_context context;
  for (const auto& each : all) {
    Restoring* const restoring = each.get();
    const auto on_done = [restoring](std::exception_ptr failure, daemon::PutBack done) {
      if (failure) std::rethrow_exception(failure);
      restoring->done = std::move(done);
    };
    boost::asio::co_spawn(context, daemon::put_back(restoring->entry, folder), on_done);
  }
  context.run();
}

Json to_json(const Restoring& restoring) {
  Json vm;
  vm["vm"] = restoring.entry.vm;
  vm["address"] = restoring.entry.address;
  vm["changed"] = restoring.done.switched_off;
  vm["gone"] = restoring.done.gone;
  vm["note"] = restoring.done.note;
  vm["error"] = restoring.done.error;
  return vm;
}

void print_restored(const Restoring& restoring, CommandContext& context) {
  const auto& done = restoring.done;
  const std::string& name = restoring.entry.vm;
  if (!done.error.empty()) return context.fail(name + ": " + done.error);
  if (!done.note.empty()) context.note(name + ": " + done.note);
  if (context.json()) return;
  context.out() << printable(name) << ": ";
  if (done.gone) {
    context.out() << "that QEMU is gone, nothing to do\n";
    return;
  }
  context.out() << "as it was found";
  if (!done.switched_off.empty())
    context.out() << ", " << counted(done.switched_off.size(), "event") << " off ("
                  << name_list(done.switched_off) << ")";
  context.out() << '\n';
}

/// There is no qemond: its journal says what is to be done.
void restore_by_journal(const Invocation& invocation, CommandContext& context) {
  if (invocation.runtime_directory.empty())
    return context.fail(
        "qemond does not run, and where its journal is cannot be told: give --runtime-dir");
  auto journal = daemon::Journal::open_left(invocation.runtime_directory);
  std::vector<std::unique_ptr<Restoring>> all;
  if (!journal && journal.error().code != std::errc::no_such_file_or_directory)
    return context.fail(journal.error().detail);
  if (journal) {
    auto contents = journal->read();
    for (const auto& refused : contents.refused) context.fail("not restored: " + refused);
    for (auto& entry : contents.entries) {
      if (!invocation.vm.empty() && entry.vm != invocation.vm) continue;
      all.push_back(std::make_unique<Restoring>());
      all.back()->entry = std::move(entry);
    }
  }
  if (!all.empty()) daemon::remove_left_lttng_sessions();
  put_all_back(all, invocation.runtime_directory + "/trace");
  for (const auto& each : all) daemon::remove_left_trace_instances(each->entry.vm);
  Json answer;
  answer["vms"] = Json::array();
  for (const auto& each : all) {
    if (each->done.error.empty()) {
      auto removed = journal->remove(each->entry.address);
      if (!removed) each->done.error = removed.error().detail;
    }
    answer["vms"].push_back(to_json(*each));
    print_restored(*each, context);
  }
  if (context.json()) return context.print(answer);
  if (all.empty() && context.status() == 0)
    context.out() << "qemond does not run, and its journal in "
                  << printable(invocation.runtime_directory) << " has nothing to restore\n";
}

void restore(const Invocation& invocation, CommandContext& context) {
  Json body = Json::object();
  if (!invocation.vm.empty()) body["vm"] = invocation.vm;
  const Result<Json> answer = context.client().post("/v1/restore", body);
  if (answer) return print_answer(*answer, context);
  const std::error_code& code = answer.error().code;
  if (code == std::errc::connection_refused || code == std::errc::no_such_file_or_directory)
    return restore_by_journal(invocation, context);
  context.fail(answer.error().detail);
}

}  // namespace

void add_restore_command(CLI::App& app, Invocation& invocation) {
  CLI::App* const command = app.add_subcommand(
      "restore",
      "Put tracing back as it was found, at once: ends all leases. Works without qemond too");
  command->add_option("--vm", invocation.vm, "Only this VM")->type_name("NAME")->check(not_empty());
  command
      ->add_option("--runtime-dir", invocation.runtime_directory,
                   "Where qemond's journal is, if qemond does not run [/run/qemond or "
                   "$XDG_RUNTIME_DIR/qemond]")
      ->type_name("DIR")
      ->check(not_empty());
  command->footer("Example:\n  qemon restore --vm web1");
  command->callback([&invocation] { invocation.command = restore; });
}

}  // namespace qemon::cli
