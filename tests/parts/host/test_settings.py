"""What the host is given: kernel settings, and what is asked of the programs that restart others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from binderbox.decide.sizing import MAX_PODS
from binderbox.parts.host.inputs import NEEDRESTART, NEIGHBOURS


@pytest.mark.parametrize(
    ("unit", "left_alone"),
    [
        ("binderbox-door.service", True),
        ("binderbox-buildkitd.service", True),
        ("k3s.service", True),
        ("nginx.service", False),
        ("my-binderbox-door.service", False),
    ],
)
def test_needrestart_reads_that_our_units_are_left_alone(tmp_path: Path, unit: str, left_alone: bool) -> None:
    """As needrestart itself reads its conf.d, and looks a unit up (needrestart, `parse_conf` and `override_rc`)."""
    (tmp_path / "binderbox.conf").write_text(NEEDRESTART)
    program = (
        "our %nrconf = (override_rc => {qr(^dbus) => 0}); my ($file, $unit) = splice @ARGV; "
        "open my $text, '<', $file or die $!; local $/; eval <$text>; die $@ if $@; "
        "my ($hit) = grep { $unit =~ /$_/ } keys %{$nrconf{override_rc}}; "
        "print defined $hit ? $nrconf{override_rc}->{$hit} : 'none'"
    )
    said = subprocess.run(
        ["perl", "-e", program, str(tmp_path / "binderbox.conf"), unit],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == ("0" if left_alone else "none")


def test_every_pod_and_every_step_may_be_a_neighbour() -> None:
    first, second, third = NEIGHBOURS.values()
    assert MAX_PODS <= first < second < third
