#include "qmp/error.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace qemon::qmp {
namespace {

TEST(QmpErrors, HaveTextsOfTheirOwn) {
  std::set<std::string> texts;
  for (int code = 1; code <= static_cast<int>(errc::kvm_missing_capability); ++code)
    EXPECT_TRUE(texts.insert(make_error_code(static_cast<errc>(code)).message()).second) << code;

  EXPECT_EQ(texts.count("another client holds this monitor"), 1U);
  EXPECT_EQ(qmp_category().message(99), "unknown error 99");
  EXPECT_STREQ(qmp_category().name(), "qmp");
}

}  // namespace
}  // namespace qemon::qmp
