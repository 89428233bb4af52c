#include "usdt/probe_tracer.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "usdt/probe_program.hpp"
#include "usdt/probe_rights.hpp"

namespace qemon::usdt {
namespace {

constexpr std::string_view provider = "qemu";

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

}  // namespace

struct ProbeTracer::Kernel {
  Options options;
  std::unique_ptr<bpf_object, CloseObject> object;
  bpf_program* program = nullptr;
  Mapping events, counts, losses, consumer, producer;
  // Of the thread that attaches and detaches.
  std::multimap<std::uint32_t, std::unique_ptr<bpf_link, DestroyLink>> links;

  // Of the thread that reads.
  std::unique_ptr<ring_buffer, FreeRing> ring;
  const std::function<void(std::string_view)>* take = nullptr;
  std::size_t read_bytes = 0, bytes_max = 0;

  Result<void> size_maps();
  Result<void> share_maps();
  [[nodiscard]] bpf_map* map(const char* name) const {
    return bpf_object__find_map_by_name(object.get(), name);
  }
  static int take_record(void* context, void* data, std::size_t size);
};

Result<void> ProbeTracer::Kernel::size_maps() {
  const std::pair<const char*, std::size_t> sizes[] = {
      {"events", options.slots},
      {"counts", options.slots * probe_shards},
      {"records", options.ring_bytes},
      {"__bpf_usdt_specs", options.sites_max},
  };
  for (const auto& [name, size] : sizes) {
    const int failed = bpf_map__set_max_entries(map(name), static_cast<std::uint32_t>(size));
    if (failed != 0) return system_error(-failed, std::string("BPF map ") + name);
  }
  const auto slots = static_cast<std::uint32_t>(options.slots);
  const int failed = bpf_map__set_initial_value(map(".rodata"), &slots, sizeof slots);
  if (failed != 0) return system_error(-failed, "BPF constants");
  return {};
}

Result<void> ProbeTracer::Kernel::share_maps() {
  const int ring_fd = bpf_map__fd(map("records"));
  struct Part {
    Mapping& into;
    int fd;
    std::size_t bytes;
    int protection;
    std::size_t offset;
  };
  const Part parts[] = {
      {events, bpf_map__fd(map("events")), options.slots * sizeof(probe_event),
       PROT_READ | PROT_WRITE, 0},
      {counts, bpf_map__fd(map("counts")), options.slots * probe_shards * sizeof(std::uint64_t),
       PROT_READ | PROT_WRITE, 0},
      {losses, bpf_map__fd(map("losses")), sizeof(std::uint64_t), PROT_READ | PROT_WRITE, 0},
      // How far it was read, and how far written: the first two pages of a ring.
      {consumer, ring_fd, page_bytes(), PROT_READ, 0},
      {producer, ring_fd, page_bytes(), PROT_READ, page_bytes()},
  };
  for (const auto& part : parts) {
    auto shared = Mapping::of(part.fd, part.bytes, part.protection, part.offset);
    if (!shared) return shared.error();
    part.into = std::move(*shared);
  }
  ring.reset(ring_buffer__new(ring_fd, &Kernel::take_record, this, nullptr));
  if (!ring) return system_error(errno, "BPF ring buffer");
  return {};
}

int ProbeTracer::Kernel::take_record(void* context, void* data, std::size_t size) {
  auto& kernel = *static_cast<Kernel*>(context);
  (*kernel.take)(std::string_view(static_cast<const char*>(data), size));
  kernel.read_bytes += size;
  return kernel.read_bytes < kernel.bytes_max ? 0 : -ECANCELED;
}

ProbeTracer::ProbeTracer(std::unique_ptr<Kernel> kernel) : kernel_(std::move(kernel)) {}
ProbeTracer::~ProbeTracer() = default;

Result<std::unique_ptr<ProbeTracer>> ProbeTracer::load(const Options& options) {
  static_assert(sizeof(probe_event) == sizeof(std::uint64_t));
  static std::once_flag once;
  std::call_once(once, [] { libbpf_set_print(keep_last_words); });
  last_words.clear();
  auto kernel = std::make_unique<Kernel>();
  kernel->options = options;
  const auto program = probe_program();
  kernel->object.reset(bpf_object__open_mem(program.data(), program.size(), nullptr));
  if (!kernel->object) return system_error(errno, "the BPF program of this qemond");
  if (auto sized = kernel->size_maps(); !sized) return sized.error();
  if (const int failed = bpf_object__load(kernel->object.get()); failed != 0)
    return explain_refusal(-failed, last_words, "BPF program cannot be loaded");
  kernel->program = bpf_object__find_program_by_name(kernel->object.get(), "on_probe");
  if (auto shared = kernel->share_maps(); !shared) return shared.error();
  return std::unique_ptr<ProbeTracer>(new ProbeTracer(std::move(kernel)));
}

Result<void> ProbeTracer::attach(std::uint32_t slot, const std::string& file,
                                 const std::string& name) {
  last_words.clear();
  bpf_usdt_opts options{};
  options.sz = sizeof options;
  options.usdt_cookie = slot;
  bpf_link* const link =
      bpf_program__attach_usdt(kernel_->program, kernel_->options.pid, file.c_str(),
                               std::string(provider).c_str(), name.c_str(), &options);
  if (link == nullptr) return explain_refusal(errno, last_words, "probe " + name + " of " + file);
  kernel_->links.emplace(slot, link);
  return {};
}

void ProbeTracer::detach(std::uint32_t slot) {
  kernel_->links.erase(slot);
}

void ProbeTracer::set(std::uint32_t slot, const probe_event& event) {
  kernel_->events.store(slot, std::bit_cast<std::uint64_t>(event));
}

std::uint64_t ProbeTracer::count(std::uint32_t slot) const {
  std::uint64_t sum = 0;
  for (std::size_t shard = 0; shard < probe_shards; ++shard)
    sum += kernel_->counts.load(shard * kernel_->options.slots + slot);
  return sum;
}

std::uint64_t ProbeTracer::lost() const {
  return kernel_->losses.load(0);
}

std::size_t ProbeTracer::read(std::size_t bytes_max,
                              const std::function<void(std::string_view)>& take) {
  kernel_->take = &take;
  kernel_->read_bytes = 0;
  kernel_->bytes_max = bytes_max;
  ring_buffer__consume(kernel_->ring.get());
  return kernel_->read_bytes;
}

std::uint64_t ProbeTracer::waiting_bytes() const {
  const auto read = kernel_->consumer.load(0);
  const auto written = kernel_->producer.load(0);
  return written > read ? written - read : 0;
}

}  // namespace qemon::usdt
