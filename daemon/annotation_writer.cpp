#include "daemon/annotation_writer.hpp"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.hpp"
#include "base/utf8.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::system_clock;
using Clock = std::chrono::steady_clock;

namespace {

std::int64_t epoch_milliseconds(system_clock::time_point time) {
  return std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
}

/// What Grafana says of itself in an answer; empty if it is not Grafana's.
std::string message_in(const HttpPostAnswer& answer) {
  const auto body = json::parse(answer.body, nullptr, false);
  const auto found = body.is_object() ? body.find("message") : body.end();
  if (!body.is_object() || found == body.end() || !found->is_string()) return {};
  return one_line(found->get_ref<const std::string&>());
}

/// {"message": "Annotation added", "id": 1}
bool is_written(const HttpPostAnswer& answer) {
  const auto body = json::parse(answer.body, nullptr, false);
  return body.is_object() && body.contains("id") && body.at("id").is_number();
}

/// With the system's certificates and those of the file.
std::shared_ptr<asio::ssl::context> make_tls(const GrafanaSettings& settings) {
  auto tls = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  boost::system::error_code failed;
  tls->set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, failed);
  tls->set_verify_mode(asio::ssl::verify_peer, failed);
  tls->set_default_verify_paths(failed);
  if (failed)
    spdlog::warn("grafana: no certificates of the system reason=\"{}\"", failed.message());
  if (settings.ca_file.empty()) return tls;
  tls->load_verify_file(settings.ca_file, failed);
  if (failed)
    spdlog::warn("grafana: no certificates in ca_file path={} reason=\"{}\"", settings.ca_file,
                 failed.message());
  return tls;
}

}  // namespace

AnnotationWriter::AnnotationWriter(asio::any_io_executor executor, AnnotationWriterOptions options)
    : executor_(executor),
      options_(options),
      wake_(executor),
      ended_(executor),
      backoff_(options.backoff_first) {}

AnnotationWriter::~AnnotationWriter() = default;

void AnnotationWriter::configure(GrafanaSettings settings) {
  const bool is_new = settings.url != settings_.url;
  settings_ = std::move(settings);
  address_.reset();
  token_.clear();
  tls_.reset();
  if (settings_.url.empty()) {
    drop(queue_.size(), "no Grafana is configured any more");
    queue_.clear();
    return;
  }
  if (auto address = parse_grafana_url(settings_.url)) address_ = std::move(*address);
  if (address_ && address_->tls) tls_ = make_tls(settings_);
  troubles_.clear();
  load_token();
  if (is_new) spdlog::info("grafana: annotations are written to url={}", settings_.url);
  // What it was told may be what it lacked.
  backoff_ = options_.backoff_first;
  wake_.cancel();
}

void AnnotationWriter::add(Annotation annotation) {
  if (!address_ || !wants(settings_, annotation.kind)) return;
  if (queue_.size() >= options_.pending_max) {
    queue_.pop_front();
    drop(1, "too many are pending");
  }
  queue_.push_back(std::move(annotation));
  if (!writing_) wake_.cancel();
}

asio::awaitable<void> AnnotationWriter::run() {
  running_ = true;
  while (!abandoned_ && (!stopping_ || !queue_.empty())) {
    if (queue_.empty()) {
      wake_.expires_at(Clock::time_point::max());
      co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
      continue;
    }
    writing_ = true;
    Annotation next = std::move(queue_.front());
    queue_.pop_front();
    co_await write(std::move(next));
    writing_ = false;
  }
  if (const auto left = queue_.size(); left > 0) {
    queue_.clear();
    drop(left, "qemond ends");
  }
  running_ = false;
  ended_.cancel();
}

asio::awaitable<void> AnnotationWriter::stop() {
  stopping_ = true;
  wake_.cancel();
  if (!running_) co_return;
  ended_.expires_after(options_.stop_max);
  co_await ended_.async_wait(asio::as_tuple(asio::use_awaitable));
  abandoned_ = true;
  if (!running_) co_return;
  if (post_) post_->cancel();
  wake_.cancel();
  ended_.expires_at(Clock::time_point::max());
  co_await ended_.async_wait(asio::as_tuple(asio::use_awaitable));
}

/// Until Grafana has it or has refused it, or there is no time left.
asio::awaitable<void> AnnotationWriter::write(Annotation annotation) {
  internal_errors_ = 0;
  while (address_) {
    auto body = body_of(annotation);
    const Verdict verdict = co_await attempt(std::move(body));
    if (verdict != Verdict::again) {
      backoff_ = options_.backoff_first;
      ++(verdict == Verdict::written ? totals_.written : totals_.failed);
      if (verdict == Verdict::written) note_success();
      co_return;
    }
    // Whoever is not there now will hardly be within this second.
    if (stopping_) abandoned_ = true;
    if (abandoned_) break;
    co_await pause();
  }
  drop(1, address_ ? "qemond ends" : "no Grafana is configured any more");
}

