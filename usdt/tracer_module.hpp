// What qemond calls in qemon-usdt.so. Both are of the same build: they share C++ types.
#pragma once

#include <memory>

#include "base/result.hpp"
#include "usdt/probe_tracer.hpp"

extern "C" {
/// The version of qemon that it is of.
using qemon_usdt_version_function = const char*();
[[gnu::visibility("default")]] qemon_usdt_version_function qemon_usdt_version;

using qemon_usdt_load_function =
    void(const qemon::usdt::ProbeTracerOptions&,
         qemon::Result<std::unique_ptr<qemon::usdt::ProbeTracer>>& into);
[[gnu::visibility("default")]] qemon_usdt_load_function qemon_usdt_load;
}
