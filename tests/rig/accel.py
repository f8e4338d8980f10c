"""How QEMU runs a guest here: by KVM where a stock kernel gets as far as looking for its first program, else by TCG."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

from tests.rig.vmimage import VmImage

QEMU = "qemu-system-x86_64"
INSTALL = "apt-get install qemu-system-x86 qemu-utils"
TRIED_S = 30  # with KVM the kernel panics after some two seconds; where KVM does not work it hangs before its first line


class NoQemu(Exception):
    """Says what to install."""


@dataclass(frozen=True)
class Accel:
    """+ words: for QEMU's command line; kernel_words: for the guest's."""

    name: str
    words: tuple[str, ...]
    kernel_words: str


KVM = Accel("kvm", ("-accel", "kvm", "-cpu", "host"), "")
# The model decides: with `max`, libraries choose instructions that TCG runs by helpers (sha256 of 32 MB: 36.7 s, not 1.4).
# A kernel that changes its own code while it starts panics now and then under threads of TCG (QEMU 7.2): it tries again.
TCG = Accel("tcg", ("-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "qemu64"), "mitigations=off panic=1")


def find_accel(image: VmImage) -> Accel:
    """Raises NoQemu where there is none."""
    if not shutil.which(QEMU) or not shutil.which("qemu-img"):
        raise NoQemu(f"a virtual machine needs QEMU, which is not here: {INSTALL}")
    return _found(image)


@cache
def _found(image: VmImage) -> Accel:
    works = kvm_works(image)
    found = KVM if works else TCG
    why = (
        "a stock kernel runs in KVM here"
        if works
        else "KVM is not here or a stock kernel hangs in it: TCG, slowly"
    )
    print(f"virtual machines: {why}", file=sys.stderr, flush=True)
    return found


def kvm_works(image: VmImage) -> bool:
    """Boot the stock kernel without a disk; it must come to the end of its rope."""
    words = [
        QEMU, "-machine", "q35", *KVM.words, "-m", "512", "-display", "none", "-serial", "stdio", "-monitor", "none",
        "-no-reboot", "-kernel", str(image.kernel), "-append", "console=ttyS0 panic=-1 init=/none root=/dev/ram0",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIED_S, check=False
        )
    except subprocess.TimeoutExpired as late:
        return b"Kernel panic" in (late.stdout or b"")
    return b"Kernel panic" in done.stdout
