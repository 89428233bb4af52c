#include "daemon/process_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <map>
#include <string>

#include "daemon/landing_page.hpp"

namespace qemon::daemon {
namespace {

using testing::HasSubstr;

std::string page_text() {
  exporters::MetricsPage page;
  add_process_metrics(page);
  std::string text;
  text = page.text();
  return text;
}

/// The value of a sample without labels, or -1.
double value_of(const std::string& text, const std::string& name) {
  const std::size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
}

TEST(ProcessMetrics, AreThereAndPlausible) {
  const std::string text = page_text();

  EXPECT_GE(value_of(text, "process_cpu_seconds_total"), 0);
  EXPECT_GE(value_of(text, "process_open_fds"), 3);
  EXPECT_GE(value_of(text, "process_max_fds"), value_of(text, "process_open_fds"));
  EXPECT_GE(value_of(text, "process_resident_memory_bytes"), 100'000);
  EXPECT_GE(value_of(text, "process_virtual_memory_bytes"),
            value_of(text, "process_resident_memory_bytes"));
  const auto now = static_cast<double>(std::time(nullptr));
  EXPECT_NEAR(value_of(text, "process_start_time_seconds"), now, 3600);
}

TEST(ProcessMetrics, BuildInfoNamesVersionAndCompiler) {
  const auto family = build_info("0.1.0", "");

  ASSERT_EQ(family.metric.size(), 1U);
  EXPECT_EQ(family.name, "qemond_build_info");
  EXPECT_EQ(family.metric[0].gauge.value, 1);
  std::map<std::string, std::string> labels;
  for (const auto& label : family.metric[0].label) labels[label.name] = label.value;
  EXPECT_EQ(labels["version"], "0.1.0");
  EXPECT_FALSE(labels["compiler"].empty());
  EXPECT_EQ(labels.count("revision"), 0U);
  EXPECT_EQ(build_info("0.1.0", "abc").metric[0].label.size(), 3U);
}

TEST(LandingPage, LinksAndListsEscapedVms) {
  const std::vector<LandingVm> vms{{"<b>", "attached", "QEMU 7.2.22"},
                                   {"arm", "unreachable", "\"no\" & \xFF"}};

  const std::string page = landing_page("0.1.0", vms);

  EXPECT_THAT(page, HasSubstr("<h1>qemond 0.1.0</h1>"));
  EXPECT_THAT(page, HasSubstr("href=\"/metrics\""));
  EXPECT_THAT(page, HasSubstr("href=\"/-/healthy\""));
  EXPECT_THAT(page, HasSubstr("href=\"/-/ready\""));
  EXPECT_THAT(page, HasSubstr("<tr><td>&lt;b&gt;</td><td>attached</td><td>QEMU 7.2.22</td></tr>"));
  EXPECT_THAT(page, HasSubstr("<td>&quot;no&quot; &amp; \uFFFD</td>"));
}

TEST(LandingPage, SaysWhenThereAreNoVms) {
  EXPECT_THAT(landing_page("0.1.0", {}), HasSubstr("<p>None.</p>"));
}

}  // namespace
}  // namespace qemon::daemon
