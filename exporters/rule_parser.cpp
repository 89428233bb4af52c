#include "exporters/rule_parser.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <set>

#include "base/duration.hpp"
#include "exporters/label_parser.hpp"
#include "exporters/yaml_reader.hpp"

namespace qemon::exporters {
namespace {

constexpr std::chrono::hours timeout_max{365 * 24};

using Keys = std::initializer_list<std::string_view>;

constexpr std::int64_t limit_max = 10'000;
constexpr std::int64_t in_flight_limit = 1'000'000;
constexpr std::int64_t capacity_max = 100'000;

constexpr std::array kinds{MetricKind::counter, MetricKind::gauge,   MetricKind::histogram,
                           MetricKind::latency, MetricKind::heatmap, MetricKind::topk};

bool is_metric_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 200 && (name.front() < '0' || name.front() > '9') &&
         std::all_of(name.begin(), name.end(), plain);
}

/// Names that qemond gives to its own metrics, now or later.
bool is_reserved(std::string_view name) {
  return name.starts_with("qemond_") || name.starts_with("process_") ||
         name.starts_with("qemu_trace_") || name.starts_with("qemu_vm_") || name == "qemu_up";
}

class RuleParser {
 public:
  RuleParser(const YamlNode& node, Mistakes& mistakes) : node_(node), mistakes_(mistakes) {}

  Rule parse() {
    rule_.line = node_.line;
    if (!parse_kind()) return std::move(rule_);
    for (const auto& entry : node_.entries) rule_.lines.emplace(entry.key, entry.line);
    if (const auto* help = node_.find("help")) rule_.help = text(*help, "help");
    parse_unit();
    check_name();
    if (rule_.shape.kind == MetricKind::latency) {
      parse_latency();
    } else {
      refuse_keys_of_others();
      parse_events("events", rule_.events);
    }
    parse_own();
    parse_expression("when", rule_.when);
    if (const auto* limit = node_.find("limit"))
      rule_.shape.limit = static_cast<std::size_t>(number(*limit, "limit", 1, limit_max));
    parse_labels_key();
    return std::move(rule_);
  }

 private:
  bool parse_kind() {
    if (!node_.is_map() || node_.entries.empty()) {
      mistakes_.add(node_.line, "metrics: each begins with its kind, for instance counter: NAME");
      return false;
    }
    for (const auto kind : kinds) {
      const auto* name = node_.find(to_string(kind));
      if (name == nullptr) continue;
      rule_.shape.kind = kind;
      rule_.metric = text(*name, to_string(kind));
      return true;
    }
    mistakes_.add(
        node_.line,
        "metrics: the kind is missing: counter, gauge, histogram, latency, heatmap or topk");
    return false;
  }

  void check_name() {
    const auto& name = rule_.metric;
    const auto kind = rule_.shape.kind;
    const std::string where = std::string(to_string(kind)) + ": " + name;
    if (!is_metric_name(name))
      return fail(
          where +
          ": a metric's name has letters, digits and _, for instance qemu_disk_bytes_total");
    if (is_reserved(name))
      return fail(where + ": is a name of qemond's own metrics: choose another");
    const bool counts = kind == MetricKind::counter || kind == MetricKind::heatmap;
    const bool seconds = rule_.shape.unit != Unit::none || kind == MetricKind::latency;
    if (counts && !name.ends_with("_total"))
      return fail(where + ": the name of a counter ends in _total");
    if (seconds && !name.ends_with(counts ? "_seconds_total" : "_seconds"))
      return fail(where + ": the name ends in " + (counts ? "_seconds_total" : "_seconds") +
                  ", since it is in seconds");
    // Other families have these: a histogram's, and those of the errors of a topk.
    for (const std::string_view end : {"_total", "_count", "_sum", "_bucket", "_error"}) {
      if (!counts && name.ends_with(end))
        return fail(where + ": the name of a " + std::string(to_string(kind)) +
                    " does not end in " + std::string(end));
    }
  }

  void refuse_keys_of_others() {
    switch (rule_.shape.kind) {
      case MetricKind::counter:
        return only({"counter", "help", "events", "when", "labels", "limit", "unit", "add"});
      case MetricKind::gauge:
        return only(
            {"gauge", "help", "events", "when", "labels", "limit", "unit", "value", "keep"});
      case MetricKind::histogram:
        return only({"histogram", "help", "events", "when", "labels", "limit", "unit", "observe",
                     "buckets"});
      case MetricKind::heatmap:
        return only(
            {"heatmap", "help", "events", "when", "limit", "address", "range", "label", "ranges"});
      case MetricKind::topk:
        return only(
            {"topk", "help", "events", "when", "value", "decode", "label", "top", "capacity"});
      case MetricKind::latency:
        return only({"latency", "help", "begin", "end", "key", "end_key", "when", "end_when",
                     "labels", "limit", "buckets", "timeout", "in_flight"});
    }
  }
  void only(Keys keys) { refuse_other_keys(node_, keys, mistakes_); }

