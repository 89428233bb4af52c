#include "qmp/connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "qmp/allowed_commands.hpp"
#include "qmp/error.hpp"

namespace qemon::qmp {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

// One read, on the stack: a host may have a thousand monitors, and their buffers would be most of
// our memory.
constexpr std::size_t read_bytes_max = 65536;
// A monitor that never stops sending what nobody asked for is read at this rate, some 400 events a
// second, and no faster: parsing takes time that the other VMs need. QEMU keeps what we leave. What
// we ask for is not counted.
constexpr double burst_bytes = 1U << 20;
constexpr double bytes_per_second = 64U << 10;

bool is_unix_socket(Client::Socket& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  return ::getsockname(socket.native_handle(), reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
         address.ss_family == AF_UNIX;
}

std::optional<PeerCredentials> peer_of(Client::Socket& socket) {
  auto peer = read_peer_credentials(socket.native_handle());
  if (!peer) return std::nullopt;
  return std::move(*peer);
}

// send(2), with `descriptor` beside the bytes unless it is -1. Never blocks, never raises SIGPIPE.
ssize_t send_now(int socket, std::string_view bytes, int descriptor) {
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

Error closed_by_peer(bool greeted) {
  return make_error(errc::closed, greeted ? "QEMU closed the monitor connection"
                                          : "the peer closed the connection without a greeting");
}

Error connection_lost(const boost::system::error_code& ec, bool greeted) {
  if (ec == asio::error::eof || ec == asio::error::connection_reset ||
      ec == asio::error::broken_pipe) {
    return closed_by_peer(greeted);
  }
  return make_error(errc::closed, "the monitor connection failed: " + ec.message());
}

Error too_late(bool sent, std::chrono::milliseconds deadline) {
  if (sent) {
    return make_error(errc::timed_out,
                      "no answer within " + to_text(deadline) + ": QEMU's main loop is blocked");
  }
  return make_error(errc::timed_out, "not sent within " + to_text(deadline) +
                                         ": QEMU has not answered earlier commands");
}

}  // namespace

Connection::Connection(Client::Socket socket, Protocol protocol)
    : socket_(std::move(socket)),
      is_unix_(is_unix_socket(socket_)),
      peer_(is_unix_ ? peer_of(socket_) : std::nullopt),
      session_(protocol),
      handshake_timer_(socket_.get_executor()),
      output_bell_(socket_.get_executor()),
      allowance_bytes_(burst_bytes),
      allowance_time_(std::chrono::steady_clock::now()),
      rest_timer_(socket_.get_executor()) {}

asio::awaitable<Result<Greeting>> Connection::handshake(Self self,
                                                        std::chrono::milliseconds deadline) {
  self->handshake_timer_.expires_after(deadline);
  self->handshake_timer_.async_wait([self, deadline](const boost::system::error_code& ec) {
    if (!ec) self->handshake_too_late(deadline);
  });
  while (!self->closed_ && !self->session_.ready()) {
    const bool more = co_await read_some(self);
    if (!more) break;
    self->dispatch_until_ready();
    while (!self->session_.ready()) {
      auto output = self->session_.next_output();
      if (!output) break;
      co_await send(self, std::move(*output));
    }
  }
  self->handshake_timer_.cancel();
  if (self->session_.ended()) co_return self->session_.end_reason();
  co_return self->session_.greeting();
}

asio::awaitable<Error> Connection::run(Self self) {
  using asio::experimental::awaitable_operators::operator&&;
  // What came right behind the handshake.
  self->dispatch_all();
  // Both end by themselves when the session does, because `end` closes the socket and rings the
  // bell.
  auto both = read_loop(self) && write_loop(self);
  co_await std::move(both);
  // Neither loop ends without a reason, except when the caller's cancellation throws it out of a
  // wait.
  if (!self->closed_) self->end(make_error(errc::closed, "the monitor session was cancelled"));
  co_return self->session_.end_reason();
}

asio::awaitable<Result<json>> Connection::execute(Self self, std::string command, json arguments,
                                                  UniqueFd descriptor,
                                                  std::chrono::milliseconds deadline) {
  if (const auto allowed = check_allowed(command, arguments); !allowed)
    co_return wrap(allowed.error(), command);
  const auto id = self->session_.submit(command, arguments, std::move(descriptor));
  if (!id) co_return wrap(id.error(), command);
  const Leave leave{*self, *id};
  auto [place, inserted] = self->waiters_.try_emplace(*id, self->socket_.get_executor());
  Waiter& waiter = place->second;
  waiter.timer.expires_after(deadline);
  self->output_bell_.cancel();

  auto [ec] = co_await waiter.timer.async_wait(as_result);

  // The answer first: one that arrived in the very turn in which the deadline passed is an answer.
  if (waiter.result && *waiter.result) co_return std::move(*waiter.result);
  if (waiter.result) co_return wrap(waiter.result->error(), command);
  if (ec) co_return system_error(ECANCELED, command);
  ++self->statistics_.timeouts;
  co_return wrap(too_late(waiter.sent.has_value(), deadline), command);
}

void Connection::end(Error reason) {
  session_.end(std::move(reason));
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  handshake_timer_.cancel();
  output_bell_.cancel();
  rest_timer_.cancel();
  for (auto& [id, waiter] : waiters_) {
    if (!waiter.result) waiter.result = session_.end_reason();
    waiter.timer.cancel();
  }
}

ClientStatistics Connection::statistics() const {
  ClientStatistics all = statistics_;
  all.unknown_ids = session_.counts().unknown_ids;
  all.late_replies = session_.counts().late_replies;
  return all;
}

asio::awaitable<void> Connection::read_loop(Self self) {
  bool more = !self->closed_;
  while (more) {
    more = co_await read_some(self);
    self->dispatch_all();
  }
}

asio::awaitable<void> Connection::write_loop(Self self) {
  while (!self->closed_) {
    // One command at a time: what waits stays in the session, where it is counted, limited and can
    // be withdrawn.
    while (auto output = self->session_.next_output()) {
      const auto waiter = self->waiters_.find(output->id);
      // A human monitor takes several lines for some commands.
      if (waiter != self->waiters_.end() && !waiter->second.sent)
        waiter->second.sent = std::chrono::steady_clock::now();
      co_await send(self, std::move(*output));
    }
    if (self->closed_) break;
    self->output_bell_.expires_at(std::chrono::steady_clock::time_point::max());
    co_await self->output_bell_.async_wait(as_result);
  }
}

// One read; false when the session has ended. Bounded, so that a VM that floods us gives others
// their turn.
asio::awaitable<bool> Connection::read_some(Self self) {
  if (const auto rest = self->rest_due(); rest.count() > 0 && !self->closed_) {
    self->rest_timer_.expires_after(rest);
    co_await self->rest_timer_.async_wait(as_result);
  }
  while (!self->closed_) {
    // Waited for even if bytes are there: between two reads others have their turn. An error of the
    // wait shows in the attempt to read, unless it was cancelled.
    const auto [ec] = co_await self->socket_.async_wait(asio::socket_base::wait_read, as_result);
    if (self->closed_) break;
    if (ec == asio::error::operation_aborted) {
      self->end(make_error(errc::closed, "the monitor session was cancelled"));
      break;
    }
    const ssize_t size = self->receive_now();
    if (size > 0) co_return true;
    const int error = size == 0 ? 0 : errno;
    if (size < 0 && (error == EAGAIN || error == EWOULDBLOCK || error == EINTR)) continue;
    const boost::system::error_code eof = asio::error::eof;
    const boost::system::error_code failed(error, boost::system::system_category());
    self->end(connection_lost(size == 0 ? eof : failed, self->session_.greeted()));
  }
  co_return false;
}

// How long not to read, 0 for a monitor that behaves.
std::chrono::milliseconds Connection::rest_due() {
  const auto now = std::chrono::steady_clock::now();
  const std::chrono::duration<double> passed = now - allowance_time_;
  const auto unasked = session_.counts().unasked_bytes;
  allowance_bytes_ += passed.count() * bytes_per_second;
  allowance_bytes_ = std::min(burst_bytes, allowance_bytes_);
  allowance_bytes_ -= static_cast<double>(unasked - std::exchange(unasked_bytes_, unasked));
  allowance_time_ = now;
  if (allowance_bytes_ >= 0) return std::chrono::milliseconds(0);
  return std::chrono::milliseconds(1 + std::lround(-allowance_bytes_ * 1000 / bytes_per_second));
}

// recv(2) that never blocks; what came is with the session.
ssize_t Connection::receive_now() {
  std::array<char, read_bytes_max> input;
  const ssize_t size = ::recv(socket_.native_handle(), input.data(), input.size(), MSG_DONTWAIT);
  if (size <= 0) return size;
  const auto count = static_cast<std::size_t>(size);
  statistics_.bytes_received += count;
  session_.receive(std::string_view(input.data(), count));
  return size;
}

asio::awaitable<void> Connection::send(Self self, Output output) {
  std::string_view rest = output.bytes;
  while (!rest.empty() && !self->closed_) {
    const ssize_t sent = send_now(self->socket_.native_handle(), rest, output.descriptor.get());
    if (sent >= 0) {
      output.descriptor.reset();
      rest.remove_prefix(static_cast<std::size_t>(sent));
      self->statistics_.bytes_sent += static_cast<std::uint64_t>(sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      // An error of the wait shows in the next attempt to send.
      co_await self->socket_.async_wait(asio::socket_base::wait_write, as_result);
    } else if (errno != EINTR) {
      const boost::system::error_code ec(errno, boost::system::system_category());
      self->end(connection_lost(ec, self->session_.greeted()));
    }
  }
}

// Stops right after Ready, so that events behind it wait until somebody listens.
void Connection::dispatch_until_ready() {
  while (!session_.ready()) {
    const auto incoming = session_.next();
    if (!incoming) break;
  }
  end_if_session_ended();
}

void Connection::dispatch_all() {
  while (auto incoming = session_.next()) dispatch(std::move(*incoming));
  end_if_session_ended();
  // Replies made room on the wire.
  output_bell_.cancel();
}

void Connection::dispatch(Incoming incoming) {
  if (auto* reply = std::get_if<Reply>(&incoming)) {
    answer(std::move(*reply));
  } else if (const auto* message = std::get_if<EventMessage>(&incoming)) {
    ++statistics_.events;
    const Event event{message->name, message->data, message->time};
    if (on_event) on_event(event);
  }
}

void Connection::answer(Reply reply) {
  const auto found = waiters_.find(reply.id);
  if (found == waiters_.end() || found->second.result) return;
  Waiter& waiter = found->second;
  waiter.result = std::move(reply.result);
  waiter.timer.cancel();
  const auto taken =
      std::chrono::steady_clock::now() - waiter.sent.value_or(std::chrono::steady_clock::now());
  ++statistics_.round_trips;
  statistics_.round_trip_sum += taken;
  statistics_.round_trip_last = taken;
  if (on_round_trip) on_round_trip(taken);
}

void Connection::handshake_too_late(std::chrono::milliseconds deadline) {
  // The timer may have expired in the same turn in which the handshake succeeded.
  if (session_.ready() || session_.ended()) return;
  const bool human = session_.protocol() == Protocol::hmp;
  if (session_.greeted()) {
    end(make_error(errc::timed_out, std::string("the monitor greeted, but did not answer ") +
                                        (human ? "\"info version\"" : "qmp_capabilities") +
                                        " within " + to_text(deadline) +
                                        ": QEMU's main loop is blocked"));
  } else {
    end(make_error(errc::busy, "no greeting within " + to_text(deadline) +
                                   ": another client holds this monitor (a QEMU monitor serves one "
                                   "client at a time)" +
                                   (human ? ", or it shares its character device (mux)" : "")));
  }
}

void Connection::end_if_session_ended() {
  if (session_.ended()) end(session_.end_reason());
}

std::string to_text(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  if (ms % 1000 == 0) return std::to_string(ms / 1000) + " s";
  return std::to_string(ms) + " ms";
}

}  // namespace qemon::qmp
