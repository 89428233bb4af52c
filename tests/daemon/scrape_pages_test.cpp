#include "daemon/scrape_pages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/gunzip.hpp"

namespace qemon::daemon {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

/// A page of parts that each take a while. Counts how often it was begun.
class ScrapePagesTest : public testing::Test {
 protected:
  ScrapePagesTest() {
    page_.add_source([this] {
      ++begun_;
      std::vector<exporters::MetricsPage::Writer> writers;
      writers.reserve(static_cast<std::size_t>(parts_));
      for (int part = 0; part < parts_; ++part)
        writers.emplace_back([this, part, number = begun_](std::string& text) {
          if (fails_) throw std::bad_alloc();
          for (const auto end = Clock::now() + part_takes_; Clock::now() < end;) continue;
          text += "page " + std::to_string(number) + " part " + std::to_string(part) + "\n";
          return false;
        });
      return writers;
    });
  }

  /// Asks for a page, whose text is then in the result's place.
  void ask(ContentCoding coding) {
    const std::size_t place = pages_.size();
    pages_.emplace_back();
    asio::co_spawn(context_, scrape_.get(coding),
                   [this, place](const std::exception_ptr& failure, ScrapePages::Page page) {
                     failures_ += failure ? 1 : 0;
                     pages_[place] = std::move(page);
                   });
  }
  [[nodiscard]] std::string expected(int number) const {
    std::string text;
    for (int part = 0; part < parts_; ++part)
      text += "page " + std::to_string(number) + " part " + std::to_string(part) + "\n";
    return text;
  }

  int parts_ = 20;
  std::chrono::microseconds part_takes_{0};
  bool fails_ = false;
  int begun_ = 0;
  int failures_ = 0;
  exporters::MetricsPage page_;
  asio::io_context context_{1};
  ScrapePages scrape_{context_.get_executor(), page_};
  std::vector<ScrapePages::Page> pages_;
};

TEST_F(ScrapePagesTest, AreTheSamePlainAndCompressed) {
  ask(ContentCoding::identity);
  context_.run();
  context_.restart();
  ask(ContentCoding::gzip);
  context_.run();

  EXPECT_EQ(*pages_[0], expected(1));
  EXPECT_EQ(test::gunzip(*pages_[1]), expected(2));
}

TEST_F(ScrapePagesTest, OneForAllWhoWaitForIt) {
  part_takes_ = std::chrono::milliseconds(2);
  ask(ContentCoding::identity);
  // The first page has been begun when these come.
  asio::post(context_, [this] {
    for (int i = 0; i < 50; ++i) ask(ContentCoding::identity);
    for (int i = 0; i < 50; ++i) ask(ContentCoding::gzip);
  });
  context_.run();

  EXPECT_EQ(begun_, 3);
  EXPECT_EQ(*pages_[0], expected(1));
  for (std::size_t i = 1; i <= 50; ++i) EXPECT_EQ(pages_[i], pages_[1]) << i;
  EXPECT_EQ(*pages_[1], expected(2));
  for (std::size_t i = 51; i <= 100; ++i) EXPECT_EQ(pages_[i], pages_[51]) << i;
  EXPECT_EQ(test::gunzip(*pages_[51]), expected(3));
}

TEST_F(ScrapePagesTest, LetOthersHaveTheirTurnsMeanwhile) {
  part_takes_ = std::chrono::milliseconds(1);
  parts_ = 40;
  ask(ContentCoding::gzip);
  int turns = 0;
  std::function<void()> other = [&] {
    ++turns;
    if (!pages_[0]) asio::post(context_, other);
  };
  asio::post(context_, other);
  context_.run();

  EXPECT_GE(turns, 5);
}

TEST_F(ScrapePagesTest, OneThatFailsFailsForAllWhoWaitAndNobodyElse) {
  part_takes_ = std::chrono::milliseconds(4);
  ask(ContentCoding::identity);
  asio::post(context_, [this] {
    ask(ContentCoding::identity);
    ask(ContentCoding::identity);
    fails_ = true;
  });
  context_.run();
  context_.restart();
  EXPECT_EQ(begun_, 2);
  EXPECT_EQ(failures_, 2);
  EXPECT_EQ(pages_, std::vector<ScrapePages::Page>(3));

  fails_ = false;
  ask(ContentCoding::identity);
  context_.run();

  EXPECT_EQ(*pages_[3], expected(3));
}

}  // namespace
}  // namespace qemon::daemon
