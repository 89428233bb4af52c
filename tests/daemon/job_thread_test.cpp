#include "daemon/job_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/run.hpp"

namespace qemon::daemon {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

/// What jobs did, in order.
class Notes {
 public:
  void add(const std::string& note) {
    const std::lock_guard lock(mutex_);
    notes_.push_back(note);
  }
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex_);
    return notes_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> notes_;
};

class JobThreadTest : public testing::Test {
 protected:
  Result<void> run(JobThread::Job job) { return test::run(context, jobs.run(std::move(job))); }
  boost::asio::io_context context;
  Notes notes;
  std::promise<void> go_on;
  JobThread jobs{context.get_executor()};
};

TEST_F(JobThreadTest, TellsWhatBecameOfAJob) {
  const auto done = run([] { return Result<void>(); });
  const auto failed = run([]() -> Result<void> { return Error{"no"}; });

  EXPECT_TRUE(done);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().detail, "no");
}

TEST_F(JobThreadTest, DoesFirstWhatSomebodyWaitsFor) {
  auto begun = std::make_shared<std::promise<void>>();
  ASSERT_TRUE(jobs.run_later(1, [this, begun] {
    begun->set_value();
    go_on.get_future().wait();
    notes.add("first");
  }));
  begun->get_future().wait();
  ASSERT_TRUE(jobs.run_later(2, [this] { notes.add("later"); }));
  boost::asio::co_spawn(context, jobs.run([this] {
    notes.add("waited for");
    return Result<void>();
  }),
                        [](std::exception_ptr, Result<void>) {});
  context.poll();
  EXPECT_EQ(jobs.pending(), 2U);

  go_on.set_value();
  test::run(context, jobs.finish(1min));

  EXPECT_THAT(notes.all(), ElementsAre("first", "waited for", "later"));
}

TEST_F(JobThreadTest, TakesBackWhatHasNotBegun) {
  auto begun = std::make_shared<std::promise<void>>();
  ASSERT_TRUE(jobs.run_later(1, [this, begun] {
    begun->set_value();
    go_on.get_future().wait();
  }));
  begun->get_future().wait();
  ASSERT_TRUE(jobs.run_later(2, [this] { notes.add("two"); }));

  EXPECT_FALSE(jobs.take_back(1)) << "it has begun";
  EXPECT_TRUE(jobs.take_back(2));
  EXPECT_FALSE(jobs.take_back(3));
  go_on.set_value();
  test::run(context, jobs.finish(1min));

  EXPECT_THAT(notes.all(), testing::IsEmpty());
}

TEST_F(JobThreadTest, WaitsNoLongerThanItIsTold) {
  ASSERT_TRUE(jobs.run_later(1, [this] { go_on.get_future().wait(); }));

  test::run(context, jobs.finish(1ms));

  EXPECT_EQ(jobs.pending(), 2U);
  go_on.set_value();
  test::run(context, jobs.finish(1min));
}

TEST(JobThread, DoesWhatIsLeftAfterItsOwnerIsGone) {
  boost::asio::io_context context;
  auto jobs = std::make_unique<JobThread>(context.get_executor());
  auto done = std::make_shared<std::promise<void>>();
  auto go_on = std::make_shared<std::promise<void>>();
  ASSERT_TRUE(jobs->run_later(1, [go_on] { go_on->get_future().wait(); }));
  ASSERT_TRUE(jobs->run_later(2, [done] { done->set_value(); }));

  jobs.reset();
  go_on->set_value();

  EXPECT_EQ(done->get_future().wait_for(1min), std::future_status::ready);
}

}  // namespace
}  // namespace qemon::daemon
