// What the fuzzers share that use packs: a catalog, the packs that ship, and what holds for
// metrics.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "exporters/engine.hpp"
#include "exporters/pack.hpp"
#include "trace/catalog.hpp"
#include "trace/event_table.hpp"

namespace qemon::fuzz {

/// tests/data/catalog-7.2-excerpt.txt, parsed once.
const trace::Catalog& excerpt();
/// The events of the excerpt, with their descriptions.
void describe(trace::EventTable& events);
/// Shipped packs, parsed once.
std::vector<std::shared_ptr<const exporters::Pack>> shipped_packs(
    std::span<const std::string_view> names);
/// What a scrape would show of the engine's packs. Every series is there once.
void require_sound_metrics(exporters::Engine& engine);

}  // namespace qemon::fuzz
