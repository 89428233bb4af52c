# Debian packages, by CPack: `cmake --build build/release --target package`. To be included last.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME qemon)
set(CPACK_PACKAGE_VERSION ${QEMON_PACKAGE_VERSION})
# Each package has a description of its own.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_PACKAGE_CONTACT "${QEMON_PACKAGE_MAINTAINER}")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/packaging/compress-docs.cmake)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL qemon)
if(QEMON_HAS_DASHBOARDS)
  list(APPEND CPACK_COMPONENTS_ALL qemon-grafana)
endif()
if(QEMON_HAS_USDT)
  list(APPEND CPACK_COMPONENTS_ALL qemon-usdt)
endif()
if(TARGET qemon-lttng)
  list(APPEND CPACK_COMPONENTS_ALL qemon-lttng)
endif()
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)

set(CPACK_DEBIAN_QEMON_PACKAGE_NAME qemon)
set(CPACK_DEBIAN_QEMON_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_QEMON_PACKAGE_SHLIBDEPS ON)
# Beside the libraries: what the maintainer scripts need.
set(CPACK_DEBIAN_QEMON_PACKAGE_DEPENDS "init-system-helpers (>= 1.54~), systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
set(CPACK_DEBIAN_QEMON_PACKAGE_SUGGESTS "prometheus, qemon-grafana, qemon-lttng, qemon-usdt, qemu-system")
set(CPACK_DEBIAN_QEMON_DESCRIPTION "live monitor for QEMU virtual machines
qemond attaches to the monitors of running QEMU virtual machines, switches
QEMU's own trace events on and off while the guests run, follows the traces
as they are written, and serves counters, latencies and heat maps to
Prometheus. No option for tracing has to be given when a VM is started, and
every VM is left as it was found.

This package has the daemon, its units, the command line tool qemon, and
the packs that turn events into metrics.")
set(CPACK_DEBIAN_QEMON_PACKAGE_CONTROL_EXTRA)
foreach(script IN ITEMS postinst prerm postrm conffiles)
  list(APPEND CPACK_DEBIAN_QEMON_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/packaging/debian/${script})
endforeach()

set(CPACK_DEBIAN_QEMON-GRAFANA_PACKAGE_NAME qemon-grafana)
set(CPACK_DEBIAN_QEMON-GRAFANA_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_QEMON-GRAFANA_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_QEMON-GRAFANA_PACKAGE_SUGGESTS "grafana, prometheus, qemon")
set(CPACK_DEBIAN_QEMON-GRAFANA_DESCRIPTION "dashboards and alerting rules for QEMU virtual machines
Dashboards for Grafana, with the files that provision them, and recording
and alerting rules for Prometheus, of the metrics that qemond serves about
running QEMU virtual machines. They can be on another host than qemond.")

# Of the same build as qemond, which loads it.
set(CPACK_COMPONENT_QEMON-USDT_DEPENDS qemon)
set(CPACK_DEBIAN_QEMON-USDT_PACKAGE_NAME qemon-usdt)
set(CPACK_DEBIAN_QEMON-USDT_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_QEMON-USDT_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_QEMON-USDT_DESCRIPTION "live monitor for QEMU virtual machines - USDT probes
What qemond needs to follow the trace events of a QEMU that was built with
the trace backend dtrace alone: a BPF program, and what attaches it to the
probes in a running QEMU. It needs rights that qemond has not by default;
an example shows how to give it those.")

set(CPACK_DEBIAN_QEMON-LTTNG_PACKAGE_NAME qemon-lttng)
set(CPACK_DEBIAN_QEMON-LTTNG_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_QEMON-LTTNG_PACKAGE_SHLIBDEPS ON)
# It is started by the qemond of the same build alone, and finds the daemons of lttng-tools running.
set(CPACK_DEBIAN_QEMON-LTTNG_PACKAGE_DEPENDS "qemon (= ${QEMON_PACKAGE_VERSION}-1), lttng-tools")
set(CPACK_DEBIAN_QEMON-LTTNG_DESCRIPTION "live monitor for QEMU virtual machines, records by LTTng
With this program qemond follows the trace events of QEMU virtual machines
whose QEMU has the trace backend ust, by live sessions of LTTng.")
include(CPack)
