"""System logs of a test's own: rsyslogd, and journald without systemd. They listen on /dev/log, so the test has to be in a mount namespace of
its own, with a /dev and a /run that nobody else sees:

    enter_own_namespace()  # Runs the test again, in there; returns only there.
    log = Rsyslogd(stack, rate_limit=100)
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from stack import PATIENCE, Failure, Process

JOURNALD = "/lib/systemd/systemd-journald"
DEV_LOG = pathlib.Path("/dev/log")
NAMESPACE = "QEMON_TEST_OWN_NAMESPACE"

SETUP = """
set -e
folder=$(mktemp -d)
mount -t tmpfs tmpfs "$folder"
for name in null zero full random urandom tty kmsg; do
  [ ! -e "/dev/$name" ] || { touch "$folder/$name"; mount --bind "/dev/$name" "$folder/$name"; }
done
mkdir "$folder/shm"
mount --rbind "$folder" /dev
umount -l "$folder"
rmdir "$folder"
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
exec "$@"
"""


def enter_own_namespace():
    """An Error's text if that is not permitted."""
    if NAMESPACE in os.environ:
        return None
    probe = subprocess.run(["unshare", "--mount", "--propagation", "private", "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        return f"no mount namespace of its own: {probe.stderr.strip()}"
    os.environ[NAMESPACE] = "1"
    command = [sys.executable, *sys.argv]
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "sh", "-c", SETUP, "sh", *command])


# What a QEMU with several backends is to do without: a syslog(3) that does nothing, and /dev/null in the place of the kernel's trace_marker.
_SILENT = {
    "syslog": "void openlog(const char *name, int option, int facility) {}\n"
              "void __syslog_chk(int priority, int flag, const char *format, ...) {}\n",
    "ftrace": "#include <string.h>\n#include <sys/syscall.h>\nlong syscall(long, ...);\n"
              "int open64(const char *path, int flags, unsigned mode) {\n"
              "  return syscall(SYS_openat, -100, strstr(path, \"/trace_marker\") ? \"/dev/null\" : path, flags, mode);\n"
              "}\n"
              "int open(const char *path, int flags, unsigned mode) { return open64(path, flags, mode); }\n",
}


def without_backends(stack, binary, backends):
    """A program that runs QEMU without some of its backends, "ftrace" and "syslog", each of which would write whatever is on for another one."""
    if not backends:
        return binary
    folder = pathlib.Path(tempfile.mkdtemp(prefix="silent.", dir=stack.folder))
    code, wrapper = "".join(_SILENT[backend] for backend in backends), folder / "qemu"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-x", "c", "-", "-o", folder / "silent.so"], input=code, text=True, check=True)
    wrapper.write_text(f'#!/bin/sh\nLD_PRELOAD={folder}/silent.so exec {binary} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o700)
    return wrapper


def find_rsyslogd():
    return shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin")


class Rsyslogd:
    """Writes every message to a file in each of some formats of its own: `files` has their paths by name."""

    TEMPLATES = {"traditional": "RSYSLOG_TraditionalFileFormat", "rfc3339": "RSYSLOG_FileFormat", "rfc5424": "RSYSLOG_SyslogProtocol23Format"}

    def __init__(self, stack, rate_limit=0, repeated=False, formats=tuple(TEMPLATES)):
        """`rate_limit`: so many messages a second of one process are let through; `repeated`: equal ones become one line."""
        self.stack, folder = stack, pathlib.Path(tempfile.mkdtemp(prefix="rsyslogd.", dir=stack.folder))
        self.files = {name: folder / name for name in formats}
        limit = f'SysSock.RateLimit.Interval="1" SysSock.RateLimit.Burst="{rate_limit}"' if rate_limit else ""
        lines = [f'global(workDirectory="{folder}" processInternalMessages="on")', f'module(load="imuxsock" {limit})']
        if repeated:
            lines.append("$RepeatedMsgReduction on")
        lines += [f'action(type="omfile" file="{path}" template="{self.TEMPLATES[name]}")' for name, path in self.files.items()]
        config = folder / "rsyslog.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        DEV_LOG.unlink(missing_ok=True)
        self.process = Process("rsyslogd", [find_rsyslogd(), "-n", "-f", config, "-i", folder / "pid"], folder / "log")
        stack.processes.append(self.process)
        stack.wait_for(DEV_LOG.exists, PATIENCE, "rsyslogd to listen")
        say("qemon-test", "here")
        stack.wait_for(lambda: all(path.exists() for path in self.files.values()), PATIENCE, "rsyslogd to write its files")

    def stop(self):
        self.stack.end(self.process)


class Journald:
    """journald with its journal in memory. Programs that are in a unit may write `rate_limit` messages in two seconds."""

    def __init__(self, stack, rate_limit=0):
        self.stack = stack
        config = pathlib.Path("/run/systemd/journald.conf.d")
        config.mkdir(exist_ok=True)
        (config / "test.conf").write_text(
            f"[Journal]\nStorage=volatile\nRateLimitIntervalSec={'2s' if rate_limit else '0'}\nRateLimitBurst={rate_limit or 0}\nReadKMsg=no\nAudit=no\n",
            encoding="utf-8")
        DEV_LOG.unlink(missing_ok=True)
        DEV_LOG.symlink_to("/run/systemd/journal/dev-log")
        self.process = Process("journald", [JOURNALD], stack.folder / "journald.log")
        stack.processes.append(self.process)
        stack.wait_for(lambda: pathlib.Path("/run/systemd/journal/dev-log").exists() and pathlib.Path("/run/systemd/journal/socket").exists(),
                       PATIENCE, "journald to listen")

    def stop(self):
        self.stack.end(self.process)


def say(program, text):
    """A message of another program's."""
    done = subprocess.run(["logger", "--tag", program, text], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"logger: {done.stderr.strip()}")
