#include "tests/support/fake_grafana.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <stdexcept>
#include <utility>

namespace qemon::test {

namespace {

constexpr std::chrono::milliseconds trickle_interval{10};

/// The value of a header; empty if there is none.
std::string header_in(const std::string& head, const std::string& name) {
  const auto at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const auto begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

}  // namespace

/// Plain or with TLS.
struct FakeGrafana::Connection {
  Connection(int its_fd, ssl_ctx_st* tls)
      : fd(its_fd), ssl(tls != nullptr ? ::SSL_new(tls) : nullptr, &::SSL_free) {
    if (ssl) ::SSL_set_fd(ssl.get(), fd.get());
  }
  [[nodiscard]] bool accept() const { return !ssl || ::SSL_accept(ssl.get()) == 1; }
  [[nodiscard]] long read(char* into, std::size_t size) const {
    return ssl ? ::SSL_read(ssl.get(), into, static_cast<int>(size))
               : ::recv(fd.get(), into, size, 0);
  }
  [[nodiscard]] bool write(std::string_view text) const {
    if (ssl) return ::SSL_write(ssl.get(), text.data(), static_cast<int>(text.size())) > 0;
    while (!text.empty()) {
      const auto sent = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  UniqueFd fd;
  std::unique_ptr<ssl_st, void (*)(ssl_st*)> ssl;
};

GrafanaAnswer grafana_says(unsigned status, const std::string& body, const std::string& header) {
  GrafanaAnswer answer;
  answer.text = "HTTP/1.1 " + std::to_string(status) +
                " Whatever\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n" + (header.empty() ? "" : header + "\r\n") +
                "\r\n" + body;
  return answer;
}

FakeGrafana::FakeGrafana(ReservedPort port, const std::string& certificate)
    : port_(port.number()), listener_(port.take()), stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (!certificate.empty()) {
    tls_.reset(::SSL_CTX_new(::TLS_server_method()), &::SSL_CTX_free);
    if (::SSL_CTX_use_certificate_file(tls_.get(), certificate.c_str(), SSL_FILETYPE_PEM) != 1 ||
        ::SSL_CTX_use_PrivateKey_file(tls_.get(), certificate.c_str(), SSL_FILETYPE_PEM) != 1)
      throw std::runtime_error("no certificate in " + certificate);
  }
  if (::listen(listener_.get(), 64) != 0) throw std::runtime_error("cannot listen");
  thread_ = std::thread([this] { serve(); });
}

FakeGrafana::~FakeGrafana() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

std::string FakeGrafana::url(std::string_view host) const {
  return (tls_ ? "https://" : "http://") + std::string(host) + ":" + std::to_string(port_);
}

void FakeGrafana::set_token(const std::string& token) {
  const std::scoped_lock lock(mutex_);
  token_ = token;
}

void FakeGrafana::answer_next(GrafanaAnswer answer) {
  const std::scoped_lock lock(mutex_);
  next_.push_back(std::move(answer));
}

void FakeGrafana::answer_always(std::optional<GrafanaAnswer> answer) {
  const std::scoped_lock lock(mutex_);
  always_ = std::move(answer);
}

std::vector<FakeGrafana::Request> FakeGrafana::requests() const {
  const std::scoped_lock lock(mutex_);
  return requests_;
}

std::vector<nlohmann::json> FakeGrafana::annotations() const {
  const std::scoped_lock lock(mutex_);
  return annotations_;
}

/// False when it is to end.
bool FakeGrafana::wait_readable(int fd) const {
  std::array<pollfd, 2> ready{{{fd, POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  ::poll(ready.data(), ready.size(), -1);
  return ready[1].revents == 0;
}

void FakeGrafana::serve() {
  while (wait_readable(listener_.get())) {
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) connections_.emplace_back([this, fd] { serve_one(fd); });
  }
  for (auto& each : connections_) each.join();
}

void FakeGrafana::serve_one(int fd) {
  const Connection connection(fd, tls_.get());
  if (!wait_readable(fd)) return;
  if (!connection.accept()) {
    ++refused_handshakes_;
    return;
  }
  std::string received;
  std::array<char, 4096> piece{};
  std::size_t size = std::string::npos;
  while (received.size() < size) {
    const bool pending = connection.ssl && ::SSL_pending(connection.ssl.get()) > 0;
    if (!pending && !wait_readable(fd)) return;
    const long count = connection.read(piece.data(), piece.size());
    if (count <= 0) return;
    received.append(piece.data(), static_cast<std::size_t>(count));
    const auto end = received.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    size = end + 4 + std::stoul("0" + header_in(received, "Content-Length"));
  }
  Request request;
  const auto body = received.find("\r\n\r\n") + 4;
  request.head = received.substr(0, body);
  request.authorization = header_in(request.head, "Authorization");
  request.body = received.substr(body);
  request.time = std::chrono::steady_clock::now();
  const auto answer = take(std::move(request));
  const std::string_view text = answer.text;
  if (answer.how == GrafanaAnswer::How::whole) {
    std::ignore = connection.write(text);
  } else if (answer.how == GrafanaAnswer::How::cut) {
    std::ignore = connection.write(text.substr(0, text.size() / 2));
  } else if (answer.how == GrafanaAnswer::How::hang) {
    wait_readable(fd);
  } else {
    for (std::size_t i = 0; i < text.size(); ++i) {
      pollfd over{stop_.get(), POLLIN, 0};
      if (!connection.write(text.substr(i, 1)) ||
          ::poll(&over, 1, static_cast<int>(trickle_interval.count())) != 0)
        return;
    }
  }
  if (connection.ssl) ::SSL_shutdown(connection.ssl.get());
}

GrafanaAnswer FakeGrafana::take(Request request) {
  const std::scoped_lock lock(mutex_);
  requests_.push_back(request);
  if (!next_.empty()) {
    auto answer = std::move(next_.front());
    next_.pop_front();
    return answer;
  }
  return always_ ? *always_ : as_grafana(request);
}

/// As Grafana 11 does.
GrafanaAnswer FakeGrafana::as_grafana(const Request& request) {
  if (!token_.empty() && request.authorization != "Bearer " + token_)
    return grafana_says(401, R"({"message":"Invalid API key"})");
  if (!request.head.starts_with("POST /api/annotations HTTP/1.1\r\n"))
    return grafana_says(404, R"({"message":"Not found"})");
  auto annotation = nlohmann::json::parse(request.body, nullptr, false);
  if (!annotation.is_object() || header_in(request.head, "Content-Type") != "application/json")
    return grafana_says(400, R"({"message":"bad request data"})");
  if (!annotation.contains("text") || annotation["text"] == "")
    return grafana_says(
        400, R"({"message":"Failed to save annotation: text field should not be empty"})");
  annotations_.push_back(std::move(annotation));
  return grafana_says(
      200, R"({"id":)" + std::to_string(annotations_.size()) + R"(,"message":"Annotation added"})");
}

void make_certificate(const std::string& path, const std::string& hosts) {
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(::EVP_EC_gen("P-256"), &::EVP_PKEY_free);
  const std::unique_ptr<X509, void (*)(X509*)> certificate(::X509_new(), &::X509_free);
  ::X509_set_version(certificate.get(), 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate.get()), 1);
  ::X509_gmtime_adj(::X509_getm_notBefore(certificate.get()), -3600);
  ::X509_gmtime_adj(::X509_getm_notAfter(certificate.get()), 3600);
  ::X509_set_pubkey(certificate.get(), key.get());
  auto* name = ::X509_get_subject_name(certificate.get());
  ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("grafana"), -1, -1, 0);
  ::X509_set_issuer_name(certificate.get(), name);
  const std::unique_ptr<X509_EXTENSION, void (*)(X509_EXTENSION*)> names(
      ::X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, hosts.c_str()),
      &::X509_EXTENSION_free);
  ::X509_add_ext(certificate.get(), names.get(), -1);
  ::X509_sign(certificate.get(), key.get(), ::EVP_sha256());
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "we"),
                                                             &std::fclose);
  if (!file || ::PEM_write_X509(file.get(), certificate.get()) != 1 ||
      ::PEM_write_PrivateKey(file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    throw std::runtime_error("cannot write " + path);
}

}  // namespace qemon::test
