#include "daemon/daemon.hpp"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "base/version.hpp"
#include "daemon/annotation_writer.hpp"
#include "daemon/config_check.hpp"
#include "daemon/control_api.hpp"
#include "daemon/daemon_metrics.hpp"
#include "daemon/experiments.hpp"
#include "daemon/fleet.hpp"
#include "daemon/http_server.hpp"
#include "daemon/journal.hpp"
#include "daemon/lttng_helper.hpp"
#include "daemon/marks.hpp"
#include "daemon/passed_sockets.hpp"
#include "daemon/service_manager.hpp"
#include "daemon/vm.hpp"
#include "daemon/web_api.hpp"
#include "exporters/pack_library.hpp"
#include "trace/decoder.hpp"

namespace qemon::daemon {
namespace {

namespace asio = boost::asio;

/// Makes `path` and its parents if they are missing. Others may pass through but not list, because
/// a QEMU of another user opens its trace file in there by name.
Result<void> make_directory(const std::string& path, mode_t mode) {
  std::error_code failed;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), failed);
  if (failed)
    return Error{path + ": cannot be made (choose another with --runtime-dir): " + failed.message(),
                 failed};
  if (::mkdir(path.c_str(), mode) == 0) {
    // Whatever the umask was.
    if (::chmod(path.c_str(), mode) != 0) return system_error(errno, path);
    return Result<void>();
  }
  if (errno != EEXIST)
    return system_error(errno, path + ": cannot be made (choose another with --runtime-dir)");
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0) return system_error(errno, path);
  if (!S_ISDIR(about.st_mode))
    return Error{
        path +
        ": is a symbolic link or no folder: remove it, or choose another with --runtime-dir"};
  if (about.st_uid != ::geteuid() && about.st_uid != 0)
    return Error{path + ": belongs to user " + std::to_string(about.st_uid) +
                 ": choose another with --runtime-dir"};
  if (::access(path.c_str(), W_OK | X_OK) != 0)
    return system_error(errno, path + " (choose another with --runtime-dir)");
  return Result<void>();
}

/// A trace directory that is a mount of its own has a size that no trace can exceed, even when
/// qemond is dead and nobody reads it.
void warn_if_unbounded(const std::string& runtime_directory, const std::string& trace_directory) {
  struct stat around {};
  struct stat inside {};
  if (::stat(runtime_directory.c_str(), &around) != 0 ||
      ::stat(trace_directory.c_str(), &inside) != 0 || around.st_dev != inside.st_dev)
    return;
  spdlog::warn("{} is no mount of its own: if qemond is killed, traces may fill the file system",
               trace_directory);
}

ControlPolicy policy_of(const Config& config) {
  return make_control_policy(::geteuid(), config.control_groups, config.read_groups);
}

/// Files that a qemond that was killed has made for traces. A QEMU that still writes to one has it
/// open, and is led elsewhere when it is attached to.
void remove_left_trace_files(const std::string& folder) {
  std::error_code failed;
  for (const auto& file : std::filesystem::directory_iterator(folder, failed))
    if (file.path().extension() == ".trace") std::filesystem::remove(file.path(), failed);
}

constexpr std::size_t read_buffer_bytes = 2 * trace::decode_bytes_max;

class Daemon {
 public:
  explicit Daemon(const Config& config)
      : config_(config),
        read_buffer_(new char[read_buffer_bytes]),
        environment_{catalogs_,
                     event_names_,
                     command_sets_,
                     texts_,
                     packs_,
                     std::span(read_buffer_.get(), read_buffer_bytes),
                     config.runtime_directory + "/trace",
                     config.trace_space_bytes.value_or(0),
                     nullptr,
                     {},
                     {},
                     {},
                     {}},
        fleet_(context_.get_executor(), environment_),
        experiments_(context_.get_executor(), fleet_, packs_,
                     [this](Annotation annotation) {
                       if (environment_.annotate) environment_.annotate(std::move(annotation));
                     }),
        control_(fleet_, packs_, experiments_, marks_, policy_of(config)),
        web_(context_.get_executor(), fleet_.vms(), page_),
        server_(context_.get_executor(), limits_of_this_process()),
        signals_(context_),
        hangups_(context_, SIGHUP),
        service_(context_.get_executor()),
        annotations_(context_.get_executor()),
        ended_(context_) {}