/// Longer from time to time, so that a Grafana that is overloaded is left alone, and not at the
/// same moments as others do.
asio::awaitable<void> AnnotationWriter::pause() {
  std::uniform_real_distribution<double> share(0.5, 1.0);
  const auto wait = asked_to_wait_.value_or(
      std::chrono::duration_cast<milliseconds>(std::chrono::duration<double, std::milli>(
          static_cast<double>(backoff_.count()) * share(random_))));
  backoff_ = std::min(backoff_ * 2, options_.backoff_max);
  wake_.expires_after(wait);
  co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<AnnotationWriter::Verdict> AnnotationWriter::attempt(std::string body) {
  asked_to_wait_.reset();
  // It may have been put there, or mended, meanwhile.
  if (token_.empty() && !settings_.token_file.empty() && !load_token()) co_return Verdict::again;
  const auto token = token_;
  auto answer = co_await post(body);
  if (answer && answer->status == 401 && load_token() && token_ != token) {
    // Tokens are changed while qemond runs.
    answer = co_await post(std::move(body));
  }
  if (!answer) {
    if (!abandoned_) note("connection", answer.error().detail + ": retried");
    co_return Verdict::again;
  }
  co_return judge(*answer);
}

asio::awaitable<Result<HttpPostAnswer>> AnnotationWriter::post(std::string body) {
  if (!address_) co_return Error{"no Grafana is configured any more"};
  const auto tls = tls_;
  post_ = std::make_unique<HttpPost>(executor_, *address_, options_.deadlines, tls.get());
  const std::string path = "/api/annotations";
  auto answer = co_await post_->run(path, std::move(body), token_);
  post_.reset();
  co_return answer;
}

AnnotationWriter::Verdict AnnotationWriter::judge(const HttpPostAnswer& answer) {
  const auto status = answer.status;
  const auto message = message_in(answer);
  const auto said = "status " + std::to_string(status) +
                    (message.empty() ? std::string() : " \"" + message + "\"");
  if (status != 500) internal_errors_ = 0;
  if (status >= 200 && status < 300) {
    if (is_written(answer)) return Verdict::written;
    note("answer",
         said + " without the id of an annotation: is there a Grafana at " + settings_.url + "?");
    return Verdict::failed;
  }
  if (status == 429 || status >= 500) {
    std::string_view text = answer.retry_after;
    if (const auto seconds = take_count(text); seconds && text.empty())
      asked_to_wait_ = std::chrono::seconds(std::min<std::uint64_t>(
          *seconds, static_cast<std::uint64_t>(options_.retry_after_max.count())));
    if (status == 500 && ++internal_errors_ >= options_.attempts_max) {
      note("500 for good", said + " " + std::to_string(internal_errors_) +
                               " times to the same annotation: not retried any more");
      return Verdict::failed;
    }
    note(std::to_string(status), said + ": retried");
    return Verdict::again;
  }
  if (status == 401 || status == 403) {
    const auto cure =
        settings_.token_file.empty()
            ? std::string("no token was sent: give --grafana-token-file")
            : "the token in " + settings_.token_file +
                  (status == 401 ? " is not valid (any more)" : " may not write annotations") +
                  ": it should be one of a service account with the role Editor";
    note(std::to_string(status), said + ": " + cure);
    return Verdict::failed;
  }
  std::string cure;
  if (status >= 300 && status < 400 && !answer.location.empty())
    cure = ": it is at " + one_line(answer.location);
  if (status == 404) cure = ": is there a Grafana at " + settings_.url + "?";
  note(std::to_string(status), said + cure);
  return Verdict::failed;
}

std::string AnnotationWriter::body_of(const Annotation& annotation) const {
  json body;
  if (!settings_.dashboard.empty()) body["dashboardUID"] = settings_.dashboard;
  body["time"] = epoch_milliseconds(annotation.begin);
  if (annotation.end) body["timeEnd"] = epoch_milliseconds(*annotation.end);
  body["text"] = annotation.text;
  auto& tags = body["tags"];
  const auto add = [&](const std::string& tag) {
    if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
  };
  add("qemon");
  add(annotation.kind);
  // As it is, so that a dashboard's variable of several VMs can be a filter.
  if (!annotation.vm.empty()) add(annotation.vm);
  for (const auto& tag : annotation.tags) add(tag);
  for (const auto& tag : settings_.tags) add(tag);
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// False if there should be a token and is none.
bool AnnotationWriter::load_token() {
  if (settings_.token_file.empty()) return true;
  auto token = read_token(settings_.token_file);
  if (!token) {
    note("token", "no token: " + token.error().detail);
    return false;
  }
  token_ = std::move(*token);
  struct stat about {};
  if (::stat(settings_.token_file.c_str(), &about) == 0 && (about.st_mode & S_IROTH) != 0 &&
      std::exchange(warned_of_token_, settings_.token_file) != settings_.token_file)
    spdlog::warn("grafana: everybody may read the token: chmod o-r {}", settings_.token_file);
  return true;
}

/// Each kind of trouble is told once, until something was written again.
void AnnotationWriter::note(const std::string& kind, const std::string& what) {
  if (troubles_[kind]++ == 0)
    spdlog::warn("grafana: annotations are not written reason=\"{}\" pending={}", what, pending());
}

void AnnotationWriter::note_success() {
  std::uint64_t troubles = 0;
  for (const auto& [kind, count] : std::exchange(troubles_, {})) troubles += count;
  if (troubles > 0)
    spdlog::info("grafana: annotations are written again attempts_failed={}", troubles);
}

void AnnotationWriter::drop(std::size_t count, const char* why) {
  if (count == 0) return;
  const bool first = totals_.dropped == 0;
  totals_.dropped += count;
  if (first || stopping_)
    spdlog::warn("grafana: annotations are dropped count={} reason=\"{}\"", count, why);
}

}  // namespace qemon::daemon
