#include "exporters/bound_label.hpp"

#include <algorithm>
#include <bit>

#include "exporters/yaml_reader.hpp"

namespace qemon::exporters {
namespace {

using Decode = LabelRule::Decode;
using Form = LabelCode::Form;

constexpr std::uint64_t low_64(Integer value) {
  return static_cast<std::uint64_t>(value);
}

LabelCode decimal(Integer value) {
  return {low_64(value), value < 0 ? Form::negative : Form::decimal};
}

/// The smallest power of two that is not less; what is not above 0 is told as it is.
LabelCode size_class(Integer value) {
  if (value <= 0) return decimal(value);
  constexpr Integer largest = Integer{1} << 63;
  if (value > largest) return {0, Form::other};
  return {std::bit_ceil(low_64(value)), Form::decimal};
}

}  // namespace

BoundLabel::BoundLabel(const LabelRule& label, std::string_view event_name,
                       const trace::CatalogEvent* event, SeriesTable& series, Mistakes& mistakes) {
  const auto fail = [&](const std::string& why) {
    mistakes.add(label.line, "labels: " + label.name + ": " + why);
  };
  switch (label.source) {
    case LabelRule::Source::constant:
      declared_.push_back(series.intern(label.constant));
      break;
    case LabelRule::Source::event_name:
      declared_.push_back(series.intern(event_name));
      break;
    case LabelRule::Source::by_event: {
      const auto found = label.by_event.find(std::string(event_name));
      if (found != label.by_event.end()) {
        declared_.push_back(series.intern(found->second));
      } else {
        fail("event " + std::string(event_name) + " is missing here: say which value it gives");
      }
      break;
    }
    case LabelRule::Source::argument:
      if (event != nullptr) {
        bind_argument(label, *event, series, mistakes);
      } else {
        fail(not_described(event_name).detail);
      }
  }
}

void BoundLabel::bind_argument(const LabelRule& label, const trace::CatalogEvent& event,
                               SeriesTable& series, Mistakes& mistakes) {
  const auto fail = [&](const std::string& why) {
    mistakes.add(label.line, "labels: " + label.name + ": " + why);
  };
  decode_ = label.decode;
  is_address_ = uses_pointer(label.argument, event);
  bool is_text = false;
  for (const auto& name : label.argument.names()) {
    const auto place = find_argument(event, name);
    if (!place) return fail(place.error().detail);
    const auto kind = event.arguments[*place].kind;
    is_text |= kind == trace::ArgumentKind::string && label.argument.is_name();
    argument_ = *place;
  }
  if (is_address_ && decode_ == Decode::none) {
    return fail("\"" + label.argument.text() +
                "\" is an address, and every new one would be a new "
                "series: leave it out, or write decode: hex if that is what you want");
  }
  if (is_text && decode_ != Decode::none && decode_ != Decode::map)
    return fail("\"" + label.argument.text() +
                "\" is a string: only decode: {map: ...} is for strings");
  source_ = is_text ? Source::text : Source::number;
  if (!is_text) {
    auto bound = label.argument.bind(event);
    if (!bound) return fail(bound.error().detail);
    value_ = std::move(*bound);
  }
  bits_from_ = label.bits_from;
  bits_mask_ =
      label.bits_count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << label.bits_count) - 1;
  for (const auto& value : label.values) declared_.push_back(series.intern(value));
  for (const auto& [key, name] : label.map) {
    const auto code = series.intern(name);
    if (std::find(declared_.begin(), declared_.end(), code) == declared_.end())
      declared_.push_back(code);
    const auto number = whole_number(key);
    if (is_text) {
      texts_.emplace_back(key, code);
    } else if (!number) {
      return fail("map: \"" + key + "\" is no number, but \"" + label.argument.text() +
                  "\" is one");
    } else {
      numbers_.emplace_back(*number, code);
    }
  }
  std::sort(numbers_.begin(), numbers_.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  if (label.map_default) {
    other_ = series.intern(*label.map_default);
    declared_.push_back(*other_);
  }
}

EvaluationError BoundLabel::evaluate(const trace::Arguments& arguments, SeriesTable& series,
                                     LabelCode& code) const {
  if (source_ == Source::fixed) {
    code = declared_.front();
    return EvaluationError::none;
  }
  if (source_ == Source::number) {
    Integer value = 0;
    const auto error = value_.evaluate(arguments, value);
    if (error == EvaluationError::none) code = decode(value);
    return error;
  }
  const auto text = arguments.values[argument_].text;
  if (decode_ == Decode::map) {
    const auto found = std::lower_bound(
        texts_.begin(), texts_.end(), text,
        [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
    if (found != texts_.end() && found->first == text) {
      code = found->second;
      return EvaluationError::none;
    }
    if (other_) {
      code = *other_;
      return EvaluationError::none;
    }
  }
  code = series.from_record(text);
  return EvaluationError::none;
}

LabelCode BoundLabel::decode(Integer value) const {
  switch (decode_) {
    case Decode::none:
    case Decode::decimal:
      return decimal(value);
    case Decode::hex:
      return {low_64(value), Form::hex};
    case Decode::size:
      return size_class(value);
    case Decode::bits:
      return {low_64(value) >> bits_from_ & bits_mask_, Form::decimal};
    case Decode::map: {
      const auto found =
          std::lower_bound(numbers_.begin(), numbers_.end(), value,
                           [](const auto& entry, Integer wanted) { return entry.first < wanted; });
      if (found != numbers_.end() && found->first == value) return found->second;
      if (other_) return *other_;
      return {low_64(value), value < 0 ? Form::unknown_negative : Form::unknown};
    }
  }
  return {};
}

}  // namespace qemon::exporters