  Result<void> run() {
    for (const auto& directory : {config_.runtime_directory, environment_.trace_directory}) {
      const mode_t mode = directory == environment_.trace_directory ? 0711 : 0755;
      if (auto made = make_directory(directory, mode); !made) return made.error();
    }
    warn_if_unbounded(config_.runtime_directory, environment_.trace_directory);
    auto journal = Journal::open(config_.runtime_directory);
    if (!journal) return journal.error();
    journal_.emplace(std::move(*journal));
    environment_.journal = &*journal_;
    if (auto opened = experiments_.open(config_.runtime_directory); !opened) return opened.error();
    if (const auto mistakes = load_packs(config_); !mistakes.empty()) {
      for (const auto& mistake : mistakes) spdlog::error("{}", mistake);
      return Error{"the packs have mistakes, " + std::to_string(mistakes.size()) +
                   " in all, told above: mend them, or leave the pack or --pack-dir out"};
    }
    if (auto listening = listen(); !listening) return listening.error();
    environment_.on_round_trip = [this](const std::string& vm, std::chrono::nanoseconds time) {
      metrics_.observe_round_trip(vm, time);
    };
    metrics_.add_to(page_, server_);
    DaemonMetrics::add_annotations(page_, annotations_, marks_);
    annotations_.configure(config_.grafana);
    environment_.annotate = [this](Annotation annotation) {
      annotations_.add(std::move(annotation));
    };
    control_.on_annotation(environment_.annotate);
    add_vm_metrics(page_, fleet_.vms());
    add_pack_metrics(page_, fleet_.vms());
    page_.add([this] { return experiments_.info(); });
    control_.on_reload([this] { return reload(); });
    environment_.on_gone = [this](const std::string& vm) { metrics_.forget(vm); };
    control_.set_lease_length(*config_.lease);
    take_up_journal();
    fleet_.configure(config_);
    experiments_.end_leases_left();
    spawn(fleet_.run());
    // Spawned last and not counted: it is what waits for the others.
    asio::co_spawn(context_, wait_for_end(), [](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    });
    asio::co_spawn(context_, reload_on_hangup(), [](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    });
    asio::co_spawn(context_, service_.run([this] { return to_text(service_figures()); }),
                   [](std::exception_ptr failure) {
                     if (failure) std::rethrow_exception(failure);
                   });
    asio::co_spawn(context_, annotations_.run(), [](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    });
    service_.ready();
    context_.run();
    return Result<void>();
  }

 private:
  /// What is left of a qemond that was killed.
  void take_up_journal() {
    auto left = journal_->read();
    for (const auto& refused : left.refused) spdlog::error("not taken up: {}", refused);
    if (!left.entries.empty()) remove_left_lttng_sessions();
    fleet_.take_up(std::move(left.entries));
    remove_left_trace_files(environment_.trace_directory);
  }

  /// On the sockets that systemd made, and on our own where it made none.
  Result<void> listen() {
    auto passed = take_passed_sockets();
    if (!passed) return passed.error();
    const auto on_web = [this](HttpRequest request) { return web_.handle(std::move(request)); };
    auto address = passed->http ? server_.listen_tcp(std::move(*passed->http), on_web)
                                : server_.listen_tcp(config_.listen, on_web);
    if (!address) return wrap(address.error(), "--listen");
    const auto on_control = [this](HttpRequest request) {
      return control_.handle(std::move(request));
    };
    const auto path = passed->control ? passed->control->path : config_.control_socket;
    // Anybody may connect and read; control_api asks who the peer is.
    auto control = passed->control ? server_.listen_unix(std::move(*passed->control), on_control)
                                   : server_.listen_unix(path, 0666, on_control);
    if (!control) return wrap(control.error(), "--control-socket");
    control_.set_about({*address, path});
    spdlog::info("qemond {} is serving http://{}/metrics control_socket={}", version, *address,
                 path);
    return Result<void>();
  }

  void spawn(asio::awaitable<void> task) {
    ++running_;
    asio::co_spawn(context_, std::move(task), [this](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
      if (--running_ == 0) ended_.cancel();
    });
  }

  /// Loads the packs and looks whether those that are wanted are there. With mistakes nothing
  /// changes.
  std::vector<std::string> load_packs(const Config& config) {
    auto packs = packs_;
    auto mistakes = packs.load(exporters::shipped_pack_folder(), config.pack_folders);
    if (mistakes.empty()) mistakes = unusable_packs(config, packs);
    if (mistakes.empty()) packs_ = std::move(packs);
    return mistakes;
  }

  /// Loads what can be changed without a restart. Mistakes are returned, and then all stays as it
  /// was.
  std::vector<std::string> reload() {
    service_.reloading();
    auto mistakes = load_again();
    service_.ready(mistakes.empty() ? "" : "Not reloaded, see the log for the mistakes; ");
    return mistakes;
  }

