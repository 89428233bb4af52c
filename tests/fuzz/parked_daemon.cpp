#include "tests/fuzz/parked_daemon.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "daemon/vm.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::fuzz {
namespace {

const exporters::PackLibrary& packs() {
  static const auto library = [] {
    exporters::PackLibrary loaded;
    require(loaded.load(QEMON_PACKS, {}).empty(), "the packs that ship have no mistakes");
    return loaded;
  }();
  return library;
}

daemon::Journal& journal() {
  static auto opened = daemon::Journal::open(runtime_directory());
  return opened.value();
}

daemon::Config configuration() {
  daemon::Config config;
  for (const std::string name : {"web1", "web2"}) {
    daemon::VmConfig vm;
    vm.name = name;
    vm.endpoint.path = "/run/vms/" + name + ".qmp";
    config.vms.push_back(std::move(vm));
  }
  return config;
}

}  // namespace

const std::string& runtime_directory() {
  static const test::TempDir directory;
  static const std::string path = directory.path().string();
  return path;
}

ParkedDaemon::ParkedDaemon(std::vector<daemon::JournalEntry> left)
    : packs_(packs()),
      journal_(journal()),
      environment_{catalogs_,
                   event_names_,
                   command_sets_,
                   texts_,
                   packs_,
                   {},
                   runtime_directory() + "/trace",
                   0,
                   &journal_,
                   [](const std::string&, std::chrono::nanoseconds) {},
                   {},
                   [](const std::string&) {},
                   {}},
      fleet_(parked_.get_executor(), environment_),
      experiments_(parked_.get_executor(), fleet_, packs_, {}),
      control_(fleet_, packs_, experiments_, marks_, {::geteuid(), {}, {}}),
      web_(serving_.get_executor(), fleet_.vms(), page_) {
  spdlog::set_level(spdlog::level::off);
  control_.on_reload([] { return std::vector<std::string>(); });
  daemon::add_vm_metrics(page_, fleet_.vms());
  daemon::add_pack_metrics(page_, fleet_.vms());
  page_.add([this] { return experiments_.info(); });
  fleet_.take_up(std::move(left));
  fleet_.configure(configuration());
}

}  // namespace qemon::fuzz