  void parse_own() {
    auto& shape = rule_.shape;
    switch (shape.kind) {
      case MetricKind::counter:
        rule_.value = Expression::constant(1);
        return parse_value("add", false);
      case MetricKind::gauge:
        parse_keep();
        return parse_value("value", true);
      case MetricKind::histogram:
        parse_buckets_key(true);
        return parse_value("observe", true);
      case MetricKind::heatmap:
        parse_heatmap();
        return parse_value("address", true);
      case MetricKind::topk:
        parse_topk();
        return parse_value("value", true);
      case MetricKind::latency:
        return;
    }
  }

  void parse_latency() {
    refuse_keys_of_others();
    rule_.shape.unit = Unit::nanoseconds;
    rule_.shape.buckets = default_latency_buckets();
    parse_buckets_key(false);
    parse_events("begin", rule_.events);
    parse_events("end", rule_.ends);
    parse_expression("end_when", rule_.end_when);
    parse_keys();
    if (const auto* timeout = node_.find("timeout")) {
      const auto value = timeout->is_scalar() ? parse_duration(timeout->scalar) : std::nullopt;
      if (value && value->count() > 0 && *value <= timeout_max) {
        rule_.timeout_ns = std::chrono::nanoseconds(*value).count();
      } else {
        fail_at("timeout", "write a duration of a year at most, for instance 500ms, 30s or 5m");
      }
    }
    if (const auto* most = node_.find("in_flight"))
      rule_.in_flight_max =
          static_cast<std::size_t>(number(*most, "in_flight", 1, in_flight_limit));
  }

  void parse_key(const std::string& key, std::vector<Expression>& into) {
    const auto* node = node_.find(key);
    if (node == nullptr) return;
    std::vector<const YamlNode*> parts;
    if (node->is_scalar()) parts.push_back(node);
    for (const auto& item : node->items) parts.push_back(&item);
    if (parts.empty() || parts.size() > keys_max)
      return fail_at(key, "write an expression or a list of 1 to 4");
    for (const auto* part : parts) {
      auto expression = Expression::parse(part->scalar);
      if (!expression) return fail_at(key, expression.error().detail);
      into.push_back(std::move(*expression));
    }
  }

  void parse_keys() {
    if (node_.find("key") == nullptr)
      return fail("key: is missing: name the arguments that a begin and its end have in common");
    parse_key("key", rule_.key);
    parse_key("end_key", rule_.end_key);
    if (!rule_.end_key.empty() && rule_.end_key.size() != rule_.key.size())
      fail_at("end_key", "must have as many parts as key");
  }

  void parse_heatmap() {
    auto& shape = rule_.shape;
    shape.labels = {label_name("address")};
    if (const auto* range = node_.find("range")) {
      const auto size = number(*range, "range", 1, std::int64_t{1} << 40);
      if (!std::has_single_bit(static_cast<std::uint64_t>(size)))
        fail_at("range", "must be a power of two, for instance 4096");
      shape.range_shift = static_cast<unsigned>(std::countr_zero(static_cast<std::uint64_t>(size)));
    }
    if (const auto* ranges = node_.find("ranges"))
      shape.ranges = static_cast<std::size_t>(number(*ranges, "ranges", 1, limit_max));
  }

  void parse_topk() {
    auto& shape = rule_.shape;
    shape.labels = {label_name("value")};
    shape.hex = true;
    if (const auto* decode = node_.find("decode")) {
      shape.hex = decode->scalar == "hex";
      if (!shape.hex && decode->scalar != "decimal") fail_at("decode", "write hex or decimal");
    }
    if (const auto* top = node_.find("top"))
      shape.top = static_cast<std::size_t>(number(*top, "top", 1, limit_max));
    if (const auto* capacity = node_.find("capacity"))
      shape.capacity = static_cast<std::size_t>(number(*capacity, "capacity", 1, capacity_max));
    if (shape.capacity < shape.top) fail_at("capacity", "must not be less than top");
  }

  std::string label_name(std::string_view otherwise) {
    const auto* label = node_.find("label");
    if (label == nullptr) return std::string(otherwise);
    if (!is_label_name(label->scalar))
      fail_at("label", "\"" + label->scalar + "\" cannot be a label");
    return label->scalar;
  }

  void parse_labels_key() {
    const auto* labels = node_.find("labels");
    if (labels == nullptr || !rule_.shape.labels.empty()) return;
    rule_.labels = parse_labels(*labels, rule_.shape.kind, mistakes_);
    for (const auto& label : rule_.labels) {
      rule_.shape.labels.push_back(label.name);
      check_by_event(label);
    }
  }

