// KernelTracer: the ProbeTracer of qemon-usdt.so, by libbpf.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "usdt/probe_notes.hpp"
#include "usdt/probe_program.hpp"
#include "usdt/probe_rights.hpp"
#include "usdt/tracer_module.hpp"

namespace qemon::usdt {
namespace {

constexpr const char* provider = "qemu";

// What libbpf said last on this thread; its return values are errno values only.
thread_local std::string last_words;

int keep_last_words(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  std::array<char, 512> text{};
  std::vsnprintf(text.data(), text.size(), format, arguments);
  last_words = text.data();
  last_words.erase(std::min(last_words.find('\n'), last_words.size()));
  return 0;
}

std::size_t page_bytes() {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// Memory that is shared with the program.
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : at_(std::exchange(other.at_, nullptr)), bytes_(other.bytes_) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping() {
    if (at_ != nullptr) ::munmap(at_, bytes_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  static Result<Mapping> of(int fd, std::size_t bytes, int protection, std::size_t offset) {
    Mapping mapping;
    mapping.bytes_ = (bytes + page_bytes() - 1) / page_bytes() * page_bytes();
    void* const at =
        ::mmap(nullptr, mapping.bytes_, protection, MAP_SHARED, fd, static_cast<off_t>(offset));
    if (at == MAP_FAILED) return system_error(errno, "memory shared with the kernel");
    mapping.at_ = at;
    return mapping;
  }

  [[nodiscard]] std::uint64_t load(std::size_t i) const {
    return std::atomic_ref(static_cast<std::uint64_t*>(at_)[i]).load(std::memory_order_acquire);
  }
  void store(std::size_t i, std::uint64_t value) {
    std::atomic_ref(static_cast<std::uint64_t*>(at_)[i]).store(value, std::memory_order_release);
  }

 private:
  void* at_ = nullptr;
  std::size_t bytes_ = 0;
};

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
struct FreeRing {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};
struct DestroyLink {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};

class KernelTracer final : public ProbeTracer {
 public:
  static Result<std::unique_ptr<ProbeTracer>> load(const ProbeTracerOptions& options);

  Result<bool> attach(std::uint32_t slot, const std::string& file,
                      const std::string& name) override;
  void detach(std::uint32_t slot) override { links_.erase(slot); }
  void set(std::uint32_t slot, const probe_event& event) override;
  [[nodiscard]] std::uint64_t count(std::uint32_t slot) const override;
  void set_adder(std::uint32_t adder, const probe_adder& sums) override;
  [[nodiscard]] probe_totals totals(std::uint32_t adder) const override;
  [[nodiscard]] std::uint64_t lost() const override { return losses_.load(0); }
  std::size_t read(std::size_t bytes_max,
                   const std::function<void(std::string_view)>& take) override;
  [[nodiscard]] std::uint64_t waiting_bytes() const override;

 private:
  explicit KernelTracer(const ProbeTracerOptions& options) : options_(options) {}

  Result<void> size_maps();
  Result<void> map_memory();
  Result<bool> attach_bare(std::uint32_t slot, const std::string& file,
                           const std::vector<ProbeSite>& sites);
  [[nodiscard]] bpf_map* map(const char* name) const {
    return bpf_object__find_map_by_name(object_.get(), name);
  }
  static int take_record(void* context, void* data, std::size_t size);

  ProbeTracerOptions options_;
  std::unique_ptr<bpf_object, CloseObject> object_;
  bpf_program* program_ = nullptr;
  bpf_program* bare_program_ = nullptr;
  Mapping events_, counts_, adders_, totals_, losses_, consumer_, producer_;
  // Of the thread that attaches and detaches.
  std::multimap<std::uint32_t, std::unique_ptr<bpf_link, DestroyLink>> links_;

  // Of the thread that reads.
  std::unique_ptr<ring_buffer, FreeRing> ring_;
  const std::function<void(std::string_view)>* take_ = nullptr;
  std::size_t read_bytes_ = 0, bytes_max_ = 0;
};

Result<void> KernelTracer::size_maps() {
  const std::pair<const char*, std::size_t> sizes[] = {
      {"events", options_.slots},
      {"counts", options_.slots * probe_shards},
      {"records", options_.ring_bytes},
      {"__bpf_usdt_specs", options_.sites_max},
  };
  for (const auto& [name, size] : sizes) {
    const int failed = bpf_map__set_max_entries(map(name), static_cast<std::uint32_t>(size));
    if (failed != 0) return system_error(-failed, std::string("BPF map ") + name);
  }
  const auto slots = static_cast<std::uint32_t>(options_.slots);
  const int failed = bpf_map__set_initial_value(map(".rodata"), &slots, sizeof slots);
  if (failed != 0) return system_error(-failed, "BPF constants");
  return {};
}

Result<void> KernelTracer::map_memory() {
  const int ring_fd = bpf_map__fd(map("records"));
  struct Part {
    Mapping& into;
    int fd;
    std::size_t bytes;
    int protection;
    std::size_t offset;
  };
  const Part parts[] = {
      {events_, bpf_map__fd(map("events")), options_.slots * sizeof(probe_event),
       PROT_READ | PROT_WRITE, 0},
      {counts_, bpf_map__fd(map("counts")), options_.slots * probe_shards * sizeof(std::uint64_t),
       PROT_READ | PROT_WRITE, 0},
      {adders_, bpf_map__fd(map("adders")), probe_adders_max * sizeof(probe_adder),
       PROT_READ | PROT_WRITE, 0},
      {totals_, bpf_map__fd(map("totals")), probe_adders_max * probe_shards * sizeof(probe_totals),
       PROT_READ | PROT_WRITE, 0},
      {losses_, bpf_map__fd(map("losses")), sizeof(std::uint64_t), PROT_READ | PROT_WRITE, 0},
      // How far it was read, and how far written: the first two pages of a ring.
      {consumer_, ring_fd, page_bytes(), PROT_READ, 0},
      {producer_, ring_fd, page_bytes(), PROT_READ, page_bytes()},
  };
  for (const auto& part : parts) {
    auto shared = Mapping::of(part.fd, part.bytes, part.protection, part.offset);
    if (!shared) return shared.error();
    part.into = std::move(*shared);
  }
  ring_.reset(ring_buffer__new(ring_fd, &KernelTracer::take_record, this, nullptr));
  if (!ring_) return system_error(errno, "BPF ring buffer");
  return {};
}

int KernelTracer::take_record(void* context, void* data, std::size_t size) {
  auto& tracer = *static_cast<KernelTracer*>(context);
  (*tracer.take_)(std::string_view(static_cast<const char*>(data), size));
  tracer.read_bytes_ += size;
  return tracer.read_bytes_ < tracer.bytes_max_ ? 0 : -ECANCELED;
}

Result<std::unique_ptr<ProbeTracer>> KernelTracer::load(const ProbeTracerOptions& options) {
  static_assert(sizeof(probe_event) == sizeof(std::uint64_t));
  static std::once_flag once;
  std::call_once(once, [] { libbpf_set_print(keep_last_words); });
  last_words.clear();
  std::unique_ptr<KernelTracer> tracer(new KernelTracer(options));
  const auto program = probe_program();
  tracer->object_.reset(bpf_object__open_mem(program.data(), program.size(), nullptr));
  if (!tracer->object_) return system_error(errno, "the BPF program of this qemond");
  if (auto sized = tracer->size_maps(); !sized) return sized.error();
  if (const int failed = bpf_object__load(tracer->object_.get()); failed != 0)
    return explain_refusal(-failed, last_words, "the BPF program cannot be loaded");
  tracer->program_ = bpf_object__find_program_by_name(tracer->object_.get(), "on_probe");
  tracer->bare_program_ = bpf_object__find_program_by_name(tracer->object_.get(), "on_bare_probe");
  if (auto mapped = tracer->map_memory(); !mapped) return mapped.error();
  // Before an event is switched on in vain. Newer versions have another way to attach.
  if (libbpf_major_version() == 1 && libbpf_minor_version() < 3) {
    if (const auto may = try_breakpoint(); !may) {
      const auto& error = may.error();
      if (!error.code) return error;
      return explain_refusal(error.code.value(), {}, "the probes of QEMU cannot be attached to");
    }
  }
  return std::unique_ptr<ProbeTracer>(std::move(tracer));
}

Result<bool> KernelTracer::attach(std::uint32_t slot, const std::string& file,
                                  const std::string& name) {
  last_words.clear();
  bpf_usdt_opts options{};
  options.sz = sizeof options;
  options.usdt_cookie = slot;
  bpf_link* const link = bpf_program__attach_usdt(program_, options_.pid, file.c_str(), provider,
                                                  name.c_str(), &options);
  if (link != nullptr) {
    links_.emplace(slot, link);
    return true;
  }
  const int number = errno;
  const auto refused = explain_refusal(number, last_words, "probe " + name + " of " + file);
  // libbpf does not know all ways in which a compiler may say where an argument is.
  if (number != EINVAL && number != ENOENT) return refused;
  const auto sites = find_sites(file, provider, name);
  if (!sites || sites->empty()) return refused;
  return attach_bare(slot, file, *sites);
}

Result<bool> KernelTracer::attach_bare(std::uint32_t slot, const std::string& file,
                                       const std::vector<ProbeSite>& sites) {
  for (const auto& site : sites) {
    bpf_uprobe_opts options{};
    options.sz = sizeof options;
    options.ref_ctr_offset = site.semaphore;
    options.bpf_cookie = slot;
    bpf_link* const link = bpf_program__attach_uprobe_opts(bare_program_, options_.pid,
                                                           file.c_str(), site.code, &options);
    if (link == nullptr) return explain_refusal(errno, last_words, "a probe of " + file);
    links_.emplace(slot, link);
  }
  return false;
}

void KernelTracer::set(std::uint32_t slot, const probe_event& event) {
  events_.store(slot, std::bit_cast<std::uint64_t>(event));
}

std::uint64_t KernelTracer::count(std::uint32_t slot) const {
  std::uint64_t sum = 0;
  for (std::size_t shard = 0; shard < probe_shards; ++shard)
    sum += counts_.load(shard * options_.slots + slot);
  return sum;
}

void KernelTracer::set_adder(std::uint32_t adder, const probe_adder& sums) {
  const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(sums);
  for (std::size_t i = 0; i < words.size(); ++i) adders_.store(adder * words.size() + i, words[i]);
}

probe_totals KernelTracer::totals(std::uint32_t adder) const {
  std::array<std::uint64_t, sizeof(probe_totals) / sizeof(std::uint64_t)> words{};
  for (std::size_t shard = 0; shard < probe_shards; ++shard)
    for (std::size_t i = 0; i < words.size(); ++i)
      words[i] += totals_.load((shard * probe_adders_max + adder) * words.size() + i);
  return std::bit_cast<probe_totals>(words);
}

std::size_t KernelTracer::read(std::size_t bytes_max,
                               const std::function<void(std::string_view)>& take) {
  take_ = &take;
  read_bytes_ = 0;
  bytes_max_ = bytes_max;
  ring_buffer__consume(ring_.get());
  return read_bytes_;
}

std::uint64_t KernelTracer::waiting_bytes() const {
  const auto read = consumer_.load(0);
  const auto written = producer_.load(0);
  return written > read ? written - read : 0;
}

}  // namespace
}  // namespace qemon::usdt

const char* qemon_usdt_version() {
  return QEMON_VERSION;
}

void qemon_usdt_load(const qemon::usdt::ProbeTracerOptions& options,
                     qemon::Result<std::unique_ptr<qemon::usdt::ProbeTracer>>& into) {
  into = qemon::usdt::KernelTracer::load(options);
}
