// The parser of Expression: recursive descent, which writes the steps in the order of evaluation.
#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>

#include "exporters/expression.hpp"

namespace qemon::exporters {
namespace {

constexpr std::size_t length_max = 500;
constexpr std::size_t nesting_max = 20;

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_part(char c) {
  return is_name_start(c) || is_digit(c);
}

}  // namespace

class ExpressionParser {
 public:
  explicit ExpressionParser(std::string_view text) : rest_(text), whole_(text) {}

  Result<Expression> parse() {
    if (whole_.size() > length_max) return Error{"is longer than 500 characters"};
    parse_level(0);
    skip_blanks();
    if (problem_.empty() && !rest_.empty()) fail("does not belong here");
    if (!problem_.empty()) return Error{problem_};
    expression_.text_ = whole_;
    return expression_;
  }

 private:
  using Code = Expression::Code;
  using Step = Expression::Step;
  struct Operator {
    std::string_view text;
    Code code;
  };

  /// By precedence, loosest first, as in C.
  static std::initializer_list<Operator> operators(std::size_t level) {
    static const std::initializer_list<Operator> levels[] = {
        {{"||", Code::or_jump}},
        {{"&&", Code::and_jump}},
        {{"|", Code::bit_or}},
        {{"&", Code::bit_and}},
        {{"==", Code::equal}, {"!=", Code::not_equal}},
        // Longest first, and shifts are told from comparisons in take_operator.
        {{"<=", Code::less_equal},
         {">=", Code::greater_equal},
         {"<", Code::less},
         {">", Code::greater}},
        {{"<<", Code::shift_left}, {">>", Code::shift_right}},
        {{"+", Code::add}, {"-", Code::subtract}},
        {{"*", Code::multiply}, {"/", Code::divide}, {"%", Code::remainder}}};
    return levels[level];
  }
  static constexpr std::size_t level_count = 9;

  void parse_level(std::size_t level) {
    if (level == level_count) return parse_unary();
    parse_level(level + 1);
    while (problem_.empty()) {
      const auto code = take_operator(level);
      if (!code) return;
      if (*code == Code::and_jump || *code == Code::or_jump) {
        const auto jump = emit(*code, 0);
        --depth_;
        parse_level(level + 1);
        emit(Code::truth, 0);
        expression_.code_[jump].index = static_cast<std::uint16_t>(expression_.code_.size());
      } else {
        parse_level(level + 1);
        emit(*code, 0);
        --depth_;
      }
    }
  }

  std::optional<Code> take_operator(std::size_t level) {
    skip_blanks();
    for (const auto& each : operators(level)) {
      if (!rest_.starts_with(each.text)) continue;
      const char next = rest_.size() > each.text.size() ? rest_[each.text.size()] : ' ';
      const char first = each.text.front();
      // "<" is not the first half of "<<", nor "&" that of "&&"; "<=" ends with "=" itself.
      if (each.text.size() == 1 && next == first &&
          (first == '<' || first == '>' || first == '&' || first == '|'))
        continue;
      rest_.remove_prefix(each.text.size());
      return each.code;
    }
    return std::nullopt;
  }

  void parse_unary() {
    skip_blanks();
    if (++nesting_ > nesting_max) return fail("is nested too deeply");
    if (rest_.starts_with('-') || (rest_.starts_with('!') && !rest_.starts_with("!="))) {
      const auto code = rest_.front() == '-' ? Code::negate : Code::invert;
      rest_.remove_prefix(1);
      parse_unary();
      emit(code, 0);
    } else if (rest_.starts_with('(')) {
      rest_.remove_prefix(1);
      parse_level(0);
      skip_blanks();
      if (!problem_.empty()) return;
      if (!rest_.starts_with(')')) return fail("should be a closing parenthesis");
      rest_.remove_prefix(1);
    } else {
      parse_value();
    }
    --nesting_;
  }

  void parse_value() {
    if (rest_.empty()) return fail("is missing a number or an argument's name");
    if (is_digit(rest_.front())) return parse_number();
    if (!is_name_start(rest_.front())) return fail("should be a number or an argument's name");
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_name_part);
    const std::string name(rest_.begin(), end);
    rest_.remove_prefix(name.size());
    auto& names = expression_.names_;
    auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) found = names.insert(found, name);
    push(Code::argument, 0, static_cast<std::uint16_t>(found - names.begin()));
  }

  void parse_number() {
    const bool hex = rest_.starts_with("0x") || rest_.starts_with("0X");
    const auto digits = rest_.substr(hex ? 2 : 0);
    std::uint64_t value = 0;
    const auto [end, code] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
    const auto size = static_cast<std::size_t>(end - digits.data());
    if (code == std::errc::result_out_of_range) return fail("is a number beyond 64 bits");
    const bool octal = !hex && size > 1 && digits.front() == '0';
    if (size == 0 || octal || (size < digits.size() && is_name_part(digits[size])))
      return fail(octal ? "is no number: leave the 0 in front out" : "is no number");
    rest_ = digits.substr(size);
    push(Code::constant, value, 0);
  }

  void push(Code code, Integer value, std::uint16_t index) {
    expression_.code_[emit(code, value)].index = index;
    if (++depth_ > Expression::stack_max) fail("is nested too deeply");
  }

  std::size_t emit(Code code, Integer value) {
    Step step;
    step.code = code;
    step.value = value;
    expression_.code_.push_back(step);
    return expression_.code_.size() - 1;
  }

  void skip_blanks() {
    while (!rest_.empty() &&
           (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == '\n'))
      rest_.remove_prefix(1);
  }

  void fail(std::string_view what) {
    if (!problem_.empty()) return;
    const auto column = whole_.size() - rest_.size() + 1;
    const auto shown = rest_.substr(0, 12);
    problem_ = "\"" + std::string(whole_.substr(0, 80)) +
               "\": " + (shown.empty() ? "the end" : "\"" + std::string(shown) + "\"") +
               " (character " + std::to_string(column) + ") " + std::string(what);
  }

  std::string_view rest_;
  std::string_view whole_;
  Expression expression_;
  std::string problem_;
  std::size_t nesting_ = 0;
  std::size_t depth_ = 0;
};

Result<Expression> Expression::parse(std::string_view text) {
  return ExpressionParser(text).parse();
}

}  // namespace qemon::exporters
