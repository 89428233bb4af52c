// SharedPool: one copy of values that many have and that are mostly equal.
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace qemon {

/// Finds the copy of an equal value that somebody still holds. Holds none alive. For values of
/// which there are few different ones.
template <typename T>
class SharedPool {
 public:
  [[nodiscard]] std::shared_ptr<const T> share(T value) {
    std::erase_if(known_, [](const auto& known) { return known.expired(); });
    for (const auto& known : known_)
      if (auto candidate = known.lock(); candidate && *candidate == value) return candidate;
    auto made = std::make_shared<const T>(std::move(value));
    known_.push_back(made);
    return made;
  }

 private:
  std::vector<std::weak_ptr<const T>> known_;
};

}  // namespace qemon
