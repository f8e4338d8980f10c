"""The guard: cryptnono's detectors, with the kernel's headers beside them and the node's bans in force."""

from __future__ import annotations

from pyinfra.api import deploy
from pyinfra.operations import server, systemd

from binderbox import layout
from binderbox.deploys.helm import chart
from binderbox.deploys.operations import files
from binderbox.deploys.operations.guard import bans_rendered
from binderbox.deploys.operations.units import up
from binderbox.parts.guard import units
from binderbox.parts.helm.inputs import ChartInputs


@deploy("Install the guard")
def install_guard(inputs: ChartInputs | None) -> None:
    """Headers that cannot be had stop no install: the detectors are off then, and a check says so.

    + inputs: None where it is not to run
    """
    if inputs is None:
        return
    texts = units.texts()
    written = dict(
        zip(texts, files.contents({path: files.Content(text) for path, text in texts.items()}), strict=True)
    )
    of_units = [
        written[f"{layout.SYSTEMD}/{one}"] for one in (layout.HEADERS_UNIT, layout.HEADERS_INSTALL_UNIT)
    ]
    systemd.daemon_reload(name="read the units of the kernel's headers", _if=files.any_changed(of_units))
    up(name="lay out the kernel's headers", unit=layout.HEADERS_UNIT)
    systemd.service(
        name="install the kernel's headers at each boot",
        service=layout.HEADERS_INSTALL_UNIT,
        running=None,
        enabled=True,
    )
    server.shell(
        name="install the kernel's headers",
        commands=f"systemctl restart {layout.HEADERS_UNIT}; systemctl restart --no-block {layout.HEADERS_INSTALL_UNIT}",
        _if=files.any_changed(written.values()),
    )
    bans_rendered(name="put the node's bans in force", path=layout.BANS_VALUES)
    chart(inputs)
