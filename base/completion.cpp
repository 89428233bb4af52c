#include "base/completion.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <ostream>
#include <set>
#include <string_view>

namespace qemon {

namespace {

std::string name_of(const CLI::Option& option) {
  if (!option.get_lnames().empty()) return "--" + option.get_lnames().front();
  if (!option.get_snames().empty()) return "-" + option.get_snames().front();
  return option.get_name();
}

bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_max() > 0;
}

/// Options of the command and of those that it is part of, which may stand behind it too. The inner
/// one comes first where both have the same.
std::vector<const CLI::Option*> options_at(const CLI::App& app) {
  std::vector<const CLI::Option*> options;
  std::set<std::string> names;
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options())
      if (option->nonpositional() && names.insert(name_of(*option)).second)
        options.push_back(option);
  }
  return options;
}

/// How far the words before the last one lead.
class Walk {
 public:
  explicit Walk(const CLI::App& app) : app_(&app) {}

  void take(const std::string& word) {
    if (pending_ != nullptr) return take_value(word);
    if (word == "--" && !only_positionals_) {
      only_positionals_ = true;
    } else if (word.size() > 1 && word.front() == '-' && !only_positionals_) {
      take_option(word);
    } else if (const CLI::App* const command = command_named(word)) {
      app_ = command;
      commands_.push_back(word);
    } else {
      positionals_.push_back(word);
    }
  }

  [[nodiscard]] Completion finish(const std::string& word, const ValueSource& values) const {
    Completion completion;
    std::string in_front;  // Of the value, in the same word: "--vm=".
    const auto equals = word.find('=');
    if (pending_ != nullptr) {
      add_values(*pending_, word, values, completion);
    } else if (!only_positionals_ && word.starts_with("--") && equals != std::string::npos) {
      in_front = word.substr(0, equals + 1);
      if (const CLI::Option* const option = option_named(word.substr(0, equals)))
        add_values(*option, word.substr(equals + 1), values, completion);
    } else if (!only_positionals_ && word.starts_with('-')) {
      add_options(completion);
    } else {
      add_commands(completion);
      if (const CLI::Option* const option = next_positional())
        add_values(*option, word, values, completion);
    }
    for (Candidate& candidate : completion.candidates) candidate.word.insert(0, in_front);
    std::erase_if(completion.candidates,
                  [&](const Candidate& candidate) { return !candidate.word.starts_with(word); });
    return completion;
  }

 private:
  void take_value(const std::string& word) {
    values_[name_of(*pending_)] = word;
    pending_ = nullptr;
  }

  void take_option(const std::string& word) {
    const auto equals = word.find('=');
    const CLI::Option* const option = option_named(word.substr(0, equals));
    if (option == nullptr) return;
    given_.insert(option);
    if (!takes_value(*option)) return;
    pending_ = option;
    if (equals != std::string::npos) take_value(word.substr(equals + 1));
  }

  [[nodiscard]] const CLI::Option* option_named(const std::string& word) const {
    for (const CLI::Option* option : options_at(*app_))
      if (option->check_name(word)) return option;
    return nullptr;
  }

  [[nodiscard]] std::vector<const CLI::App*> commands() const {
    if (!positionals_.empty()) return {};
    return app_->get_subcommands([](const CLI::App* command) {
      return !command->get_name().empty() && !command->get_group().empty();
    });
  }

  [[nodiscard]] const CLI::App* command_named(const std::string& word) const {
    for (const CLI::App* command : commands())
      if (command->get_name() == word) return command;
    return nullptr;
  }

  [[nodiscard]] const CLI::Option* next_positional() const {
    std::size_t taken = positionals_.size();
    for (const CLI::Option* option : app_->get_options()) {
      if (!option->get_positional()) continue;
      const auto room = static_cast<std::size_t>(std::max(option->get_items_expected_max(), 0));
      if (taken < room) return option;
      taken -= room;
    }
    return nullptr;
  }

  void add_commands(Completion& into) const {
    for (const CLI::App* command : commands())
      into.candidates.push_back({command->get_name(), command->get_description()});
  }

  void add_options(Completion& into) const {
    for (const CLI::Option* option : options_at(*app_)) {
      const bool once = option->get_items_expected_max() <= 1;
      if (option->get_group().empty() || (once && given_.contains(option))) continue;
      into.candidates.push_back({name_of(*option), option->get_description()});
    }
  }

  /// The type of an option may end in the values that there are, as CLI::IsMember writes them:
  /// "FORMAT:{table,json}".
  void add_values(const CLI::Option& option, const std::string& typed, const ValueSource& values,
                  Completion& into) const {
    if (!takes_value(option)) return;
    WantedValue wanted;
    wanted.commands = commands_;
    wanted.name = option.nonpositional() ? name_of(option) : option.get_name();
    wanted.type = option.nonpositional() ? option.get_type_name() : wanted.name;
    wanted.typed = typed;
    wanted.options = values_;
    const auto open = wanted.type.find('{');
    if (open != std::string::npos) {
      std::string_view rest = std::string_view(wanted.type).substr(open + 1);
      while (!rest.empty()) {
        const auto length = rest.find_first_of(",}");
        into.candidates.push_back({std::string(rest.substr(0, length)), ""});
        rest.remove_prefix(length == std::string_view::npos ? rest.size() : length + 1);
      }
    }
    into.files = wanted.type.find("FILE") != std::string::npos || wanted.type == "PATH";
    into.directories = wanted.type == "DIR";
    values(wanted, into);
    // What is there already would only be asked for twice.
    if (option.nonpositional()) return;
    std::erase_if(into.candidates, [&](const Candidate& candidate) {
      return std::ranges::find(positionals_, candidate.word) != positionals_.end();
    });
  }

  const CLI::App* app_;
  std::vector<std::string> commands_;
  std::vector<std::string> positionals_;
  std::map<std::string, std::string> values_;
  std::set<const CLI::Option*> given_;
  const CLI::Option* pending_ = nullptr;  ///< Its value comes next.
  bool only_positionals_ = false;
};

/// What would break the line, or what a terminal would act on. Nothing of ours has it, but VMs of
/// others are given names by others.
bool is_plain(std::string_view text) {
  return std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

Completion complete(const CLI::App& app, std::span<const std::string> words,
                    const ValueSource& values) {
  if (words.empty()) return {};
  Walk walk(app);
  for (const std::string& word : words.first(words.size() - 1)) walk.take(word);
  return walk.finish(words.back(), values);
}

void print(const Completion& completion, std::ostream& out) {
  for (const Candidate& candidate : completion.candidates) {
    if (candidate.word.empty() || !is_plain(candidate.word)) continue;
    out << candidate.word;
    if (!candidate.help.empty() && is_plain(candidate.help)) out << '\t' << candidate.help;
    out << '\n';
  }
  if (completion.files) out << "\tfiles\n";
  if (completion.directories) out << "\tdirectories\n";
}

bool wants_completion(int argc, const char* const* argv) {
  return argc > 1 && std::string_view(argv[1]) == "complete";
}

void print_completion(const CLI::App& app, int argc, const char* const* argv,
                      const ValueSource& values, std::ostream& out) {
  const std::vector<std::string> words(argv + 2, argv + argc);
  print(complete(app, words, values), out);
}

}  // namespace qemon
