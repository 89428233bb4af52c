// Control: the VMs of one fake-qemu, and what it is told about them over standard input.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "tests/fake_qemu/monitor.hpp"

namespace qemon::fake {

/// A line, a command:
///   add NAME [FAILURE]   a VM; its socket is there when the answer is
///   remove NAME          its socket goes, and its connection is closed
///   fail NAME FAILURE    see failure.hpp
///   heal NAME
///   counts [NAME]        {"NAME": [what was received]}
///   reset                counts begin anew
///   quit                 as the end of standard input
/// Each is answered by one line of JSON: an object, with `error` if it could not be done.
class Control {
 public:
  Control(boost::asio::any_io_executor executor, const Recording& recording, std::string directory);

  /// Until it is told to quit; all VMs are gone then.
  boost::asio::awaitable<void> run();

 private:
  nlohmann::json obey(std::string_view line);
  nlohmann::json add(const std::string& name, std::string_view failure);
  nlohmann::json counts(std::string_view name) const;

  boost::asio::any_io_executor executor_;
  const Recording& recording_;
  std::string directory_;
  // Each shared with its own run(), which ends after it was taken from here.
  std::map<std::string, std::shared_ptr<Monitor>, std::less<>> monitors_;
};

}  // namespace qemon::fake
