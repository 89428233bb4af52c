"""The QEMUs under test, for tests in Python: those of QEMON_TEST_QEMUS, see tests/tools/prepare-qemu.sh."""
import os
import shutil
from typing import NamedTuple, Optional


class Build(NamedTuple):
    label: str
    binary: Optional[str]
    options: list  # Where it finds its BIOS.
    catalog: str

    def catalog_options(self, vm=""):
        """For a qemond that watches such a VM, or only such."""
        return ["--trace-events", f"{vm}={self.catalog}" if vm else self.catalog] if self.catalog else []


def _build_of(entry):
    label, binary, folders, catalog = (entry.split("|") + ["", "", ""])[:4]
    return Build(label, binary, [option for folder in folders.split(":") if folder for option in ("-L", folder)], catalog)


def builds():
    """All of them; without a list the QEMU that is installed, if any."""
    found = [_build_of(entry) for entry in os.environ.get("QEMON_TEST_QEMUS", "").split(";") if entry]
    installed = shutil.which("qemu-system-x86_64")
    if not found and installed:
        found.append(Build("installed", installed, [], ""))
    return found


def build(label):
    """The one whose label begins so; one without a label and a binary if there is none that can be run."""
    return next((one for one in builds() if one.label.startswith(label) and os.access(one.binary, os.X_OK)), Build("", None, [], ""))


def backends_build(variable="QEMON_BACKENDS_QEMU"):
    """The one with the trace backends dtrace, ftrace, ust and syslog, or another one of a variable of its own; None if there is none."""
    found = _build_of(os.environ.get(variable, ""))
    return found if found.binary and os.access(found.binary, os.X_OK) else None
