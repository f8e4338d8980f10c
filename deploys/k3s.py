"""k3s under our own unit, and the watcher that tells the firewall which pods are the member's own."""

from __future__ import annotations

from importlib.resources import files as package_files

from pyinfra import host
from pyinfra.api import HiddenValue, deploy
from pyinfra.operations import systemd

from binderbox import layout
from binderbox.deploys.facts.secrets import Secrets
from binderbox.deploys.operations import artifacts, files
from binderbox.deploys.operations.images import archives
from binderbox.parts.firewall import units as firewall_units
from binderbox.parts.k3s import files as k3s
from binderbox.plan import K3sInputs

UNIT = f"{layout.SYSTEMD}/k3s.service"
WATCHER = "binderbox-systempods.service"


@deploy("Start k3s")
def install_k3s(inputs: K3sInputs) -> None:
    """Install k3s with everything it reads at its start; it restarts only when one of these changed."""
    artifacts.place(name="fetch k3s", artifact=inputs.binary, bundle=inputs.bundle)
    binary = artifacts.installed(name="install k3s", source=artifacts.path_of(inputs.binary), dest=layout.K3S)
    files.link(name="link kubectl", dest="/usr/local/bin/kubectl", target=layout.K3S)
    archives(inputs.images, inputs.bundle)

    password = host.get_fact(Secrets).get("registry-password", "")
    registries = k3s.render_registries(layout.REGISTRY_USER, password)
    settings = files.contents(
        {
            layout.K3S_CONFIG: files.Content(inputs.config, 0o600),
            layout.K3S_REGISTRIES: files.Content(HiddenValue(registries), 0o600),
            layout.KUBELET_CONFIG: files.Content(inputs.kubelet, 0o600),
            UNIT: files.Content(k3s.UNIT),
        }
    )
    # k3s applies it by itself
    files.content(name="write our manifest", dest=k3s.MANIFEST, text=inputs.manifest, mode=0o600)
    systemd.daemon_reload(name="read k3s's unit", _if=files.any_changed(settings[-1:]))
    systemd.service(
        name="restart k3s with its new settings",
        service="k3s.service",
        restarted=True,
        _if=files.any_changed([binary, *settings]),
    )
    systemd.service(name="start k3s", service="k3s.service", running=True, enabled=True)
    watcher = files.contents(
        {
            firewall_units.SYSTEMPODS_PROGRAM: files.Content(
                (package_files("binderbox.parts.firewall") / "keeper.py").read_text()
            ),
            f"{layout.SYSTEMD}/{WATCHER}": files.Content(firewall_units.SYSTEMPODS_UNIT),
        }
    )
    systemd.daemon_reload(name="read the watcher's unit", _if=files.any_changed(watcher[-1:]))
    systemd.service(
        name="restart the watcher of system pods",
        service=WATCHER,
        restarted=True,
        _if=files.any_changed(watcher),
    )
    systemd.service(name="start the watcher of system pods", service=WATCHER, running=True, enabled=True)
    artifacts.place(name="fetch helm", artifact=inputs.helm, bundle=inputs.bundle)
    artifacts.extract(
        name="install helm",
        archive=artifacts.path_of(inputs.helm),
        members={"linux-amd64/helm": f"{layout.BIN}/helm"},
    )