  /// A label by event tells all of the events, or all of the begins, or all of the ends.
  void check_by_event(const LabelRule& label) {
    const auto tells = [&](const std::string& event) { return label.by_event.contains(event); };
    const auto none_of = [&](const EventChoice& choice) {
      return std::none_of(choice.names.begin(), choice.names.end(), tells);
    };
    if (label.by_event.empty()) return;
    const bool of_end =
        !rule_.ends.empty() && std::all_of(rule_.events.begin(), rule_.events.end(), none_of);
    for (const auto& choice : of_end ? rule_.ends : rule_.events) {
      for (const auto& event : choice.names)
        if (!tells(event))
          mistakes_.add(label.line, "labels: " + label.name + ": event " + event +
                                        " is missing here: say which value it gives");
    }
  }

  void parse_keep() {
    const auto* keep = node_.find("keep");
    if (keep == nullptr || keep->scalar == "last") return;
    if (keep->scalar == "min") {
      rule_.keep = Rule::Keep::min;
    } else if (keep->scalar == "max") {
      rule_.keep = Rule::Keep::max;
    } else {
      fail_at("keep", "write last, min or max");
    }
  }

  void parse_buckets_key(bool required) {
    if (const auto* buckets = node_.find("buckets")) {
      rule_.shape.buckets = parse_buckets(*buckets, rule_.shape.unit, mistakes_);
    } else if (required) {
      fail("buckets: is missing: give the bounds, for instance {exp2: {from: 512, to: 1048576}}");
    }
  }

  void parse_unit() {
    const auto* unit = node_.find("unit");
    if (unit == nullptr) return;
    if (unit->scalar == "nanoseconds") {
      rule_.shape.unit = Unit::nanoseconds;
    } else if (unit->scalar == "microseconds") {
      rule_.shape.unit = Unit::microseconds;
    } else if (unit->scalar == "milliseconds") {
      rule_.shape.unit = Unit::milliseconds;
    } else {
      fail_at("unit", "write nanoseconds, microseconds or milliseconds, or leave it out");
    }
  }

  void parse_events(const std::string& key, std::vector<EventChoice>& into) {
    const auto* events = node_.find(key);
    if (events == nullptr) return fail(key + ": is missing: name the events");
    std::vector<const YamlNode*> wishes;
    if (events->is_scalar()) wishes.push_back(events);
    for (const auto& item : events->items) wishes.push_back(&item);
    std::set<std::string> seen;
    for (const auto* wish : wishes) {
      EventChoice choice;
      choice.line = wish->line;
      if (wish->is_scalar()) choice.names.push_back(wish->scalar);
      for (const auto& name : wish->items) choice.names.push_back(name.scalar);
      for (const auto& name : choice.names) {
        if (!is_metric_name(name))
          mistakes_.add(wish->line, key + ": \"" + name + "\" is no event's name");
        else if (!seen.insert(name).second)
          mistakes_.add(wish->line, key + ": " + name + " is given twice");
      }
      if (choice.names.empty()) mistakes_.add(wish->line, key + ": an event's name is missing");
      into.push_back(std::move(choice));
    }
    if (wishes.empty()) fail_at(key, "write an event's name or a list of them");
  }

  void parse_expression(const std::string& key, std::optional<Expression>& into) {
    const auto* node = node_.find(key);
    if (node == nullptr) return;
    auto parsed = Expression::parse(node->scalar);
    if (!parsed) return fail_at(key, parsed.error().detail);
    into = std::move(*parsed);
  }

  void parse_value(const std::string& key, bool required) {
    std::optional<Expression> value;
    parse_expression(key, value);
    if (value) {
      rule_.value = std::move(*value);
    } else if (required && node_.find(key) == nullptr) {
      fail(key + ": is missing: write an expression over the arguments");
    }
  }

  std::int64_t number(const YamlNode& node, const std::string& key, std::int64_t least,
                      std::int64_t most) {
    const auto value = whole_number(node);
    if (value && *value >= least && *value <= most) return *value;
    fail_at(key, "write a number from " + std::to_string(least) + " to " + std::to_string(most));
    return least;
  }

  std::string text(const YamlNode& node, std::string_view key) {
    if (!node.is_scalar() || node.scalar.empty())
      mistakes_.add(node.line, std::string(key) + ": should be a text");
    return node.scalar;
  }

  void fail(std::string_view why) { mistakes_.add(rule_.line, why); }
  void fail_at(const std::string& key, std::string_view why) {
    mistakes_.add(rule_.line_of(key), key + ": " + std::string(why));
  }

  const YamlNode& node_;
  Mistakes& mistakes_;
  Rule rule_;
};

}  // namespace

Rule parse_rule(const YamlNode& node, Mistakes& mistakes) {
  return RuleParser(node, mistakes).parse();
}

}  // namespace qemon::exporters
