// The values that completion offers, as the daemon and the installed packs have them.
#pragma once

#include "base/completion.hpp"
#include "cli/control_client.hpp"

namespace qemon::cli {

/// Adds the names of VMs, events, packs and leases. Whoever presses a key waits for it, so it takes
/// half a second at most; without an answer there is nothing to offer, and nothing is said.
void add_known_values(const ControlClient& client, const WantedValue& wanted, Completion& into);

}  // namespace qemon::cli
