// What the fuzzers of monitors share: a client and a peer in one thread, whose answers are the
// input.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "qmp/client.hpp"

namespace qemon::fuzz {

/// Makes what the peer writes for what it was sent, and takes that away; empty while more is
/// needed. Nothing more is asked once `over`: the peer hangs up when that was written.
struct PeerScript {
  std::string greeting;
  std::function<std::string(std::string& received, bool& over)> answer;
};

/// Lets the client talk to the peer about what `name` names: "identity", "trace", or a collector.
/// Returns when all is said; false if there is nothing of that name. No answer is waited for, since
/// a peer that has none left hangs up.
bool talk(std::string_view name, qmp::Protocol protocol, PeerScript script);

}  // namespace qemon::fuzz
