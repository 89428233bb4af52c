#include "cli/execution_profile.hpp"

namespace qemon::cli {

void ProfileBuilder::finish(ExecutionProfile& profile) {
  profile.samples = samples_;
  profile.page_bytes = page_bytes_;
  profile.lowest = samples_ > 0 ? lowest_ : 0;
  profile.highest = highest_;
  pages_.refresh();
  for (const auto& page : pages_.series()) profile.pages.push_back({page.address, page.count});
  std::ranges::sort(profile.pages, {}, &ExecutionProfile::Page::address);
  profile.beyond_pages = pages_.overflow();
  profile.counters = counters_.top(counters_max);
}

}  // namespace qemon::cli
