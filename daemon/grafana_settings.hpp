// What is told of the Grafana that annotations are written to.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace qemon::daemon {

struct GrafanaSettings {
  std::string url;         ///< Empty: nothing is annotated.
  std::string token_file;  ///< Empty: a Grafana that asks for no token.
  std::string ca_file;     ///< Certificates to trust besides the system's.
  std::string dashboard;   ///< The uid of the only dashboard to annotate; empty for all.
  std::vector<std::string> tags;
  std::optional<std::set<std::string>> topics;  ///< Words of annotation_topics; absent: all.

  bool operator==(const GrafanaSettings&) const = default;
};

/// What can be annotated: the word that the configuration has for it, and Annotation::kind.
struct AnnotationTopic {
  std::string_view word;
  std::string_view kind;
};
inline constexpr std::array<AnnotationTopic, 5> annotation_topics{{{"events", "events"},
                                                                   {"budget", "budget"},
                                                                   {"qmp", "qmp"},
                                                                   {"marks", "mark"},
                                                                   {"experiments", "experiment"}}};
[[nodiscard]] bool is_annotation_topic(std::string_view word);
/// For people: "events, budget, ...".
[[nodiscard]] std::string annotation_topic_words();
/// Whether annotations of that kind are wanted.
[[nodiscard]] bool wants(const GrafanaSettings& settings, std::string_view kind);

/// Of an annotation, in Grafana's database too: 1 to 64 bytes of UTF-8 on one line.
[[nodiscard]] bool is_annotation_tag(std::string_view tag);

/// Where Grafana is, taken apart.
struct GrafanaAddress {
  bool tls = false;
  std::string host;  ///< A name or an address, without brackets.
  std::uint16_t port = 0;
  std::string authority;  ///< As it is written, for the header Host.
  std::string path;       ///< That Grafana is served below, without a slash at its end.
};
[[nodiscard]] Result<GrafanaAddress> parse_grafana_url(std::string_view url);

/// What is wrong with what is told, by the key in the configuration. Reads no file.
struct GrafanaMistake {
  std::string key;
  std::string why;
};
[[nodiscard]] std::vector<GrafanaMistake> mistakes_in(const GrafanaSettings& settings);
/// Whether something is told, but not where Grafana is.
[[nodiscard]] bool lacks_url(const GrafanaSettings& settings);
/// What `more` tells takes the place of what `settings` tells.
void override_with(GrafanaSettings more, GrafanaSettings& settings);
/// What is wrong with the files that it names, a line each.
[[nodiscard]] std::vector<std::string> unusable_files(const GrafanaSettings& settings);

/// The one line of a token file. An Error if there is none that can be one.
[[nodiscard]] Result<std::string> read_token(const std::string& path);

}  // namespace qemon::daemon
