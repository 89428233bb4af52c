#include "daemon/fleet.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <tuple>
#include <utility>

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

// Reading a folder of a thousand sockets takes about a millisecond.
constexpr auto scan_interval = 1s;
}  // namespace

Fleet::Fleet(asio::any_io_executor executor, VmEnvironment& environment)
    : executor_(executor), environment_(environment), watch_(executor), all_ended_(executor) {
  environment_.on_named = [this](Vm& vm, const std::string& own_name) { name(vm, own_name); };
}

Fleet::~Fleet() = default;

void Fleet::configure(const Config& config) {
  config_ = config;
  detached_.clear();
  // What is not wanted any more goes first, so that its name and socket are free.
  std::vector<std::shared_ptr<Vm>> gone;
  for (const auto& member : members_) {
    if (member.origin != Origin::configured) continue;
    const auto& is = member.vm->config();
    const bool wanted = std::any_of(
        config_.vms.begin(), config_.vms.end(),
        [&](const VmConfig& vm) { return vm.name == is.name && vm.address() == is.address(); });
    if (!wanted) gone.push_back(member.vm);
  }
  for (const auto& vm : gone) remove(vm);
  for (const auto& vm : config_.vms)
    if (!watches(vm.address())) add(vm, Origin::configured);
  scan();
  take_up_the_others();
  for (const auto& member : members_) member.vm->configure(settings_of(*member.vm));
}

