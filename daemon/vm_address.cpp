// The part of the configuration that names a VM and says where it is.
#include <algorithm>
#include <filesystem>

#include "daemon/config.hpp"

namespace qemon::daemon {
namespace {

constexpr std::size_t name_length_max = 64;

}  // namespace

bool is_valid_vm_name(std::string_view name) {
  return !name.empty() && name.size() <= name_length_max && name.front() != '-' &&
         name.front() != '.' && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.' || c == ':' || c == '@' || c == '+';
         });
}

std::string VmConfig::address() const {
  return file ? to_string(*file) : qmp::to_string(endpoint);
}

Result<void> set_address(std::string_view text, VmConfig& config) {
  if (text.starts_with("file:")) {
    auto file = parse_followed_file(text);
    if (!file) return file.error();
    config.file = std::move(*file);
    return {};
  }
  auto endpoint = qmp::parse_endpoint(text);
  if (!endpoint) {
    auto error = endpoint.error();
    if (error.detail.ends_with(qmp::how_to_write_endpoints))
      error.detail += ", or file:PATH for a trace without a monitor";
    return error;
  }
  config.endpoint = std::move(*endpoint);
  config.file.reset();
  return {};
}

std::string name_by_address(const VmConfig& config) {
  const auto& endpoint = config.endpoint;
  const bool tcp = !config.file && endpoint.transport == qmp::Transport::tcp;
  const std::filesystem::path path(config.file ? config.file->path : endpoint.path);
  std::string name =
      tcp ? endpoint.host + ":" + std::to_string(endpoint.port) : path.stem().string();
  for (char& each : name)
    if (!is_valid_vm_name(std::string("x") + each)) each = '_';
  name.resize(std::min(name.size(), name_length_max));
  return is_valid_vm_name(name) ? name : "vm" + name.substr(0, name_length_max - 2);
}

}  // namespace qemon::daemon
