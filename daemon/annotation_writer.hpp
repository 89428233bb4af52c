// AnnotationWriter: writes annotations to Grafana, in nobody's way.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "base/result.hpp"
#include "daemon/annotation.hpp"
#include "daemon/grafana_settings.hpp"
#include "daemon/http_post.hpp"

namespace qemon::daemon {

struct AnnotationWriterOptions {
  std::size_t pending_max = 1'000;  ///< The oldest make room for new ones.
  std::chrono::milliseconds backoff_first{100};
  std::chrono::milliseconds backoff_max{60'000};
  std::chrono::seconds retry_after_max{3'600};
  /// Of one annotation that is answered with "internal server error": then it is the annotation.
  unsigned attempts_max = 20;
  std::chrono::milliseconds stop_max{1'000};
  HttpPostDeadlines deadlines;
};

/// Every annotation that was wanted is in one of these in the end.
struct AnnotationTotals {
  std::uint64_t written = 0;
  std::uint64_t failed = 0;   ///< Refused by Grafana.
  std::uint64_t dropped = 0;  ///< Made room for others, or still there at the end.
};

/// Owned by the daemon. `run` is spawned once and returns after `stop`. One thread. One request at
/// a time, in the order of what happened. At least once: an annotation whose answer was lost is
/// written again.
class AnnotationWriter {
 public:
  explicit AnnotationWriter(boost::asio::any_io_executor executor,
                            AnnotationWriterOptions options = {});
  ~AnnotationWriter();
  AnnotationWriter(const AnnotationWriter&) = delete;
  AnnotationWriter& operator=(const AnnotationWriter&) = delete;

  /// To be called before `run`, and again with each reload: reads the token and the certificates
  /// again. The settings must have no mistakes.
  void configure(GrafanaSettings settings);
  /// Returns at once. Nothing happens if no annotations of that kind are wanted.
  void add(Annotation annotation);

  boost::asio::awaitable<void> run();
  /// Tries to write what is pending for at most `stop_max`. Returns when `run` has.
  boost::asio::awaitable<void> stop();

  [[nodiscard]] const AnnotationTotals& totals() const { return totals_; }
  [[nodiscard]] std::size_t pending() const { return queue_.size() + (writing_ ? 1 : 0); }

 private:
  enum class Verdict : std::uint8_t { written, failed, again };

  boost::asio::awaitable<void> write(Annotation annotation);
  boost::asio::awaitable<Verdict> attempt(std::string body);
  boost::asio::awaitable<Result<HttpPostAnswer>> post(std::string body);
  boost::asio::awaitable<void> pause();
  [[nodiscard]] Verdict judge(const HttpPostAnswer& answer);
  [[nodiscard]] std::string body_of(const Annotation& annotation) const;
  bool load_token();
  void note(const std::string& kind, const std::string& what);
  void note_success();
  void drop(std::size_t count, const char* why);

  boost::asio::any_io_executor executor_;
  AnnotationWriterOptions options_;
  GrafanaSettings settings_;
  std::optional<GrafanaAddress> address_;
  // Shared with the request that is under way, which a reload does not disturb.
  std::shared_ptr<boost::asio::ssl::context> tls_;
  std::string token_;
  std::string warned_of_token_;  // The path of which it was said that everybody may read it.

  std::deque<Annotation> queue_;
  bool writing_ = false;  // One that is not in the queue any more.
  std::unique_ptr<HttpPost> post_;
  boost::asio::steady_timer wake_;   // Cancelled when there is something to do.
  boost::asio::steady_timer ended_;  // Cancelled when run() returns.
  bool running_ = false;
  bool stopping_ = false;
  bool abandoned_ = false;  // The time to stop is over.
  std::chrono::milliseconds backoff_;
  std::optional<std::chrono::milliseconds> asked_to_wait_;  // By Retry-After.
  unsigned internal_errors_ = 0;                            // In a row.
  std::minstd_rand random_{std::random_device()()};
  std::map<std::string, std::uint64_t> troubles_;  // By kind, since the last success.
  AnnotationTotals totals_;
};

}  // namespace qemon::daemon
