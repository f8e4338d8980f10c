"""What brings the kernel's headers to cryptnono's pods: a script, two units, and a word to who cleans /tmp. As text."""

from __future__ import annotations

from importlib.resources import files

from binderbox import layout
from binderbox.layout import HEADERS_INSTALL_UNIT, HEADERS_UNIT, K3S_UNIT

SCRIPT = f"{layout.LIB}/guard/headers.sh"

UNIT = f"""\
[Unit]
Description=Headers of the running kernel, where cryptnono looks for them
DefaultDependencies=no
After=local-fs.target systemd-tmpfiles-setup.service
Before={K3S_UNIT}

[Service]
Type=oneshot
RemainAfterExit=yes
Environment=TREE={layout.HEADERS_TREE} SAID={layout.HEADERS_SAID}
ExecStart=/bin/sh {SCRIPT} lay

[Install]
WantedBy=multi-user.target
"""

# A kernel that is new since the last boot has none yet, and the archive may be out of reach for a while.
INSTALL_UNIT = f"""\
[Unit]
Description=Install the headers of the running kernel for cryptnono
After=network-online.target {HEADERS_UNIT}
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
Environment=TREE={layout.HEADERS_TREE} SAID={layout.HEADERS_SAID}
ExecStart=/bin/sh {SCRIPT} install
TimeoutStartSec=900
Restart=on-failure
RestartSec=900

[Install]
WantedBy=multi-user.target
"""


def texts() -> dict[str, str]:
    """Path on the node to text."""
    return {
        SCRIPT: (files("binderbox.parts.guard") / "headers.sh").read_text("utf-8"),
        f"{layout.SYSTEMD}/{HEADERS_UNIT}": UNIT,
        f"{layout.SYSTEMD}/{HEADERS_INSTALL_UNIT}": INSTALL_UNIT,
        layout.TMPFILES_FILE: f"x {layout.HEADERS_TREE}\n",
    }
