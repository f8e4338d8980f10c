"""What can be said of virtual machines without one: what is missing, and which way of running is found."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.rig import accel
from tests.rig.accel import KVM, TCG, NoQemu, find_accel, kvm_works
from tests.rig.vmimage import VmImage

IMAGE = VmImage(Path("disk"), Path("kernel"), Path("initrd"))
BOOTED = (
    b"[    0.000000] Linux version 6.12\n[    1.9] Kernel panic - not syncing: VFS: Unable to mount root fs\n"
)


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    accel._found.cache_clear()
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")


@pytest.mark.parametrize("missing", ["qemu-system-x86_64", "qemu-img"])
def test_a_machine_without_qemu_is_told_what_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None if program == missing else program)
    with pytest.raises(NoQemu, match="apt-get install qemu-system-x86 qemu-utils"):
        find_accel(IMAGE)


def qemu(said: bytes, *, hangs: bool = False) -> Any:
    def run(words: list[str], **options: Any) -> Any:
        if hangs:
            raise subprocess.TimeoutExpired(words, options["timeout"], output=said)
        return subprocess.CompletedProcess(words, 0, said, b"")

    return run


@pytest.mark.parametrize(
    ("said", "hangs", "found"),
    [
        (BOOTED, False, KVM),
        (BOOTED, True, KVM),  # it did what was asked, and did not end
        (b"", True, TCG),  # a stock kernel hangs before its first line
        (b"qemu-system-x86_64: failed to initialize kvm: No such file or directory\n", False, TCG),
    ],
)
def test_kvm_is_used_where_a_stock_kernel_runs_in_it_and_the_run_says_so(
    said: bytes,
    hangs: bool,
    found: accel.Accel,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("subprocess.run", qemu(said, hangs=hangs))
    assert kvm_works(IMAGE) is (found is KVM)
    assert find_accel(IMAGE) is found
    assert ("runs in KVM" in capfd.readouterr().err) is (found is KVM)
