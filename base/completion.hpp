// Completion: what the last word of an unfinished command line may become.
#pragma once

#include <functional>
#include <iosfwd>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): the library calls itself so.
class App;
}

namespace qemon {

/// A value is being written.
struct WantedValue {
  std::vector<std::string> commands;           ///< "event", "on".
  std::string name;                            ///< Of its option ("--vm"), or its place ("GLOB").
  std::string type;                            ///< What the help calls it, for instance "FILE".
  std::string typed;                           ///< As much as there is of it.
  std::map<std::string, std::string> options;  ///< Those with a value that stand before it.
};

struct Candidate {
  std::string word;
  std::string help;  ///< May be empty.
};

struct Completion {
  std::vector<Candidate> candidates;
  bool files = false;        ///< The names of files as well.
  bool directories = false;  ///< Those of folders as well.
};

/// Adds the values that only the program knows; those that do not begin as typed are left out
/// afterwards.
using ValueSource = std::function<void(const WantedValue& wanted, Completion& into)>;

/// `words` is the command line so far, without the program; the last one is to be completed and may
/// be empty. Commands, options and their fixed values come from the parser `app` itself, so that
/// completion and parsing never differ.
[[nodiscard]] Completion complete(const CLI::App& app, std::span<const std::string> words,
                                  const ValueSource& values);

/// What the shells' scripts read: a line for each candidate, its help behind a tab. A line that
/// begins with a tab says `files` or `directories`.
void print(const Completion& completion, std::ostream& out);

/// Whether the command line asks for that: `PROGRAM complete WORD...`. Not a command of the parser,
/// since no person types it, and its words need not be understood.
[[nodiscard]] bool wants_completion(int argc, const char* const* argv);

/// Does what wants_completion() says.
void print_completion(const CLI::App& app, int argc, const char* const* argv,
                      const ValueSource& values, std::ostream& out);

}  // namespace qemon
