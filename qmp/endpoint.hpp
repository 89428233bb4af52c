// Endpoint: where a VM's monitor is, as a person writes it: unix:PATH, tcp:HOST:PORT,
// hmp:unix:PATH, hmp:tcp:HOST:PORT.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace qemon::qmp {

enum class Protocol {
  qmp,  ///< JSON, made for programs.
  hmp,  ///< The prompt made for people (`-monitor`).
};

enum class Transport { unix_socket, tcp };

struct Endpoint {
  Protocol protocol = Protocol::qmp;
  Transport transport = Transport::unix_socket;
  std::string path;        ///< unix_socket only.
  std::string host;        ///< tcp only: a name or an address, IPv6 without its brackets.
  std::uint16_t port = 0;  ///< tcp only.

  bool operator==(const Endpoint&) const = default;
};

/// How errors end about a text of none of these forms.
inline constexpr std::string_view how_to_write_endpoints =
    "write unix:PATH, tcp:HOST:PORT, hmp:unix:PATH or hmp:tcp:HOST:PORT";

/// The endpoint that `text` names, or an error that says what is wrong with it and how to write it.
Result<Endpoint> parse_endpoint(std::string_view text);

/// The text that parse_endpoint reads back.
std::string to_string(const Endpoint& endpoint);

/// Whether the VM is certain to run on this host, so that files it writes can be read here: a Unix
/// socket, a loopback address, or the name localhost. Other names are not looked up: they may mean
/// something else tomorrow.
bool is_on_this_host(const Endpoint& endpoint);

}  // namespace qemon::qmp
