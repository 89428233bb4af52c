// What tests of AnnotationWriter share: one that writes to wherever a test says.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "daemon/annotation_writer.hpp"
#include "tests/support/fake_grafana.hpp"
#include "tests/support/files.hpp"
#include "tests/support/run.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait.hpp"

namespace qemon::daemon {

inline Annotation annotation(std::string text, std::string kind = "events") {
  Annotation annotation;
  annotation.begin =
      std::chrono::system_clock::time_point(std::chrono::milliseconds(1'795'377'070'851));
  annotation.vm = "web1";
  annotation.kind = std::move(kind);
  annotation.text = std::move(text);
  return annotation;
}

/// Has a token, and is impatient.
class Writer : public testing::Test {
 protected:
  Writer() {
    options_.backoff_first = std::chrono::milliseconds(2);
    options_.backoff_max = std::chrono::milliseconds(20);
    settings_.token_file = directory_ / "token";
    test::write_file(settings_.token_file, "glsa_secret\n");
    ::chmod(settings_.token_file.c_str(), 0600);
  }
  ~Writer() override {
    if (!writer_ || ended_) return;
    test::run(context_, writer_->stop());
  }

  void start(const std::string& url) {
    settings_.url = url;
    writer_.emplace(context_.get_executor(), options_);
    writer_->configure(settings_);
    boost::asio::co_spawn(context_, writer_->run(), [this](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
      ended_ = true;
    });
  }
  bool wait(const std::function<bool()>& condition) {
    return test::wait_until([&] {
      if (context_.stopped()) context_.restart();
      context_.poll();
      return condition();
    });
  }
  bool wait_settled() {
    return wait([this] { return writer_->pending() == 0; });
  }
  [[nodiscard]] std::vector<std::string> written(const test::FakeGrafana& grafana) const {
    std::vector<std::string> texts;
    for (const auto& each : grafana.annotations()) texts.push_back(each.at("text"));
    return texts;
  }
  void expect_totals(std::uint64_t written, std::uint64_t failed, std::uint64_t dropped) {
    EXPECT_EQ(writer_->totals().written, written);
    EXPECT_EQ(writer_->totals().failed, failed);
    EXPECT_EQ(writer_->totals().dropped, dropped);
  }

  boost::asio::io_context context_{1};
  test::TempDir directory_;
  AnnotationWriterOptions options_;
  GrafanaSettings settings_;
  std::optional<AnnotationWriter> writer_;
  bool ended_ = false;
};

}  // namespace qemon::daemon
