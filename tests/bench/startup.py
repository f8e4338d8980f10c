"""How long `binderbox --help` takes, against the same interpreter doing nothing.

Both run in an environment like that of an installed wheel. In the checkout's own one every start of Python, `pass`
too, also loads the hook of the editable install, which would hide half of the difference.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from pathlib import Path

import binderbox
from tests.bench.measure import CouldNotMeasure, Measure, median, median_ratio, take_pairs

GOAL = 8.0
PAIRS = 25
PROGRAM = (
    "import sys; from binderbox.cli import main; sys.exit(main())"  # what pip's script of the wheel does
)


def measure() -> Measure:
    """No host is needed."""
    with tempfile.TemporaryDirectory() as directory:
        python = _environment(Path(directory))
        if "Turn one bare Linux VM" not in _output([python, "-c", PROGRAM, "--help"]):
            raise CouldNotMeasure("`binderbox --help` printed no help")
        pairs = take_pairs(
            lambda: _seconds([python, "-c", PROGRAM, "--help"]),
            lambda: _seconds([python, "-c", "pass"]),
            PAIRS,
            warm_up=3,
        )
        cpu = take_pairs(
            lambda: _cpu_seconds([python, "-c", PROGRAM, "--help"]),
            lambda: _cpu_seconds([python, "-c", "pass"]),
            PAIRS,
        )
    script = str(Path(sys.executable).with_name("binderbox"))
    here = take_pairs(
        lambda: _seconds([script, "--help"]), lambda: _seconds([sys.executable, "-c", "pass"]), PAIRS
    )
    return Measure(
        "startup",
        "`binderbox --help` / `python -c pass`",
        median_ratio(pairs),
        GOAL,
        {
            "help_s": median([pair.ours_s for pair in pairs]),
            "pass_s": median([pair.other_s for pair in pairs]),
            "least_help_s": min(round(pair.ours_s, 4) for pair in pairs),
            "least_pass_s": min(round(pair.other_s, 4) for pair in pairs),
            "cpu_ratio": round(median_ratio(cpu), 3),
            "pairs": PAIRS,
            "ratio_in_checkout": round(median_ratio(here), 3),
        },
    )


def _environment(directory: Path) -> str:
    """An environment that finds the same packages by plain path entries, and runs no code at start-up for it."""
    venv.create(directory, with_pip=False, symlinks=True)
    paths = {"base": str(directory), "platbase": str(directory)}
    packages = Path(sysconfig.get_path("purelib", vars=paths))
    checkout = Path(binderbox.__file__).resolve().parents[1]
    (packages / "bench.pth").write_text(f"{checkout}\n{sysconfig.get_path('purelib')}\n")
    return str(directory / "bin" / "python")


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def _cpu_seconds(command: list[str]) -> float:
    """What the process itself used of the CPU: unlike the clock it says little about other work of the machine."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime + used.ru_stime


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
