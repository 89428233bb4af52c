// What the fuzzers of qemond's interfaces share: its parts, put together as the daemon does it,
// with VMs that are never attached.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/shared_pool.hpp"
#include "daemon/catalog_finder.hpp"
#include "daemon/control_api.hpp"
#include "daemon/experiments.hpp"
#include "daemon/fleet.hpp"
#include "daemon/journal.hpp"
#include "daemon/marks.hpp"
#include "daemon/web_api.hpp"
#include "exporters/metrics_page.hpp"
#include "exporters/pack_library.hpp"

namespace qemon::fuzz {

/// A folder that lasts as long as the program.
const std::string& runtime_directory();

/// The executor of the VMs never runs, so that no address of an input is connected to, and whatever
/// needs a monitor is refused at once.
class ParkedDaemon {
 public:
  /// Two VMs, "web1" and "web2", and what an earlier qemond left in the journal.
  explicit ParkedDaemon(std::vector<daemon::JournalEntry> left = {});

  daemon::Fleet& fleet() { return fleet_; }
  daemon::Experiments& experiments() { return experiments_; }
  daemon::ControlApi& control() { return control_; }
  daemon::WebApi& web() { return web_; }
  /// What serves: of connections and of the pages that they ask for. To be run by who has one.
  boost::asio::io_context& serving() { return serving_; }

 private:
  boost::asio::io_context parked_{1};
  boost::asio::io_context serving_{1};
  daemon::CatalogFinder catalogs_;
  trace::EventNamesPool event_names_;
  SharedPool<std::set<std::string>> command_sets_;
  exporters::FamilyTextMaker texts_;
  const exporters::PackLibrary& packs_;
  daemon::Journal& journal_;
  daemon::VmEnvironment environment_;
  daemon::Fleet fleet_;
  daemon::Marks marks_;
  exporters::MetricsPage page_;
  daemon::Experiments experiments_;
  daemon::ControlApi control_;
  daemon::WebApi web_;
};

}  // namespace qemon::fuzz
