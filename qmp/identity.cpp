#include "qmp/identity.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/utf8.hpp"
#include "qmp/error.hpp"

namespace qemon::qmp {

namespace asio = boost::asio;
using nlohmann::json;
using std::chrono::milliseconds;

namespace {

// What the command returns, or null if QEMU does not have it or refuses it.
asio::awaitable<Result<json>> ask(Client& client, std::string command, json arguments,
                                  milliseconds deadline) {
  auto answer = co_await client.execute(std::move(command), std::move(arguments), deadline);
  if (!answer && is_refusal(answer.error())) answer.emplace();
  co_return std::move(answer);
}

std::string text_of(const json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? one_line(found->get<std::string>()) : "";
}

std::vector<pid_t> threads_of(const json& list) {
  std::vector<pid_t> threads;
  if (!list.is_array()) return threads;
  for (const json& entry : list) {
    const auto found = entry.is_object() ? entry.find("thread-id") : entry.end();
    if (found == entry.end() || !found->is_number_integer()) continue;
    const auto id = found->get<std::int64_t>();
    // -1 stands for "no thread" on hosts that cannot tell.
    if (id > 0 && id <= std::numeric_limits<pid_t>::max())
      threads.push_back(static_cast<pid_t>(id));
  }
  return threads;
}

std::string accelerator_of(const json& kvm, const json& accelerators) {
  const auto enabled = kvm.is_object() ? kvm.find("enabled") : kvm.end();
  if (enabled != kvm.end() && *enabled == true) return "kvm";
  const std::string named = text_of(accelerators, "enabled");
  if (!named.empty()) return named;
  // Xen, HVF and others exist, but before 10.2 QEMU does not say so; on a Linux host without KVM it
  // is TCG.
  return enabled != kvm.end() ? "tcg" : "";
}

std::string machine_of(const json& type) {
  if (!type.is_string()) return "";
  constexpr std::string_view suffix = "-machine";
  std::string name = one_line(type.get<std::string>());
  if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  return name;
}

// The nil UUID is what QEMU answers when none was given.
std::string uuid_of(const json& answer) {
  std::string uuid = text_of(answer, "UUID");
  if (uuid.find_first_not_of("0-") == uuid.npos) uuid.clear();
  return uuid;
}

}  // namespace

asio::awaitable<Result<Identity>> query_identity(Client& client, milliseconds deadline) {
  struct Question {
    const char* command;
    json arguments;
    json answer;
  };
  enum { name, uuid, target, status, kvm, accelerators, machine, cpus, iothreads };
  json machine_type = json::object();
  machine_type["path"] = "/machine";
  machine_type["property"] = "type";
  std::vector<Question> questions;
  for (const char* command :
       {"query-name", "query-uuid", "query-target", "query-status", "query-kvm",
        "query-accelerators", "qom-get", "query-cpus-fast", "query-iothreads"}) {
    questions.push_back(Question{command, json(), json()});
  }
  questions[machine].arguments = std::move(machine_type);

  for (Question& question : questions) {
    auto answer = co_await ask(client, question.command, std::move(question.arguments), deadline);
    if (!answer) co_return wrap(answer.error(), "identity");
    question.answer = std::move(*answer);
  }

  Identity identity;
  identity.version = client.greeting().version;
  identity.package = client.greeting().package;
  identity.name = text_of(questions[name].answer, "name");
  identity.uuid = uuid_of(questions[uuid].answer);
  identity.arch = text_of(questions[target].answer, "arch");
  identity.run_state = text_of(questions[status].answer, "status");
  identity.accelerator = accelerator_of(questions[kvm].answer, questions[accelerators].answer);
  identity.machine = machine_of(questions[machine].answer);
  identity.vcpu_threads = threads_of(questions[cpus].answer);
  identity.iothreads = threads_of(questions[iothreads].answer);
  co_return std::move(identity);
}

asio::awaitable<Result<std::string>> query_run_state(Client& client, milliseconds deadline) {
  auto answer = co_await client.execute("query-status", json(), deadline);
  if (!answer) co_return wrap(answer.error(), "run state");
  Result<std::string> state(boost::system::in_place_value, text_of(*answer, "status"));
  co_return std::move(state);
}

asio::awaitable<Result<std::set<std::string>>> query_commands(Client& client,
                                                              std::chrono::milliseconds deadline) {
  std::string command = "query-commands";
  nlohmann::json none;
  auto answer = co_await client.execute(std::move(command), std::move(none), deadline);
  std::set<std::string> names;
  if (!answer && is_refusal(answer.error())) co_return names;
  if (!answer) co_return answer.error();
  if (answer->is_array()) {
    for (const auto& entry : *answer) {
      if (!entry.is_object()) continue;
      const auto name = entry.find("name");
      if (name != entry.end() && name->is_string()) names.insert(name->get<std::string>());
    }
  }
  co_return names;
}

}  // namespace qemon::qmp
