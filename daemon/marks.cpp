#include "daemon/marks.hpp"

#include <utility>

#include "base/utf8.hpp"

namespace qemon::daemon {

namespace {

constexpr std::size_t marks_max = 1000;
constexpr std::size_t text_bytes_max = 500;

}  // namespace

const Mark& Marks::add(Mark mark) {
  if (marks_.size() >= marks_max) marks_.pop_front();
  mark.id = ++last_id_;
  if (mark.vm.empty()) ++without_vm_;
  return marks_.emplace_back(std::move(mark));
}

Result<void> check_mark_text(std::string_view text) {
  if (text.empty()) return Error{"the text is empty"};
  if (text.size() > text_bytes_max)
    return Error{"the text has " + std::to_string(text.size()) + " bytes, more than " +
                 std::to_string(text_bytes_max) + ": write a shorter one"};
  if (!is_one_line(text))
    return Error{"the text must be UTF-8 on one line, without control characters"};
  return Result<void>();
}

}  // namespace qemon::daemon
