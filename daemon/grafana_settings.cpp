#include "daemon/grafana_settings.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <utility>

#include "base/file.hpp"
#include "base/text.hpp"
#include "base/utf8.hpp"

namespace qemon::daemon {

namespace {

constexpr std::size_t tags_max = 10;
constexpr std::size_t file_bytes_max = 1024 * 1024;
constexpr std::size_t tag_bytes_max = 64;
constexpr std::size_t dashboard_bytes_max = 40;  // As Grafana has it.
constexpr std::size_t token_bytes_max = 4096;
constexpr const char* how_urls_look =
    "write http://HOST:PORT or https://HOST:PORT, with the path that Grafana is served below, if "
    "any";

bool is_visible_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

/// Host and port, of which the port may be missing.
bool take_authority(std::string_view authority, GrafanaAddress& address) {
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return false;
    address.host = authority.substr(1, close - 1);
    boost::system::error_code refused;
    boost::asio::ip::make_address_v6(address.host, refused);
    if (refused) return false;
    port = authority.substr(close + 1);
  } else {
    const auto colon = std::min(authority.find(':'), authority.size());
    address.host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  if (address.host.empty() || address.host.find_first_of("@\"<>\\^`{|}") != std::string::npos)
    return false;
  if (port.empty()) return true;
  port.remove_prefix(1);
  const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  return code == std::errc() && end == port.data() + port.size() && address.port != 0;
}

}  // namespace

bool is_annotation_topic(std::string_view word) {
  return std::any_of(annotation_topics.begin(), annotation_topics.end(),
                     [&](const AnnotationTopic& topic) { return topic.word == word; });
}

std::string annotation_topic_words() {
  std::string words;
  for (const auto& topic : annotation_topics) {
    if (!words.empty()) words += ", ";
    words += topic.word;
  }
  return words;
}

bool wants(const GrafanaSettings& settings, std::string_view kind) {
  if (!settings.topics) return true;
  return std::any_of(
      annotation_topics.begin(), annotation_topics.end(), [&](const AnnotationTopic& topic) {
        return topic.kind == kind && settings.topics->contains(std::string(topic.word));
      });
}

bool is_annotation_tag(std::string_view tag) {
  return !tag.empty() && tag.size() <= tag_bytes_max && is_one_line(tag);
}

Result<GrafanaAddress> parse_grafana_url(std::string_view url) {
  GrafanaAddress address;
  std::string_view rest = url;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!url.starts_with(scheme)) continue;
    rest.remove_prefix(scheme.size());
    address.tls = scheme == "https://";
    address.port = address.tls ? 443 : 80;
    const auto slash = std::min(rest.find('/'), rest.size());
    address.authority = rest.substr(0, slash);
    address.path = rest.substr(slash);
    while (address.path.ends_with('/')) address.path.pop_back();
    const bool plain = is_visible_ascii(rest) && rest.find_first_of("?#") == std::string_view::npos;
    if (plain && take_authority(address.authority, address)) return address;
    break;
  }
  // Perhaps a password, which is not to be seen in a log.
  if (url.find('@') != std::string_view::npos)
    return Error{std::string("an address with a user in it is not taken: ") + how_urls_look +
                 ", and the token in a file of its own"};
  return Error{"\"" + std::string(url) + "\" is no address of a Grafana: " + how_urls_look};
}

std::vector<GrafanaMistake> mistakes_in(const GrafanaSettings& settings) {
  std::vector<GrafanaMistake> mistakes;
  if (!settings.url.empty()) {
    const auto address = parse_grafana_url(settings.url);
    if (!address) mistakes.push_back({"url", address.error().detail});
  }
  if (settings.dashboard.size() > dashboard_bytes_max || !is_visible_ascii(settings.dashboard))
    mistakes.push_back({"dashboard", "\"" + settings.dashboard +
                                         "\" is no uid: write what is behind /d/ in the "
                                         "dashboard's address"});
  if (settings.tags.size() > tags_max)
    mistakes.push_back({"tags", "there are more than " + std::to_string(tags_max)});
  for (const auto& tag : settings.tags) {
    if (!is_annotation_tag(tag))
      mistakes.push_back({"tags", "\"" + tag + "\": write 1 to " + std::to_string(tag_bytes_max) +
                                      " bytes of text on one line"});
  }
  for (const auto& word : settings.topics.value_or(std::set<std::string>())) {
    if (!is_annotation_topic(word))
      mistakes.push_back(
          {"annotate", "there is no \"" + word + "\": write some of " + annotation_topic_words()});
  }
  return mistakes;
}

bool lacks_url(const GrafanaSettings& settings) {
  return settings.url.empty() && settings != GrafanaSettings{};
}

void override_with(GrafanaSettings more, GrafanaSettings& settings) {
  if (!more.url.empty()) settings.url = std::move(more.url);
  if (!more.token_file.empty()) settings.token_file = std::move(more.token_file);
  if (!more.ca_file.empty()) settings.ca_file = std::move(more.ca_file);
  if (!more.dashboard.empty()) settings.dashboard = std::move(more.dashboard);
  if (!more.tags.empty()) settings.tags = std::move(more.tags);
  if (more.topics) settings.topics = std::move(more.topics);
}

std::vector<std::string> unusable_files(const GrafanaSettings& settings) {
  std::vector<std::string> mistakes;
  if (!settings.token_file.empty()) {
    const auto token = read_token(settings.token_file);
    if (!token) mistakes.push_back("grafana: token_file: " + token.error().detail);
  }
  if (!settings.ca_file.empty()) {
    const auto text = read_file(settings.ca_file, file_bytes_max);
    if (!text) {
      mistakes.push_back("grafana: ca_file: " + settings.ca_file + ": " + text.error().detail);
    } else if (text->find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
      mistakes.push_back("grafana: ca_file: " + settings.ca_file +
                         ": has no certificate in PEM form");
    }
  }
  return mistakes;
}

Result<std::string> read_token(const std::string& path) {
  auto text = read_file(path, file_bytes_max);
  if (!text) return wrap(text.error(), path);
  std::string token(trimmed(*text));
  if (token.empty()) return Error{path + ": has no token in it"};
  if (token.size() > token_bytes_max || !is_visible_ascii(token))
    return Error{path + ": should have one token in it, on one line, and nothing else"};
  return {boost::system::in_place_value, std::move(token)};
}

}  // namespace qemon::daemon
