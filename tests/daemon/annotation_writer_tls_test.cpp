// AnnotationWriter by https: only to whom it trusts.
#include <gmock/gmock.h>

#include "tests/daemon/annotation_writer_fixture.hpp"

namespace qemon::daemon {
namespace {

using test::FakeGrafana;
using testing::ElementsAre;
using testing::IsEmpty;

class WriterByTls : public Writer {
 protected:
  WriterByTls() { test::make_certificate(certificate_); }
  /// It has tried again and again, and said nothing.
  void expect_nothing_told(const FakeGrafana& grafana) {
    writer_->add(annotation("secret"));

    EXPECT_TRUE(wait([&] { return grafana.refused_handshakes() >= 3; }));
    EXPECT_THAT(grafana.requests(), IsEmpty());
    EXPECT_EQ(writer_->pending(), 1U);
    expect_totals(0, 0, 0);
  }

  std::string certificate_ = directory_ / "grafana.pem";
};

TEST_F(WriterByTls, TrustsTheCertificatesOfTheFile) {
  FakeGrafana grafana({}, certificate_);
  settings_.ca_file = certificate_;
  for (const std::string host : {"localhost", "127.0.0.1"}) {
    if (writer_) test::run(context_, writer_->stop());
    start(grafana.url(host));

    writer_->add(annotation("by TLS to " + host));

    ASSERT_TRUE(wait_settled());
  }
  EXPECT_THAT(written(grafana), ElementsAre("by TLS to localhost", "by TLS to 127.0.0.1"));
}

TEST_F(WriterByTls, TellsNothingToWhomItDoesNotTrust) {
  FakeGrafana grafana({}, certificate_);
  start(grafana.url("localhost"));

  expect_nothing_told(grafana);
}

TEST_F(WriterByTls, TellsNothingToAnotherHost) {
  test::make_certificate(certificate_, "DNS:grafana.example,IP:192.0.2.7");
  FakeGrafana grafana({}, certificate_);
  settings_.ca_file = certificate_;
  start(grafana.url("localhost"));

  expect_nothing_told(grafana);
}

}  // namespace
}  // namespace qemon::daemon
