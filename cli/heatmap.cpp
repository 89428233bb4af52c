// qemon heatmap: which guest code was executed, as figures, a map in the terminal, SVG and PNG.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <bit>
#include <chrono>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <sstream>
#include <thread>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/heat_picture.hpp"
#include "cli/heat_text.hpp"
#include "cli/profile_source.hpp"
#include "cli/profile_text.hpp"
#include "cli/symbols.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

constexpr const char* standard_input = "-";
constexpr std::uint64_t page_bytes_max = std::uint64_t{1} << 40;

struct HeatmapOptions {
  std::string source;
  std::string vm;
  std::vector<std::string> elf_files;
  std::string page = "4K";
  std::size_t top = 1;
  std::string colour = "auto";
  std::string svg;
  std::string png;
  bool watch = false;
};

/// A power of two, with or without a unit.
std::optional<std::uint64_t> parse_page_bytes(std::string text) {
  try {
    // Leaves the number of bytes.
    if (!CLI::AsSizeValue(false)(text).empty()) return std::nullopt;
  } catch (const CLI::Error&) {
    return std::nullopt;
  }
  std::string_view digits = text;
  const auto bytes = take_count(digits);
  if (!bytes || !digits.empty() || !std::has_single_bit(*bytes) || *bytes > page_bytes_max)
    return std::nullopt;
  return bytes;
}

ColourMode colour_mode(const std::string& wanted, const Environment& environment) {
  if (wanted == "never") return ColourMode::none;
  if (wanted == "256") return ColourMode::of_256;
  if (wanted == "truecolor") return ColourMode::truecolor;
  // What auto goes by: no-color.org, and what terminals set themselves.
  const auto is = [&](const char* name, const char* value) {
    return environment.variable(name) == value;
  };
  if (!environment.out_is_terminal || environment.variable("NO_COLOR") || is("TERM", "dumb"))
    return ColourMode::none;
  return is("COLORTERM", "truecolor") || is("COLORTERM", "24bit") ? ColourMode::truecolor
                                                                  : ColourMode::of_256;
}

bool is_file(const std::string& source, const Environment& environment) {
  return source == standard_input || source.find('/') != std::string::npos ||
         environment.exists(source);
}

Result<ReadProfile> read_profile(const HeatmapOptions& options, std::uint64_t page_bytes,
                                 CommandContext& context) {
  if (!options.vm.empty()) return profile_of_vm(context.client(), options.vm, page_bytes);
  if (is_file(options.source, context.environment()))
    return profile_of_file(options.source, page_bytes, context.terminal());
  auto read = profile_of_vm(context.client(), options.source, page_bytes);
  // What is said of a VM that there is needs nothing in front.
  if (!read && !read.error().detail.starts_with(options.source + ": "))
    return wrap(read.error(), "there is no file " + options.source + ", and as a VM");
  return read;
}

/// Tells of files whose symbols fit nothing.
void note_useless(const Symbols& symbols, const ExecutionProfile& profile,
                  CommandContext& context) {
  for (std::size_t file = 0; file < symbols.names().size(); ++file) {
    const bool useful = std::ranges::any_of(profile.counters, [&](const auto& counter) {
      return symbols.find_in(file, counter.value).has_value();
    });
    if (!useful)
      context.note(symbols.names()[file] +
                   ": names none of the program counters: give the address where it is loaded as "
                   "FILE@0xADDRESS, or the file as it was before it was stripped");
  }
}

void write_svg(const Picture& picture, const std::string& path, CommandContext& context) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << to_svg(picture);
  file.close();
  if (!file) return context.fail(path + ": cannot be written: name another file");
  context.note("heat map in " + path);
}

void draw_pictures(const HeatmapOptions& options, const ExecutionProfile& profile,
                   const Symbols& symbols, CommandContext& context) {
  if (options.svg.empty() && options.png.empty()) return;
  if (profile.pages.empty())
    return context.fail("nothing to draw: no page is known that was executed");
  const Picture picture = heat_picture(profile, symbols);
  if (!options.svg.empty()) write_svg(picture, options.svg, context);
  if (options.png.empty()) return;
  if (const auto written = write_png(picture, options.png); !written)
    return context.fail(written.error().detail + ": name another file");
  context.note("heat map in " + options.png);
}

void print_all(const HeatmapOptions& options, const ExecutionProfile& profile,
               const Symbols& symbols, const Environment& environment, std::ostream& out) {
  print_profile(profile, symbols, options.top, out);
  print_heat_map(profile, environment.columns, colour_mode(options.colour, environment), out);
}

