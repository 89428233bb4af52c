#include "qmp/identity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/qmp/client_fixture.hpp"

namespace qemon::qmp::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

class IdentityTest : public ClientTest {
 protected:
  void start_with(std::map<std::string, json> answers) {
    Answers script;
    script.command = [answers = std::move(answers)](const json& command) {
      const auto found = answers.find(command.at("execute").get<std::string>());
      return found == answers.end() ? json() : found->second;
    };
    start(answering(script));
  }

  Result<Identity> ask() { return qemon::test::run(context, query_identity(*client)); }
};

TEST_F(IdentityTest, TellsEverythingThatQemuTells) {
  start_with({{"query-name", {{"name", "web1"}}},
              {"query-uuid", {{"UUID", "6f3c5d0e-0000-4000-8000-00000000002a"}}},
              {"query-target", {{"arch", "x86_64"}}},
              {"query-status", {{"status", "paused"}, {"running", false}}},
              {"query-kvm", {{"enabled", true}, {"present", true}}},
              {"qom-get", "pc-i440fx-7.2-machine"},
              {"query-cpus-fast", json::parse(R"([{"thread-id": 11}, {"thread-id": 12}])")},
              {"query-iothreads", json::parse(R"([{"id": "io", "thread-id": 13}])")}});

  const auto identity = ask();

  ASSERT_TRUE(identity) << identity.error().detail;
  EXPECT_EQ(identity->version, (Version{7, 2, 22}));
  EXPECT_EQ(identity->package, "Debian");
  EXPECT_EQ(identity->name, "web1");
  EXPECT_EQ(identity->uuid, "6f3c5d0e-0000-4000-8000-00000000002a");
  EXPECT_EQ(identity->arch, "x86_64");
  EXPECT_EQ(identity->run_state, "paused");
  EXPECT_EQ(identity->accelerator, "kvm");
  EXPECT_EQ(identity->machine, "pc-i440fx-7.2");
  EXPECT_THAT(identity->vcpu_threads, ElementsAre(11, 12));
  EXPECT_THAT(identity->iothreads, ElementsAre(13));
}

TEST_F(IdentityTest, LeavesEmptyWhatQemuDoesNotKnow) {
  start_with({{"query-name", json::object()},
              {"query-uuid", {{"UUID", "00000000-0000-0000-0000-000000000000"}}},
              {"query-status", {{"error", "not now"}}}});

  const auto identity = ask();

  ASSERT_TRUE(identity) << identity.error().detail;
  EXPECT_EQ(identity->version.major, 7);
  EXPECT_EQ(identity->name + identity->uuid + identity->arch + identity->accelerator +
                identity->machine + identity->run_state,
            "");
  EXPECT_THAT(identity->vcpu_threads, IsEmpty());
}

TEST_F(IdentityTest, SurvivesAnswersOfAnotherShape) {
  start_with({{"query-name", {{"name", 5}}},
              {"query-uuid", "x"},
              {"query-target", json::array()},
              {"query-kvm", {{"enabled", "yes"}}},
              {"qom-get", json::object()},
              {"query-cpus-fast", json::parse(R"([5, {}, {"thread-id": "x"}, {"thread-id": -1},
                                              {"thread-id": 99999999999}, {"thread-id": 7}])")},
              {"query-iothreads", {{"thread-id", 7}}}});

  const auto identity = ask();

  ASSERT_TRUE(identity) << identity.error().detail;
  EXPECT_EQ(identity->name + identity->uuid + identity->arch + identity->machine, "");
  EXPECT_THAT(identity->vcpu_threads, ElementsAre(7));
  EXPECT_THAT(identity->iothreads, IsEmpty());
}

TEST_F(IdentityTest, TellsTheAcceleratorApart) {
  start_with({{"query-kvm", {{"enabled", false}}}});
  EXPECT_EQ(ask()->accelerator, "tcg");
}

TEST_F(IdentityTest, BelievesQueryAccelerators) {
  start_with({{"query-kvm", {{"enabled", false}}},
              {"query-accelerators", {{"enabled", "xen"}, {"present", {"xen"}}}}});
  EXPECT_EQ(ask()->accelerator, "xen");
}

TEST_F(IdentityTest, ASessionThatEndsIsAnError) {
  start([](Peer& peer) {
    peer.handshake();
    peer.reply(peer.read(), json::object());
    peer.read();
  });

  const auto identity = ask();

  ASSERT_FALSE(identity);
  EXPECT_EQ(identity.error().code, errc::closed);
  EXPECT_EQ(identity.error().detail, "identity: query-uuid: QEMU closed the monitor connection");
}

TEST_F(IdentityTest, TellsTheRunState) {
  start_with({{"query-status", {{"status", "running"}, {"running", true}}}});

  EXPECT_EQ(*qemon::test::run(context, query_run_state(*client)), "running");
}

}  // namespace
}  // namespace qemon::qmp::test