  std::vector<std::string> load_again() {
    Config config;
    auto mistakes = parse_again(config_, config);
    if (mistakes.empty()) mistakes = load_packs(config);
    if (!mistakes.empty()) {
      for (const auto& mistake : mistakes) spdlog::error("{}", mistake);
      spdlog::error("not reloaded: everything stays as it was mistakes={}", mistakes.size());
      return mistakes;
    }
    take_over(std::move(config));
    spdlog::info("reloaded packs={} vms={}", packs_.packs().size(), fleet_.vms().size());
    return mistakes;
  }

  /// The configuration was loaded anew: what can be changed while running is changed.
  void take_over(Config config) {
    for (const auto& [name, before, now] :
         {std::tuple{"listen", config_.listen, config.listen},
          std::tuple{"control_socket", config_.control_socket, config.control_socket},
          std::tuple{"runtime_dir", config_.runtime_directory, config.runtime_directory}}) {
      if (before != now)
        spdlog::warn("{} takes effect when qemond starts again value={}", name, now);
    }
    config_ = std::move(config);
    environment_.trace_space_bytes = config_.trace_space_bytes.value_or(0);
    annotations_.configure(config_.grafana);
    control_.set_policy(policy_of(config_));
    control_.set_lease_length(*config_.lease);
    spdlog::set_level(spdlog::level::from_str(config_.log_level));
    fleet_.configure(config_);
  }

  /// Since the last call, as far as the rate is concerned.
  ServiceFigures service_figures() {
    ServiceFigures figures;
    std::uint64_t records = 0;
    for (const auto& vm : fleet_.vms()) {
      ++figures.vms;
      if (!vm->is_up()) ++figures.out_of_reach;
      if (vm->leases().count_held() > 0) ++figures.tracing;
      records += vm->trace_totals().decoder.records;
    }
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> elapsed = now - std::exchange(figures_time_, now);
    // Fewer than before when a VM has been left.
    const auto before = std::exchange(figures_records_, records);
    if (records > before && elapsed.count() > 0)
      figures.records_per_second = static_cast<double>(records - before) / elapsed.count();
    return figures;
  }

  asio::awaitable<void> reload_on_hangup() {
    while (true) {
      const auto [ec, number] = co_await hangups_.async_wait(asio::as_tuple(asio::use_awaitable));
      // A signal that came just before the end was on its way here already when it was cancelled.
      if (ec || stopping_) co_return;
      reload();
    }
  }

  asio::awaitable<void> wait_for_end() {
    signals_.add(SIGTERM);
    signals_.add(SIGINT);
    const auto [ec, number] = co_await signals_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!ec) spdlog::info("stopping signal={}", number);
    stopping_ = true;
    service_.stopping();
    hangups_.cancel();
    experiments_.stop_all();
    fleet_.stop();
    ended_.expires_at(asio::steady_timer::time_point::max());
    if (running_ > 0) co_await ended_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_await annotations_.stop();
    co_await server_.stop();
    service_.stop();
  }

  Config config_;
  asio::io_context context_{1};
  std::optional<Journal> journal_;
  std::unique_ptr<char[]> read_buffer_;  // Not filled with zeros: memory is taken when it is used.
  CatalogFinder catalogs_;
  trace::EventNamesPool event_names_;
  SharedPool<std::set<std::string>> command_sets_;
  exporters::FamilyTextMaker texts_;
  exporters::PackLibrary packs_;
  VmEnvironment environment_;
  Fleet fleet_;
  DaemonMetrics metrics_;
  Marks marks_;
  exporters::MetricsPage page_;
  Experiments experiments_;
  ControlApi control_;
  WebApi web_;
  HttpServer server_;
  asio::signal_set signals_;
  asio::signal_set hangups_;  // From the beginning, since an early one would end us.
  ServiceManager service_;
  AnnotationWriter annotations_;
  std::chrono::steady_clock::time_point figures_time_ = std::chrono::steady_clock::now();
  std::uint64_t figures_records_ = 0;
  bool stopping_ = false;
  asio::steady_timer ended_;
  std::size_t running_ = 0;
};

}  // namespace

Result<void> run_daemon(const Config& config) {
  // A peer that hangs up is an error of that one write, not the end of qemond.
  std::signal(SIGPIPE, SIG_IGN);
  return Daemon(config).run();
}

}  // namespace qemon::daemon
