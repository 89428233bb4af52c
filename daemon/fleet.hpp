// Fleet: the VMs that qemond watches, as configured, discovered and attached by command.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/result.hpp"
#include "daemon/config.hpp"
#include "daemon/journal_entry.hpp"
#include "daemon/socket_watch.hpp"
#include "daemon/vm.hpp"
#include "daemon/vm_metrics.hpp"

namespace qemon::daemon {

/// Owned by the daemon. `run` is spawned once and returns after `stop`, when every VM has ended.
/// One thread.
class Fleet {
 public:
  Fleet(boost::asio::any_io_executor executor, VmEnvironment& environment);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  /// What qemond left in the journal when it was killed; called before the first configure(). VMs
  /// that are watched go on from there, also those that were attached by command; what was changed
  /// in others is put back once.
  void take_up(std::vector<JournalEntry> entries);
  /// Watches what `config` says. VMs that are still there go on undisturbed, with new settings;
  /// those that are not are put back and left.
  void configure(const Config& config);
  /// Looks for sockets whenever their folders change, and once a second, until `stop`.
  boost::asio::awaitable<void> run();
  void stop();

  /// The present ones, by name.
  [[nodiscard]] const VmList& vms() const { return vms_; }
  /// nullptr if there is none of that name.
  [[nodiscard]] std::shared_ptr<Vm> find(const std::string& name) const;

  /// Watches one more VM, until it is detached or qemond ends.
  [[nodiscard]] Result<void> attach(const std::string& name, const std::string& address);
  /// Puts the VM back and leaves it. One that was configured or discovered comes back when the
  /// configuration is loaded anew or its socket is made anew.
  [[nodiscard]] Result<void> detach(const std::string& name);

 private:
  enum class Origin : std::uint8_t { configured, discovered, command };
  struct Member {
    std::shared_ptr<Vm> vm;
    Origin origin = Origin::configured;
  };

  std::shared_ptr<Vm> add(VmConfig config, Origin origin);
  void take_up_the_others();
  void remove(const std::shared_ptr<Vm>& vm);
  void scan();
  void name(Vm& vm, const std::string& own_name);
  [[nodiscard]] VmSettings settings_of(const Vm& vm) const;
  [[nodiscard]] std::string free_name(const std::string& wanted, const Vm* except) const;
  [[nodiscard]] bool watches(const std::string& address) const;
  void list(const std::shared_ptr<Vm>& vm);
  void unlist(const std::shared_ptr<Vm>& vm);
  void spawn(std::shared_ptr<Vm> vm, boost::asio::awaitable<void> task,
             std::function<void()> on_end);
  void remember_left(const Vm& vm);

  boost::asio::any_io_executor executor_;
  VmEnvironment& environment_;
  Config config_;
  std::list<Member> members_;
  VmList vms_;                                // Of members_, by name.
  std::map<std::string, JournalEntry> left_;  // By address: not taken up yet.
  std::set<std::string> detached_;  // Addresses that were detached and would be found again.
  std::unordered_set<std::string> addresses_;  // Of members_.
  std::size_t tasks_ = 0;                      // Of VMs, also of those that are leaving.
  bool stopping_ = false;
  SocketWatch watch_;
  boost::asio::steady_timer all_ended_;
};

}  // namespace qemon::daemon
