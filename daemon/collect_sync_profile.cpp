#include "daemon/collect_sync_profile.hpp"

#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/utf8.hpp"
#include "daemon/collect_support.hpp"
#include "qmp/error.hpp"
#include "qmp/trace_commands.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using exporters::add_sample;
using exporters::counter_family;
using namespace std::chrono_literals;

namespace {

/// Profiling is one switch for the whole QEMU without a count of who wants it. It is switched off
/// again only if it was off before we switched it on, which the journal remembers. What cannot be
/// known: whether somebody else said "on" after us, which changes nothing that can be seen, and
/// loses the profile when we say "off".
class SyncProfiler {
 public:
  asio::awaitable<Result<Figures>> poll(CollectorView view) {
    if (session_ != view.session) {
      const auto switched = co_await switch_on(view);
      if (!switched) co_return switched.error();
      session_ = view.session;
    }
    // Sorted by wait time, the longest first; a call site's locks are put together.
    const auto text = co_await ask_human(view, "info sync-profile 50");
    if (!text) co_return text.error();
    co_return sync_profile_figures(*text);
  }

  asio::awaitable<Result<void>> finish(CollectorView view) {
    session_.reset();
    if (!view.changed.sync_profile) co_return Result<void>();
    const auto answer = co_await ask_human(view, "sync-profile off");
    if (!answer) co_return answer.error();
    view.changed.sync_profile = false;
    co_return view.write_journal();
  }

 private:
  static asio::awaitable<Result<std::string>> ask_human(CollectorView view, std::string line) {
    auto text = co_await qmp::human_command(*view.client, std::move(line), view.deadline);
    if (!text && qmp::is_refusal(text.error())) text.emplace();
    co_return std::move(text);
  }

  asio::awaitable<Result<void>> switch_on(CollectorView view) {
    const auto status = co_await ask_human(view, "sync-profile");
    if (!status) co_return status.error();
    if (status->find("is off") == std::string::npos) co_return Result<void>();
    view.changed.sync_profile = true;
    const auto written = view.write_journal();
    if (!written) {
      view.changed.sync_profile = false;
      co_return written.error();
    }
    const auto answer = co_await ask_human(view, "sync-profile on");
    if (!answer) co_return answer.error();
    co_return Result<void>();
  }

  std::optional<std::uint64_t> session_;
};

/// Removes the last word from `text` and returns it.
std::string_view take_last_word(std::string_view& text) {
  text = trimmed(text);
  const std::size_t blank = text.find_last_of(" \t");
  const std::size_t begin = blank == std::string_view::npos ? 0 : blank + 1;
  const std::string_view word = text.substr(begin);
  text = trimmed(text.substr(0, begin));
  return word;
}

std::optional<double> decimal(std::string_view word) {
  double number = 0;
  const char* const end = word.data() + word.size();
  const auto [stop, code] = std::from_chars(word.data(), end, number, std::chars_format::fixed);
  if (code != std::errc() || stop != end || !std::isfinite(number) || number < 0)
    return std::nullopt;
  return number;
}

struct CallSite {
  std::string type;
  std::string place;
  double wait_seconds = 0;
  std::uint64_t count = 0;
};

// "BQL mutex  0x556e8e908b40  util/main-loop.c:318     0.01223           615         19.88", where
// "[       2]" stands for two objects. Only the type may be of several words.
std::optional<CallSite> parse_call_site(std::string_view line) {
  const auto average = decimal(take_last_word(line));
  std::string_view count_word = take_last_word(line);
  const auto count = take_count(count_word);
  const auto wait = decimal(take_last_word(line));
  const std::string_view place = take_last_word(line);
  if (!average || !count || !count_word.empty() || !wait || place.empty()) return std::nullopt;
  const std::size_t object = line.ends_with(']') ? line.rfind('[') : line.rfind("0x");
  if (object == std::string_view::npos || object == 0) return std::nullopt;
  const std::string_view type = trimmed(line.substr(0, object));
  if (type.empty()) return std::nullopt;
  return CallSite{one_line(type), one_line(place), *wait, *count};
}

}  // namespace

Figures sync_profile_figures(std::string_view text) {
  std::map<std::pair<std::string, std::string>, CallSite> sites;
  while (!text.empty() && sites.size() < collected_entries_max) {
    auto site = parse_call_site(take_line(text));
    if (!site) continue;
    auto key = std::pair(site->type, site->place);
    CallSite& sum = sites.try_emplace(std::move(key)).first->second;
    sum.wait_seconds += site->wait_seconds;
    sum.count += site->count;
  }
  auto wait = counter_family("qemu_sync_profile_wait_seconds_total",
                             "Time that threads of QEMU waited for a lock, by call site.");
  auto count = counter_family("qemu_sync_profile_waits_total",
                              "How often threads of QEMU took a lock, by call site.");
  for (const auto& [key, site] : sites) {
    add_sample(wait, {{"type", key.first}, {"call_site", key.second}}, site.wait_seconds);
    add_sample(count, {{"type", key.first}, {"call_site", key.second}}, site.count);
  }
  Figures figures;
  add_family(figures, std::move(wait));
  add_family(figures, std::move(count));
  return figures;
}

Collector sync_profile_collector() {
  Collector collector;
  collector.name = "sync-profile";
  collector.interval = 10s;
  collector.on_by_default = false;
  collector.needs = {"human-monitor-command"};
  // Shared by the two functions and their copies, which std::function insists on making.
  const auto profiler = std::make_shared<SyncProfiler>();
  collector.poll = [profiler](CollectorView view) { return profiler->poll(view); };
  collector.finish = [profiler](CollectorView view) { return profiler->finish(view); };
  return collector;
}

}  // namespace qemon::daemon
