#include "daemon/landing_page.hpp"

#include "base/utf8.hpp"

namespace qemon::daemon {

namespace {

std::string escape(std::string_view text) {
  std::string escaped;
  for (const char character : to_valid_utf8(text)) {
    switch (character) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += character;
    }
  }
  return escaped;
}

}  // namespace

std::string landing_page(std::string_view version, std::span<const LandingVm> vms) {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta "
      "charset=\"utf-8\">\n<title>qemond</title>\n"
      "<style>body{font-family:sans-serif;margin:2em}td,th{padding:.2em 1em .2em 0;text-align:left}"
      "</style>\n</head>\n<body>\n<h1>qemond " +
      escape(version) +
      "</h1>\n<p>Live monitor for QEMU virtual machines.</p>\n"
      "<ul>\n<li><a href=\"/metrics\">Metrics</a></li>\n<li><a "
      "href=\"/-/healthy\">Healthy</a></li>\n"
      "<li><a href=\"/-/ready\">Ready</a></li>\n</ul>\n<h2>Virtual machines</h2>\n";
  if (vms.empty()) {
    page += "<p>None.</p>\n";
  } else {
    page += "<table>\n<tr><th>Name</th><th>State</th><th>Detail</th></tr>\n";
    for (const LandingVm& vm : vms) {
      page += "<tr><td>" + escape(vm.name) + "</td><td>" + escape(vm.state) + "</td><td>" +
              escape(vm.detail) + "</td></tr>\n";
    }
    page += "</table>\n";
  }
  return page + "</body>\n</html>\n";
}

}  // namespace qemon::daemon