asio::awaitable<void> Fleet::run() {
  while (!stopping_) {
    co_await watch_.wait(scan_interval);
    if (!stopping_) scan();
  }
  while (tasks_ > 0) {
    all_ended_.expires_after(scan_interval);
    co_await all_ended_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

void Fleet::stop() {
  stopping_ = true;
  for (const auto& member : members_) member.vm->stop();
  watch_.close();
}

std::shared_ptr<Vm> Fleet::find(const std::string& name) const {
  const auto found = std::lower_bound(
      vms_.begin(), vms_.end(), name,
      [](const auto& vm, const std::string& wanted) { return vm->name() < wanted; });
  return found != vms_.end() && (*found)->name() == name ? *found : nullptr;
}

Result<void> Fleet::attach(const std::string& name, const std::string& address) {
  if (!is_valid_vm_name(name))
    return Error{"\"" + name + "\" cannot be a VM's name: use 1 to 64 letters, digits and _-.:@+"};
  VmConfig config;
  config.name = name;
  const auto set = set_address(address, config);
  if (!set) return set.error();
  if (!config.file && config.endpoint.transport == qmp::Transport::unix_socket &&
      !config.endpoint.path.starts_with('/'))
    return Error{"monitor address \"" + address +
                 "\": give an absolute path, since qemond runs in another folder"};
  if (find(name)) return Error{"there is a VM " + name + " already: choose another name"};
  for (const auto& vm : vms_) {
    const bool same_file =
        config.file && vm->config().file && vm->config().file->path == config.file->path;
    if (same_file || vm->address() == config.address())
      return Error{address + " is watched already, as " + vm->name() + ": detach that first"};
  }
  if (const auto vm = add(std::move(config), Origin::command)) vm->attached_by_command();
  return Result<void>();
}

Result<void> Fleet::detach(const std::string& name) {
  const auto vm = find(name);
  if (!vm) return Error{"there is no VM " + name};
  detached_.insert(vm->address());
  remove(vm);
  return Result<void>();
}

std::shared_ptr<Vm> Fleet::add(VmConfig config, Origin origin) {
  if (stopping_) return nullptr;
  const auto wanted = config.name.empty() ? name_by_address(config) : config.name;
  auto vm = std::make_shared<Vm>(executor_, config, free_name(wanted, nullptr), environment_);
  if (auto left = left_.extract(vm->address())) vm->take_up(std::move(left.mapped()));
  vm->configure(settings_of(*vm));
  spdlog::info("{}: watched address={}", vm->name(), vm->address());
  members_.push_back({vm, origin});
  addresses_.insert(vm->address());
  list(vm);
  auto run = vm->run();
  spawn(vm, std::move(run), [this, vm] { remember_left(*vm); });
  auto follow = vm->follow_trace();
  spawn(vm, std::move(follow), [] {});
  return vm;
}

void Fleet::take_up(std::vector<JournalEntry> entries) {
  for (auto& entry : entries) {
    auto address = entry.address;
    left_.insert_or_assign(std::move(address), std::move(entry));
  }
}

/// What the journal says of VMs that neither the configuration nor a scan named.
void Fleet::take_up_the_others() {
  std::vector<JournalEntry> others;
  for (const auto& [address, entry] : left_) others.push_back(entry);
  for (const auto& entry : others) {
    VmConfig config;
    const auto set = set_address(entry.address, config);
    if (!set || entry.boot != boot_id()) {
      std::ignore = environment_.journal->remove(entry.address);
      continue;
    }
    if (is_valid_vm_name(entry.vm)) config.name = entry.vm;
    const auto vm = add(std::move(config), Origin::command);
    if (!vm || entry.attached_by_command) continue;
    spdlog::info("{}: not in the configuration any more: put back and left", vm->name());
    remove(vm);
  }
  left_.clear();
}

/// Out of the list at once; it ends by itself, and is kept until then by its tasks.
void Fleet::remove(const std::shared_ptr<Vm>& vm) {
  spdlog::info("{}: no longer watched address={}", vm->name(), vm->address());
  vm->stop();
  environment_.on_gone(vm->name());
  std::erase_if(members_, [&](const Member& member) { return member.vm == vm; });
  addresses_.erase(vm->address());
  unlist(vm);
}

/// Adds VMs whose sockets have appeared and removes those whose sockets are gone.
void Fleet::scan() {
  std::set<std::string> present;
  std::vector<std::string> patterns;
  for (const auto& rule : config_.discovery) patterns.push_back(rule.sockets);
  // Before looking, so that what appears meanwhile is told.
  watch_.watch(patterns);
  for (const auto& rule : config_.discovery) {
    for (const auto& path : find_sockets(rule.sockets)) {
      VmConfig config;
      config.endpoint.protocol = rule.protocol;
      config.endpoint.path = path;
      present.insert(config.address());
      const bool skip = detached_.contains(config.address());
      if (!skip && !watches(config.address())) add(std::move(config), Origin::discovered);
    }
  }
  std::vector<std::shared_ptr<Vm>> gone;
  for (const auto& member : members_) {
    if (member.origin == Origin::discovered && !present.contains(member.vm->address()))
      gone.push_back(member.vm);
  }
  for (const auto& vm : gone) remove(vm);
  std::erase_if(detached_, [&](const std::string& address) { return !present.contains(address); });
}

/// A VM without a configured name has told its own: the label `vm` is that, if it can be.
void Fleet::name(Vm& vm, const std::string& own_name) {
  const auto wanted = is_valid_vm_name(own_name) ? own_name : name_by_address(vm.config());
  const auto chosen = free_name(wanted, &vm);
  if (chosen == vm.name()) return;
  spdlog::info("{}: is called {} address={}", vm.name(), chosen, vm.address());
  environment_.on_gone(vm.name());
  const auto place =
      std::find_if(vms_.begin(), vms_.end(), [&](const auto& each) { return each.get() == &vm; });
  if (place == vms_.end()) return;  // It is leaving.
  const auto renamed = *place;
  vms_.erase(place);
  vm.set_name(chosen);
  list(renamed);
  vm.configure(settings_of(vm));
}

/// As the configuration is now, which may have changed since the VM was added.
VmSettings Fleet::settings_of(const Vm& vm) const {
  const auto configured =
      std::find_if(config_.vms.begin(), config_.vms.end(),
                   [&](const VmConfig& each) { return each.address() == vm.address(); });
  return config_.settings_of(vm.name(),
                             configured == config_.vms.end() ? VmSettings{} : configured->settings);
}

/// `wanted`, or that with a number behind it if another VM has it.
std::string Fleet::free_name(const std::string& wanted, const Vm* except) const {
  const auto taken = [&](const std::string& name) {
    const bool reserved =
        std::any_of(config_.vms.begin(), config_.vms.end(), [&](const VmConfig& vm) {
          return vm.name == name && (except == nullptr || vm.address() != except->address());
        });
    const auto vm = find(name);
    return (vm && vm.get() != except) || (reserved && except != nullptr);
  };
  if (!taken(wanted)) return wanted;
  for (unsigned i = 2;; ++i) {
    const auto suffix = "-" + std::to_string(i);
    auto name = wanted.substr(0, 64 - suffix.size()) + suffix;
    if (!taken(name)) return name;
  }
}

bool Fleet::watches(const std::string& address) const {
  return addresses_.contains(address);
}

void Fleet::list(const std::shared_ptr<Vm>& vm) {
  const auto place =
      std::upper_bound(vms_.begin(), vms_.end(), vm,
                       [](const auto& a, const auto& b) { return a->name() < b->name(); });
  vms_.insert(place, vm);
}

void Fleet::unlist(const std::shared_ptr<Vm>& vm) {
  std::erase(vms_, vm);
}

/// What a VM that was out of reach when it was detached still has of ours: whoever attaches it
/// again goes on from there.
void Fleet::remember_left(const Vm& vm) {
  if (vm.left() && !watches(vm.address())) left_.insert_or_assign(vm.address(), *vm.left());
}

void Fleet::spawn(std::shared_ptr<Vm> vm, asio::awaitable<void> task,
                  std::function<void()> on_end) {
  ++tasks_;
  asio::co_spawn(executor_, std::move(task), [this, vm, on_end](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
    on_end();
    if (--tasks_ == 0 && stopping_) all_ended_.cancel();
  });
}

}  // namespace qemon::daemon
