#include "exporters/yaml_document.hpp"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/emitterstyle.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <unordered_set>

#include "base/utf8.hpp"

namespace qemon::exporters {
namespace {

constexpr std::size_t bytes_max = 1024 * 1024;
constexpr std::size_t depth_max = 20;

/// Builds the tree from yaml-cpp's events rather than from its nodes, which have lost repeated
/// keys.
class Builder final : public YAML::EventHandler {
 public:
  /// `text` is what is parsed.
  Builder(std::string_view text, Mistakes& mistakes) : text_(text), mistakes_(mistakes) {}

  [[nodiscard]] YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(mark, {}, anchor);
    put(node(YamlNode::Kind::null, mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    mistakes_.add(line_of(mark), "aliases (*NAME) cannot be used here: write the value out");
    put(node(YamlNode::Kind::null, mark));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check(mark, tag, anchor);
    auto scalar = node(YamlNode::Kind::scalar, mark);
    scalar.scalar = value;
    put(std::move(scalar));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check(mark, tag, anchor);
    open(node(YamlNode::Kind::sequence, mark));
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check(mark, tag, anchor);
    open(node(YamlNode::Kind::map, mark));
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    YamlNode node;
    bool has_key = false;
    std::string key;
    int key_line = 0;
    std::unordered_set<std::string> keys;  ///< Those that are there already.
  };

  static int line_of(const YAML::Mark& mark) { return mark.line + 1; }

  static YamlNode node(YamlNode::Kind kind, const YAML::Mark& mark) {
    YamlNode made;
    made.kind = kind;
    made.line = line_of(mark);
    return made;
  }

  void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor)
      mistakes_.add(line_of(mark), "anchors (&NAME) cannot be used here: write the value out");
    // "?" is a plain scalar or collection, "!" a quoted scalar, but also a tag that is just !: it
    // is told by what stands in the text, because an expression must not lose its operator.
    const auto at = static_cast<std::size_t>(std::max(mark.pos, 0));
    const bool lone = tag == "!" && at < text_.size() && text_[at] == '!';
    if (lone || (!tag.empty() && tag != "?" && tag != "!"))
      mistakes_.add(line_of(mark),
                    "tags (!NAME) cannot be used here: quote a value that begins with !");
  }

  void open(YamlNode started) {
    if (levels_.size() == depth_max) mistakes_.add(started.line, "is nested too deeply");
    levels_.push_back({std::move(started), false, {}, 0, {}});
  }

  void close() {
    auto done = std::move(levels_.back().node);
    levels_.pop_back();
    put(std::move(done));
  }

  void put(YamlNode value) {
    if (levels_.empty()) {
      root_ = std::move(value);
      return;
    }
    auto& level = levels_.back();
    if (level.node.is_sequence()) {
      level.node.items.push_back(std::move(value));
    } else if (!level.has_key) {
      if (!value.is_scalar()) mistakes_.add(value.line, "a key must be a plain word or number");
      level.key = std::move(value.scalar);
      level.key_line = value.line;
      level.has_key = true;
      if (!level.keys.insert(level.key).second)
        mistakes_.add(level.key_line, level.key + ": is given twice");
    } else {
      // The parser takes a value that is not there for one in front of what comes next.
      if (value.kind == YamlNode::Kind::null) value.line = level.key_line;
      level.node.entries.push_back({std::move(level.key), level.key_line, std::move(value)});
      level.has_key = false;
    }
  }

  std::string_view text_;
  Mistakes& mistakes_;
  std::vector<Level> levels_;
  YamlNode root_;
};

/// Whether it is UTF-8 without control characters. yaml-cpp takes one of them for the end of the
/// file, and texts end up on pages that must be UTF-8.
bool is_text(std::string_view text, Mistakes& mistakes) {
  int line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    const auto size = utf8_length(text.substr(at, 4));
    if (size == 0) {
      mistakes.add(line, "is no text: it must be UTF-8");
      return false;
    }
    if (c >= 0 && c < ' ' && c != '\t' && c != '\n' && c != '\r') {
      mistakes.add(line, "is no text: it holds control characters: remove them");
      return false;
    }
    if (c == '\n') ++line;
    at += size;
  }
  return true;
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const YamlEntry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &found->value;
}

std::optional<YamlNode> parse_yaml(std::string_view text, Mistakes& mistakes) {
  const auto before = mistakes.size();
  if (text.size() > bytes_max) {
    mistakes.add(0, "is larger than 1 MiB, which no such file is");
    return std::nullopt;
  }
  if (!is_text(text, mistakes)) return std::nullopt;
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  std::istringstream stream{std::string(text)};
  Builder builder(text, mistakes);
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) {
      mistakes.add(0, "is empty");
      return std::nullopt;
    }
    Mistakes ignored({});
    Builder further(text, ignored);
    if (parser.HandleNextDocument(further))
      mistakes.add(0, "holds more than one document: remove what follows the line ---");
  } catch (const YAML::Exception& error) {
    mistakes.add(error.mark.line + 1,
                 error.msg +
                     " (indent with blanks, not with tabs, and quote values that begin with "
                     "one of *&!|>%@ or contain \": \" or \" #\")");
  }
  if (mistakes.size() != before) return std::nullopt;
  return builder.take();
}

}  // namespace qemon::exporters
