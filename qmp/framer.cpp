#include "qmp/framer.hpp"

#include "base/utf8.hpp"
#include "qmp/error.hpp"

namespace qemon::qmp {

namespace {

// How much of a line that is not QMP is waited for and shown.
constexpr std::size_t excerpt_bytes = 80;

// A buffer that grew beyond this for one long reply is given back when the reply has been used: a
// host may have a thousand monitors, and most replies are a few kilobytes.
constexpr std::size_t buffer_bytes_kept = 16384;

}  // namespace

void Framer::feed(std::string_view bytes) {
  drop_used();
  buffer_.append(bytes);
}

void Framer::drop_used() {
  if (start_ == 0) return;
  buffer_.erase(0, start_);
  scan_ -= start_;
  start_ = 0;
  if (buffer_.empty() && buffer_.capacity() > buffer_bytes_kept) std::string().swap(buffer_);
}

Result<std::optional<std::string_view>> Framer::next() {
  const auto scanned = scan();
  if (!scanned) return scanned.error();
  if (*scanned == Step::more) {
    if (start_ == buffer_.size()) drop_used();
    return std::optional<std::string_view>();
  }
  const std::string_view message = std::string_view(buffer_).substr(start_, scan_ - start_);
  forget_message();
  return std::optional(message);
}

Result<Framer::Step> Framer::scan() {
  if (open_.empty()) {
    const auto found = scan_outside();
    if (!found || *found == Step::more) return found;
  }
  while (scan_ < buffer_.size()) {
    if (scan_ - start_ >= line_bytes_max_) {
      return make_error(errc::line_too_long, "the monitor sent a message of more than " +
                                                 std::to_string(line_bytes_max_) + " bytes");
    }
    const auto done = step(buffer_[scan_]);
    if (!done) return done;
    ++scan_;
    if (*done == Step::complete) return done;
  }
  return Step::more;
}

// Between messages only white space may stand; `complete` means that a message starts at start_.
Result<Framer::Step> Framer::scan_outside() {
  while (scan_ < buffer_.size()) {
    const char c = buffer_[scan_];
    if (c == '{') {
      start_ = scan_;
      return Step::complete;
    }
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      // Wait for the rest of the line, because the message quotes it.
      const bool enough =
          buffer_.size() - scan_ >= excerpt_bytes || buffer_.find('\n', scan_) != buffer_.npos;
      if (enough) return not_a_message();
      return Step::more;
    }
    start_ = ++scan_;
  }
  return Step::more;
}

Result<Framer::Step> Framer::step(char c) {
  if (in_string_) {
    if (c == '\n') {
      return make_error(errc::protocol, "the monitor sent a line that ends inside a string");
    }
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
    }
    return Step::more;
  }
  switch (c) {
    case '"':
      in_string_ = true;
      return Step::more;
    case '{':
    case '[':
      if (open_.size() >= depth_max_) {
        return make_error(errc::protocol, "the monitor sent a message nested more than " +
                                              std::to_string(depth_max_) + " levels deep");
      }
      open_.push_back(c == '{' ? '}' : ']');
      return Step::more;
    case '}':
    case ']':
      if (open_.back() != c) {
        return make_error(errc::protocol, "the monitor sent a message with unbalanced brackets");
      }
      open_.pop_back();
      return open_.empty() ? Step::complete : Step::more;
    case '\n':
      if (scan_ == start_ + 1 || (scan_ == start_ + 2 && buffer_[start_ + 1] == '\r')) {
        pretty_ = true;
      }
      if (!pretty_) {
        return make_error(errc::protocol,
                          "the monitor sent a line that ends in the middle of a message");
      }
      return Step::more;
    default:
      return Step::more;
  }
}

Error Framer::not_a_message() const {
  std::string_view line = std::string_view(buffer_).substr(scan_, excerpt_bytes);
  line = line.substr(0, line.find('\n'));
  std::string text = "this is not a QMP monitor: it sent \"" + one_line(line) + "\"";
  // The first line of a human monitor, since ever: QEMU 7.2.22 monitor - type 'help' for more
  // information
  if (line.starts_with("QEMU ") && line.find("monitor") != line.npos) {
    text +=
        "; this is a human monitor (-monitor): give QEMU a -qmp as well, and use that; or "
        "write hmp: in front of this address";
  }
  return make_error(errc::protocol, std::move(text));
}

void Framer::forget_message() {
  start_ = scan_;
  pretty_ = false;
}

}  // namespace qemon::qmp
