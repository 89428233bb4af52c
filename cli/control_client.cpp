#include "cli/control_client.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/unique_fd.hpp"

namespace qemon::cli {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Json = nlohmann::ordered_json;
using Stream = beast::basic_stream<asio::local::stream_protocol>;

namespace {

/// Events of a thousand VMs with all their names are about this much; more means that something is
/// wrong.
constexpr std::uint64_t answer_bytes_max = 1024ULL * 1024 * 1024;
constexpr std::chrono::milliseconds connect_max = std::chrono::seconds(5);

constexpr const char* permission_cure = "add yourself to group qemon or use sudo";

/// A connected socket. The cure depends on why there is none.
Result<UniqueFd> connect(const std::string& path, std::chrono::milliseconds deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string who = "cannot reach qemond at " + path;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return Error{who + ": the path of a socket has 1 to " +
                 std::to_string(sizeof address.sun_path - 1) + " bytes: give another --socket"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);

  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return system_error(errno, who);
  // A blocking connect waits for room in the daemon's queue, which a non-blocking one cannot do on
  // Unix sockets.
  const timeval longest{deadline.count() / 1000, deadline.count() % 1000 * 1000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return fd;
  const int number = errno;
  Error error = system_error(number, who);
  if (number == EACCES || number == EPERM) {
    error.detail += std::string(": ") + permission_cure;
  } else if (number == EAGAIN) {
    error.detail = who + ": it does not accept connections: look at 'journalctl -u qemond'";
  } else {
    error.detail += ": start it with 'systemctl start qemond' or give --socket";
  }
  return error;
}

/// Sends one request and reads its response, in one run of an io_context of its own.
class Exchange {
 public:
  Exchange(const UniqueFd& fd, http::request<http::string_body> request)
      : request_(std::move(request)) {
    parser_.body_limit(answer_bytes_max);
    beast::error_code error;
    // The stream owns a descriptor of its own, so that there is one owner each.
    stream_.socket().assign(asio::local::stream_protocol(), ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0),
                            error);
    error_ = error;
  }

  beast::error_code run(std::chrono::milliseconds deadline) {
    if (error_) return error_;
    stream_.expires_after(deadline);
    http::async_write(stream_, request_,
                      [this](beast::error_code error, std::size_t) { on_sent(error); });
    context_.run();
    return error_;
  }
  [[nodiscard]] unsigned status() const { return parser_.get().result_int(); }
  [[nodiscard]] const std::string& body() const { return parser_.get().body(); }
  /// Other than what handlers say, which is JSON.
  [[nodiscard]] bool is_text() const {
    return status() >= 400 &&
           parser_.get()[http::field::content_type] == "text/plain; charset=utf-8";
  }

 private:
  void on_sent(beast::error_code) {
    // A daemon that refuses may answer and close before it has read all of the request, so the
    // answer is looked for even if sending failed.
    http::async_read(stream_, buffer_, parser_,
                     [this](beast::error_code error, std::size_t) { error_ = error; });
  }

  asio::io_context context_;
  Stream stream_{context_};
  http::request<http::string_body> request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  beast::error_code error_;
};

std::string seconds_text(std::chrono::milliseconds duration) {
  const auto count = duration.count();
  return count % 1000 == 0 ? std::to_string(count / 1000) + " s" : std::to_string(count) + " ms";
}

/// Why a request does not even get to what would answer it, for instance because it is too long.
Error refusal_by_server(unsigned status, std::string_view line) {
  const bool too_long = status == 413 || status == 414 || status == 431;
  return Error{"qemond refuses: " + std::string(line) +
               (too_long ? ": name fewer, or use a pattern" : "")};
}

/// The one line of {"error": "..."} in an answer that is not a success.
Error refusal(unsigned status, const Json& answer) {
  Error error;
  if (const auto text = answer.is_object() ? answer.find("error") : answer.end();
      text != answer.end() && text->is_string()) {
    error.detail = text->get<std::string>();
  } else {
    error.detail = "qemond refuses with HTTP status " + std::to_string(status);
  }
  if (status == 403 && error.detail.find("sudo") == std::string::npos)
    error.detail += std::string(": ") + permission_cure;
  return error;
}

}  // namespace

Result<Json> ControlClient::get(const std::string& target) const {
  return request("GET", target, "");
}

Result<Json> ControlClient::post(const std::string& target, const Json& body) const {
  return request("POST", target, body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Result<Json> ControlClient::request(const char* method, const std::string& target,
                                    const std::string& body) const {
  const Result<UniqueFd> fd = connect(path_, std::min(connect_max, answer_max_));
  if (!fd) return fd.error();
  http::request<http::string_body> message;
  message.version(11);
  message.method_string(method);
  message.target(target);
  message.set(http::field::host, "qemond");
  message.set(http::field::accept, "application/json");
  message.keep_alive(false);
  if (!body.empty()) {
    message.set(http::field::content_type, "application/json");
    message.body() = body;
    message.prepare_payload();
  }

  Exchange exchange(*fd, std::move(message));
  const beast::error_code error = exchange.run(answer_max_);
  if (error == beast::error::timeout)
    return Error{"no answer from qemond at " + path_ + " within " + seconds_text(answer_max_) +
                 ": look at 'journalctl -u qemond'"};
  if (error == http::error::end_of_stream || error == http::error::partial_message)
    return Error{"qemond at " + path_ +
                 " ended the connection without an answer: look at 'journalctl -u qemond'"};
  const std::string strange =
      "the answer from " + path_ + " is not qemond's: give its control socket with --socket";
  if (error && error.category() == http::make_error_code(http::error::bad_version).category())
    return Error{strange};
  if (error)
    return Error{"asking qemond at " + path_ + ": " + error.message() +
                 ": look at 'journalctl -u qemond'"};

  Json answer = Json::parse(exchange.body(), nullptr, false);
  if (exchange.is_text()) {
    const std::string_view line(exchange.body());
    return refusal_by_server(exchange.status(), line.substr(0, line.find('\n')));
  }
  if (exchange.status() < 200 || exchange.status() >= 300)
    return refusal(exchange.status(), answer);
  if (!answer.is_object()) return Error{strange};
  return {boost::system::in_place_value, std::move(answer)};
}

}  // namespace qemon::cli
