#include "usdt/probe_tracer.hpp"

#include <dlfcn.h>

#include <filesystem>
#include <string_view>

#include "usdt/tracer_module.hpp"

namespace qemon::usdt {
namespace {

/// Beside the program, as both are installed and as both are built.
std::filesystem::path module_path() {
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return program.parent_path().parent_path() / "lib/qemon/modules/qemon-usdt.so";
}

}  // namespace

Result<std::unique_ptr<ProbeTracer>> load_probe_tracer(const ProbeTracerOptions& options) {
  const auto path = module_path();
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return Error{"the trace source usdt is not installed (" + path.string() +
                 "): install the package qemon-usdt, or build qemon where libbpf and clang are"};
  // It stays loaded: loading it again gives the same one.
  void* const module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr)
    return Error{std::string("the trace source usdt cannot be loaded: ") + ::dlerror()};
  auto* const version =
      reinterpret_cast<qemon_usdt_version_function*>(::dlsym(module, "qemon_usdt_version"));
  auto* const load =
      reinterpret_cast<qemon_usdt_load_function*>(::dlsym(module, "qemon_usdt_load"));
  if (version == nullptr || load == nullptr || version() != std::string_view(QEMON_VERSION))
    return Error{path.string() + " is not of this qemond's version: install both from one build"};
  Result<std::unique_ptr<ProbeTracer>> loaded = std::unique_ptr<ProbeTracer>();
  load(options, loaded);
  return loaded;
}

}  // namespace qemon::usdt
