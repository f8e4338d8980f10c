"""That the secrets are there, and nobody's but root's."""

from __future__ import annotations

from collections.abc import Mapping

from binderbox import layout
from binderbox.checks.core import Check
from binderbox.checks.probe import FileInfo, Probe
from binderbox.checks.workloads import judge_private
from binderbox.parts.secrets.kinds import MADE


def look_secrets(probe: Probe) -> Mapping[str, FileInfo | None]:
    return probe.files([layout.ETC, layout.SECRETS, *(f"{layout.SECRETS}/{name}" for name in MADE)])


CHECKS = (
    Check("BBX-P04", "prepared", "the secrets are root's alone", look_secrets, judge_private,
          "They were made once on the host; uninstall without --purge keeps them."),
)  # fmt: skip