/// Draws the map of a VM anew every second, until that fails or a signal ends us.
void watch_vm(const HeatmapOptions& options, std::uint64_t page_bytes, const Symbols& symbols,
              CommandContext& context) {
  const Environment& environment = context.environment();
  if (context.json() || !environment.out_is_terminal)
    return context.refuse("--watch draws on a terminal, which the output is not: leave it out");
  const std::string& vm = options.vm.empty() ? options.source : options.vm;
  if (options.vm.empty() && is_file(vm, environment))
    return context.refuse("--watch is for VMs, and " + vm + " is a file: a VM is given by --vm");
  while (context.out()) {
    const auto read = profile_of_vm(context.client(), vm, page_bytes);
    if (!read) return context.fail(read.error().detail);
    std::ostringstream screen;
    print_all(options, read->profile, symbols, environment, screen);
    // From the top left corner over what is there, whose rests go line by line: nothing flickers.
    std::string lines = screen.str();
    for (std::size_t at = 0; (at = lines.find('\n', at)) != std::string::npos; at += 4)
      lines.insert(at, "\x1b[K");
    context.out() << "\x1b[H" << lines << "\x1b[J" << std::flush;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

void show_heat_map(const HeatmapOptions& options, CommandContext& context) {
  if (options.source.empty() == options.vm.empty())
    return context.refuse("give either a file or a VM: see 'qemon heatmap --help'");
  const auto page_bytes = parse_page_bytes(options.page);
  if (!page_bytes)
    return context.refuse("--page " + options.page +
                          ": must be a power of two, for instance 4096, 64K or 2M");
  Symbols symbols;
  for (const auto& file : options.elf_files)
    if (const auto added = symbols.add(file); !added)
      return context.fail("--elf " + added.error().detail);

  if (options.watch) return watch_vm(options, *page_bytes, symbols, context);
  const auto read = read_profile(options, *page_bytes, context);
  if (!read) return context.fail(read.error().detail);
  for (const auto& note : read->notes) context.note(note);
  if (read->problem) context.fail(read->problem->detail);
  const ExecutionProfile& profile = read->profile;
  note_useless(symbols, profile, context);
  if (context.json()) {
    context.print(profile_json(profile, symbols, options.top));
  } else {
    print_all(options, profile, symbols, context.environment(), context.out());
  }
  draw_pictures(options, profile, symbols, context);
}

}  // namespace

void add_heatmap_command(CLI::App& app, Invocation& invocation) {
  CLI::App* const heatmap =
      app.add_subcommand("heatmap", "Show which guest code was executed, page by page");
  // Owned by the parser, which fills them in, and by the command, which outlives it.
  const auto options = std::make_shared<HeatmapOptions>();
  heatmap
      ->add_option("FILE|VM", options->source,
                   "Log of -d exec or -d cpu, trace with exec_tb, plain or gzip, or file of the "
                   "TCG plugin; - for standard input. Or a VM, if there is no such file")
      ->type_name("")
      ->check(not_empty());
  heatmap->add_option("--vm", options->vm, "A VM, though there is a file of that name")
      ->type_name("NAME")
      ->check(not_empty());
  heatmap
      ->add_option("--elf", options->elf_files,
                   "Names program counters by the symbols of this file. ADDRESS is where its first "
                   "segment is loaded, if not where the file says. May be repeated")
      ->type_name("FILE[@0xADDRESS]")
      ->allow_extra_args(false)
      ->check(not_empty());
  heatmap
      ->add_option("--page", options->page,
                   "Tell ranges of so many bytes apart: a power of two, for instance 64 or 2M "
                   "(default: 4K)")
      ->type_name("SIZE")
      ->check(not_empty());
  heatmap
      ->add_option("--top", options->top,
                   "List so many of the most frequent program counters (default: 1)")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{0}, std::size_t{65536}).description(""));
  heatmap
      ->add_option("--color", options->colour,
                   "auto, truecolor, 256 or never. auto: never if the output is no terminal or "
                   "$NO_COLOR is set (default: auto)")
      ->type_name("WHEN")
      ->check(CLI::IsMember({"auto", "truecolor", "256", "never"}));
  heatmap->add_option("--svg", options->svg, "Draw the map into this file as well, as SVG")
      ->type_name("FILE")
      ->check(not_empty());
  heatmap->add_option("--png", options->png, "Draw the map into this file as well, as PNG")
      ->type_name("FILE")
      ->check(not_empty());
  heatmap
      ->add_flag("--watch", options->watch, "Draw the map of a VM anew every second, until Ctrl-C")
      ->excludes("--svg")
      ->excludes("--png");
  heatmap->footer(
      "Examples:\n"
      "  qemu-x86_64 -d exec,nochain -D exec.log ./a.out; qemon heatmap exec.log --elf a.out\n"
      "  qemon heatmap web1 --top 20 --elf vmlinux --svg web1.svg\n"
      "\n"
      "Exit status: 0 done, 1 nothing to show, or a file could not be read to its end (what was "
      "read is shown) or written, 2 wrong usage.");
  heatmap->callback([&invocation, options] {
    invocation.command = [options](const Invocation&, CommandContext& context) {
      show_heat_map(*options, context);
    };
  });
}

}  // namespace qemon::cli
