// Any text as a pack: parsed, checked against a catalog, and used on the records of a log.
//
// An input is the file, and behind a line "----" the log; without that line, a few lines of ours.
#include <array>
#include <set>
#include <tuple>

#include "exporters/pack.hpp"
#include "exporters/pack_check.hpp"
#include "exporters/yaml_document.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/packs.hpp"
#include "trace/exec_log_decoder.hpp"
#include "trace/log_decoder.hpp"

namespace qemon::fuzz {
namespace {

using exporters::Mistakes;
using exporters::Pack;
using exporters::YamlNode;

constexpr std::string_view file_name = "mine.yaml";
constexpr std::string_view log =
    "17754@1795378848.064870:virtio_blk_handle_read vdev 0x1 req 0x2 sector 8 nsectors 16\n"
    "17754@1795378848.064970:blk_co_preadv blk 0x3 bs 0x4 offset 4096 bytes 8192 flags 0x0\n"
    "17754@1795378848.065070:virtio_blk_req_complete vdev 0x1 req 0x2 status 0\n"
    "17754@1795378848.064870:virtio_blk_handle_write vdev 0x1 req 0x2 sector 0 nsectors 1\n"
    "17754@1795378848.064000:virtio_blk_req_complete vdev 0x1 req 0x2 status -5\n"
    "17754@1795378848.065170:handle_qmp_command mon 0x5 req: {\"a\": \"\xff\"}\n"
    "virtio_blk_handle_read vdev 0x1 req 0x2 sector 18446744073709551615 nsectors "
    "9223372036854775807\n"
    "Trace 0: 0x7f33e8000100 [00000000ffff0000/00000000fffffff0/00000040/ff000200] symbol\n";

void check_mistakes(const Mistakes& mistakes) {
  for (const auto& line : mistakes.lines()) {
    require_one_line(line, "a mistake is told in one line");
    require(line.starts_with(file_name), "a mistake names the file");
  }
}

/// Returns how deep the nesting is.
int check(const YamlNode& node, int lines) {
  require(node.line >= 0 && node.line <= lines, "a node begins on a line of the file");
  int depth = 0;
  for (const auto& item : node.items) depth = std::max(depth, check(item, lines));
  std::set<std::string_view> keys;
  for (const auto& entry : node.entries) {
    require(keys.insert(entry.key).second, "a key is there once");
    depth = std::max(depth, check(entry.value, lines));
  }
  return depth + 1;
}

template <typename Decoder>
void use(const std::shared_ptr<const Pack>& pack, std::string_view text) {
  trace::EventTable events;
  Decoder decoder(events);
  static const auto exec_catalog = trace::exec_log_catalog();
  if constexpr (std::is_same_v<Decoder, trace::LogDecoder>) {
    describe(events);
  } else {
    events.use_catalog(&exec_catalog);
  }
  exporters::Engine engine(events);
  const std::array packs{pack};
  require(engine.use(packs), "a pack is used");
  // Twice: what is in flight at the end of the first meets the second.
  for (int i = 0; i < 2; ++i) {
    std::ignore = decoder.decode(text, engine);
    engine.on_loss(0);
    for (const auto& [name, metric] : engine.metrics())
      require(engine.in_flight(*metric) == 0, "nothing is in flight behind a loss");
  }
  require_sound_metrics(engine);
  require(!engine.use(packs), "a pack that is in use goes on");
}

void run(std::string_view input) {
  const bool has_log = input.find("\n----\n") != std::string_view::npos;
  const auto text = take_until(input, "\n----\n");
  const auto lines = static_cast<int>(std::count(text.begin(), text.end(), '\n')) + 1;

  Mistakes in_document{std::string(file_name)};
  const auto document = exporters::parse_yaml(text, in_document);
  require(document.has_value() == in_document.empty(), "either a document or mistakes");
  check_mistakes(in_document);
  if (document) require(check(*document, lines) <= 22, "nesting is bounded");

  Mistakes mistakes{std::string(file_name)};
  auto pack = exporters::parse_pack(text, mistakes);
  require(pack.has_value() == mistakes.empty(), "either a pack or mistakes");
  check_mistakes(mistakes);
  if (!pack) return;
  static const std::array catalogs{exporters::NamedCatalog{
      "excerpt", std::shared_ptr<const trace::Catalog>(&excerpt(), [](const auto*) {})}};
  const auto checked = exporters::check_pack(*pack, catalogs);
  check_mistakes(checked.mistakes);
  for (const auto& note : checked.notes) require_one_line(note, "a note is one line");
  const auto shared = std::make_shared<const Pack>(std::move(*pack));
  if (shared->exec_log) {
    use<trace::ExecLogDecoder>(shared, has_log ? input : log);
  } else {
    use<trace::LogDecoder>(shared, has_log ? input : log);
  }
}

}  // namespace
}  // namespace qemon::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qemon::fuzz::run(qemon::fuzz::text_of(data, size));
  return 0;
}
