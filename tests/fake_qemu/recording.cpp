#include "tests/fake_qemu/recording.hpp"

#include <fnmatch.h>
#include <zlib.h>

#include <array>
#include <charconv>
#include <stdexcept>

namespace qemon::fake {

using nlohmann::json;

namespace {

// Stands for a counter in the text until it is cut there; not in what QEMU says.
constexpr std::string_view mark = "\"@grows-";

/// A file as it is, or decompressed.
std::string read_whole(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(::gzopen(path.c_str(), "rb"), ::gzclose);
  if (!file) throw std::runtime_error("cannot open the recording " + path);
  std::string text;
  std::array<char, 65536> piece{};
  for (;;) {
    const int count = ::gzread(file.get(), piece.data(), piece.size());
    if (count < 0) throw std::runtime_error("cannot read the recording " + path);
    if (count == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
}

SharedText shared(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

SharedText open_ended(const json& object) {
  std::string text = object.dump();
  text.pop_back();
  return shared(std::move(text));
}

/// How fast a busy disk's counter grows; 0 for one that stands still.
std::uint64_t growth_of(const std::string& key) {
  const bool of_work = key.starts_with("rd_") || key.starts_with("wr_");
  if (of_work && key.ends_with("_bytes")) return 4'096'000;
  if (of_work && key.ends_with("_operations")) return 1000;
  if (of_work && key.ends_with("_total_time_ns")) return 200'000'000;
  return 0;
}

void mark_counters(json& value) {
  if (value.is_array())
    for (json& entry : value) mark_counters(entry);
  if (!value.is_object()) return;
  for (auto& [key, entry] : value.items()) {
    const auto growth = growth_of(key);
    if (growth > 0 && entry.is_number_unsigned()) {
      entry = "@grows-" + std::to_string(entry.get<std::uint64_t>()) + "-" + std::to_string(growth);
    } else {
      mark_counters(entry);
    }
  }
}

std::uint64_t take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) throw std::runtime_error("a counter lost its number");
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return number;
}

}  // namespace

SharedText returning(const json& value) {
  return open_ended(json{{"return", value}});
}

SharedText failing(std::string_view error_class, std::string_view description) {
  return open_ended(json{{"error", {{"class", error_class}, {"desc", description}}}});
}

GrowingText::GrowingText(json reply) {
  mark_counters(reply);
  const std::string all = *open_ended(reply);
  std::string_view rest = all;
  for (auto at = rest.find(mark); at != rest.npos; at = rest.find(mark)) {
    pieces_.emplace_back(rest.substr(0, at));
    rest.remove_prefix(at + mark.size());
    Counter counter{};
    counter.begin = take_number(rest);
    counter.per_second = take_number(rest);
    counters_.push_back(counter);
  }
  pieces_.emplace_back(rest);
}

SharedText GrowingText::after(std::chrono::milliseconds time) const {
  std::string text;
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    text += pieces_[i];
    const auto grown = counters_[i].per_second * static_cast<std::uint64_t>(time.count()) / 1000;
    text += std::to_string(counters_[i].begin + grown);
  }
  text += pieces_.back();
  return shared(std::move(text));
}

Recording::Recording(const std::string& path, const std::vector<pid_t>& threads)
    : threads_(threads) {
  const std::string all = read_whole(path);
  std::string_view rest = all;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const json entry = json::parse(rest.substr(0, end), nullptr, false);
    if (!entry.is_object()) throw std::runtime_error(path + " has a line that is no JSON object");
    add(entry);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (!greeting_ || events_.empty() || !block_statistics_)
    throw std::runtime_error(path + " lacks a greeting, trace events or query-blockstats");
}

void Recording::add(const json& entry) {
  if (entry.contains("greeting")) {
    greeting_ = shared(entry.at("greeting").dump() + "\r\n");
    return;
  }
  const std::string command = entry.at("execute");
  json reply = entry.at("reply");
  if (command == "query-cpus-fast" || command == "query-iothreads") {
    for (json& thread : reply["return"])
      thread["thread-id"] = threads_.at(next_thread_++ % threads_.size());
  }
  if (command == "query-blockstats") {
    block_statistics_ = std::make_unique<GrowingText>(std::move(reply));
    return;
  }
  if (command == "trace-event-get-state") {
    for (const json& event : reply.at("return")) {
      event_numbers_.emplace(event.at("name"), events_.size());
      events_.push_back(event.at("name"));
    }
    states_without_any_on_ = event_states({});
    lines_without_any_on_ = event_lines({});
    return;
  }
  const json arguments = entry.contains("arguments") ? entry.at("arguments") : json();
  replies_[{command, arguments.is_null() ? std::string() : arguments.dump()}] = open_ended(reply);
}

SharedText Recording::reply(std::string_view command, const json& arguments) const {
  const bool none = arguments.is_null() || arguments.empty();
  const auto found =
      replies_.find(std::pair(std::string(command), none ? std::string() : arguments.dump()));
  return found == replies_.end() ? nullptr : found->second;
}

SharedText Recording::block_statistics(std::chrono::milliseconds age) const {
  return block_statistics_->after(age);
}

SharedText Recording::event_states(const EventNumbers& on) const {
  if (on.empty() && states_without_any_on_) return states_without_any_on_;
  std::string text = "{\"return\": [";
  for (std::size_t i = 0; i < events_.size(); ++i) {
    text += i == 0 ? "" : ", ";
    text += "{\"name\": \"" + events_[i] + "\", \"vcpu\": false, \"state\": \"" +
            (on.contains(i) ? "enabled" : "disabled") + "\"}";
  }
  return shared(text + "]");
}

SharedText Recording::event_lines(const EventNumbers& on) const {
  if (on.empty() && lines_without_any_on_) return lines_without_any_on_;
  std::string text = "{\"return\": \"";
  for (std::size_t i = 0; i < events_.size(); ++i)
    text += events_[i] + " : state " + (on.contains(i) ? "1" : "0") + "\\r\\n";
  return shared(text + "\"");
}

SharedText Recording::event_state(const std::string& name, const EventNumbers& on) const {
  const auto found = event_numbers_.find(name);
  if (found == event_numbers_.end()) return nullptr;
  const json state{{"name", name},
                   {"vcpu", false},
                   {"state", on.contains(found->second) ? "enabled" : "disabled"}};
  return returning(json::array({state}));
}

EventNumbers Recording::matching(const std::string& pattern) const {
  EventNumbers numbers;
  for (std::size_t i = 0; i < events_.size(); ++i)
    if (::fnmatch(pattern.c_str(), events_[i].c_str(), 0) == 0) numbers.insert(i);
  return numbers;
}

}  // namespace qemon::fake
