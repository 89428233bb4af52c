#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/asio/ip/tcp.hpp>

#include "tests/qmp/client_fixture.hpp"
#include "tests/support/files.hpp"
#include "tests/support/reserved_port.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::qmp::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;

class Connect : public testing::Test {
 protected:
  Result<std::unique_ptr<Client>> connect(
      const Endpoint& endpoint,
      std::chrono::milliseconds deadline = qemon::test::default_deadline) {
    ClientOptions options;
    options.handshake_deadline = deadline;
    return qemon::test::run(context, Client::connect(context.get_executor(), endpoint, options));
  }

  Error error(const std::string& address,
              std::chrono::milliseconds deadline = qemon::test::default_deadline) {
    const auto client = connect(*parse_endpoint(address), deadline);
    if (client) return Error{"no error"};
    EXPECT_EQ(client.error().detail.find('\n'), std::string::npos);
    EXPECT_THAT(client.error().detail, StartsWith(address + ": "));
    return client.error();
  }

  /// A Unix socket bound to `path`, listening unless `backlog` is negative.
  static UniqueFd bind_to(const std::string& path, int backlog, int type = SOCK_STREAM) {
    UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    if (backlog >= 0 && ::listen(socket.get(), backlog) != 0) ADD_FAILURE() << "listen failed";
    return socket;
  }

  boost::asio::io_context context{1};
  qemon::test::TempDir directory;
};

TEST_F(Connect, AMissingSocketSaysHowToMakeOne) {
  const std::string address = "unix:" + (directory / "qmp");
  const auto failure = error(address);

  EXPECT_EQ(failure.code, std::errc::no_such_file_or_directory);
  EXPECT_EQ(failure.detail, address + ": no such socket: start QEMU with -qmp " + address +
                                ",server=on,wait=off, or correct the path");
}

TEST_F(Connect, ASocketWithoutQemuSaysSo) {
  const auto dead = bind_to(directory / "dead", -1);
  qemon::test::write_file(directory / "file", "");

  for (const auto* name : {"dead", "file"}) {
    const auto failure = error("unix:" + (directory / name));

    EXPECT_EQ(failure.code, std::errc::connection_refused);
    EXPECT_THAT(failure.detail, HasSubstr("nobody listens on this socket: its QEMU has ended"));
  }
}

TEST_F(Connect, AnotherKindOfSocketIsNamed) {
  const auto socket = bind_to(directory / "datagram", -1, SOCK_DGRAM);

  EXPECT_THAT(error("unix:" + (directory / "datagram")).detail, HasSubstr("not a stream socket"));
}

TEST_F(Connect, AClosedPortSaysSo) {
  const qemon::test::ReservedPort unused;
  const auto port = std::to_string(unused.number());

  const auto failure = error("tcp:127.0.0.1:" + port);

  EXPECT_EQ(failure.code, std::errc::connection_refused);
  EXPECT_THAT(failure.detail,
              HasSubstr("nobody listens there; start QEMU with -qmp tcp:127.0.0.1:" + port));
}

TEST_F(Connect, AMonitorInUseIsBusy) {
  const auto socket = bind_to(directory / "qmp", 5);

  const auto failure = error("unix:" + (directory / "qmp"), 200ms);

  EXPECT_EQ(failure.code, errc::busy);
  EXPECT_THAT(failure.detail,
              HasSubstr("no greeting within 200 ms: another client holds this monitor"));
}

TEST_F(Connect, AMonitorWithAFullQueueIsBusyAtOnce) {
  const auto socket = bind_to(directory / "qmp", 0);
  const auto endpoint = *parse_endpoint("unix:" + (directory / "qmp"));
  UniqueFd first(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  endpoint.path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::connect(first.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);

  const auto failure = error(to_string(endpoint));

  EXPECT_EQ(failure.code, errc::busy);
  EXPECT_THAT(failure.detail, HasSubstr("another client holds this monitor, and more are waiting"));
}

TEST_F(Connect, ShakesHandsOverTcp) {
  boost::asio::ip::tcp::acceptor acceptor(context, {boost::asio::ip::address_v4::loopback(), 0});
  const auto port = std::to_string(acceptor.local_endpoint().port());
  std::thread server([&acceptor] {
    Peer peer{UniqueFd(::accept(acceptor.native_handle(), nullptr, nullptr))};
    try {
      peer.handshake();
      peer.wait_for_client_to_leave();
    } catch (const Peer::PeerGone&) {
    }
  });

  {
    const auto client = connect(*parse_endpoint("tcp:localhost:" + port));
    EXPECT_TRUE(client) << client.error().detail;
    if (client) {
      const auto answer = qemon::test::run(
          context, (*client)->execute_with_descriptor("add-fd", nlohmann::json(), 0, 10s));
      EXPECT_EQ(answer.error().code, errc::unsupported);
      EXPECT_FALSE((*client)->peer());
    }
  }
  server.join();
}

TEST_F(Connect, AMissingHumanMonitorSaysHowToMakeOne) {
  const auto failure = error("hmp:unix:" + (directory / "monitor"));

  EXPECT_THAT(failure.detail, HasSubstr("start QEMU with -monitor unix:" + (directory / "monitor") +
                                        ",server=on,wait=off"));
}

TEST_F(Connect, ATooLongPathIsAnErrorHoweverItCame) {
  Endpoint endpoint;
  endpoint.path = "/" + std::string(200, 'p');

  EXPECT_EQ(connect(endpoint).error().code, errc::invalid_argument);
}

}  // namespace
}  // namespace qemon::qmp::test
