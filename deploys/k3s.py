"""k3s under our own unit, and the keeper that tells the firewall which pods are the member's own."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import HiddenValue, deploy
from pyinfra.operations import server, systemd

from binderbox import layout
from binderbox.deploys.facts.secrets import Secrets
from binderbox.deploys.host import backstop_tree
from binderbox.deploys.operations import artifacts, files, images
from binderbox.deploys.operations.units import all_up
from binderbox.deploys.travelling import TOLD, module, modules_of, with_packages
from binderbox.parts.firewall import units as firewall_units
from binderbox.parts.k3s import files as k3s
from binderbox.parts.k3s import starting
from binderbox.parts.k3s.inputs import K3sInputs

UNIT = f"{layout.SYSTEMD}/{layout.K3S_UNIT}"


@deploy("Start k3s")
def install_k3s(inputs: K3sInputs) -> None:
    """Install k3s with everything it reads at its start; it restarts only when one of these changed."""
    artifacts.place(
        name="fetch k3s", artifact=inputs.binary, bundle=inputs.bundle, _timeout=artifacts.PLACE_S
    )
    binary = artifacts.installed(name="install k3s", source=artifacts.path_of(inputs.binary), dest=layout.K3S)
    files.link(name="link kubectl", dest=layout.KUBECTL, target=layout.K3S)
    images.archives(inputs.first_images, inputs.bundle)
    files.absent(name="remove lists by which k3s pulled images", paths=layout.OLD_IMAGE_LISTS)

    files.contents({layout.RESOLV_CONF: files.Content(inputs.resolv_conf)})
    held = host.get_fact(Secrets)
    password, docker_login = held.get("registry-password", ""), held.get(layout.DOCKER_LOGIN, "").strip()
    registries = k3s.render_registries(
        layout.REGISTRY_USER, password, inputs.networks.registry_ip, inputs.mirrors, docker_login
    )
    settings = files.contents(
        {
            layout.K3S_CONFIG: files.Content(inputs.config, 0o600),
            layout.K3S_REGISTRIES: files.Content(HiddenValue(registries), 0o600),
            layout.KUBELET_CONFIG: files.Content(inputs.kubelet, 0o600),
            starting.BEFORE_FILE: files.Content(starting.BEFORE),
            starting.AFTER_FILE: files.Content(starting.AFTER),
            UNIT: files.Content(k3s.render_unit(inputs.proxy)),
        }
    )
    # k3s applies it by itself
    files.content(name="write our manifest", dest=k3s.MANIFEST, text=inputs.manifest, mode=0o600)
    keeper = files.contents(
        {
            f"{layout.SYSTEMD}/{layout.KEEPER_UNIT}": files.Content(
                firewall_units.render_keeper_unit(inputs.networks.pods)
            ),
        }
    )
    systemd.daemon_reload(
        name="read the units of k3s and its keeper", _if=files.any_changed([settings[-1], *keeper])
    )
    server.shell(
        name="restart k3s with its new settings",
        commands=f"systemctl restart --no-block {layout.K3S_UNIT}",
        _if=files.any_changed([binary, *settings]),
    )
    keeper.append(files.tree(name="write the keeper", root=layout.KEEPER, files=keeper_tree()))
    all_up(
        name="start k3s and the keeper of system pods",
        units=(layout.K3S_UNIT, layout.KEEPER_UNIT),
        waits=False,
    )
    # It is ordered after a k3s that starts, so whoever waits for it waits for k3s.
    server.shell(
        name="restart the keeper of system pods",
        commands=f"systemctl restart --no-block {layout.KEEPER_UNIT}",
        _if=files.any_changed(keeper),
    )
    files.absent(name="remove the keeper of an older release", paths=(f"{layout.LIB}/systempods.py",))
    files.nothing_else(
        name="remove modules of an older release",
        directories=(layout.KEEPER,),
        wanted=(*keeper_tree(), *backstop_tree()),
    )
    artifacts.place(name="fetch helm", artifact=inputs.helm, bundle=inputs.bundle, _timeout=artifacts.PLACE_S)
    artifacts.extract(
        name="install helm",
        archive=artifacts.path_of(inputs.helm),
        members={"linux-amd64/helm": f"{layout.BIN}/helm"},
    )
    # While k3s starts: what comes during its first import is imported before it says that it is ready, the rest beside the
    # next phases; who needs one waits for it.
    images.archives(inputs.images, inputs.bundle)
    images.unpacked_ahead(name="unpack images ahead", wanted=inputs.images)


def keeper_tree() -> dict[str, str]:
    """Path on the node to text: a directory for the keeper's own PYTHONPATH."""
    modules = modules_of("parts.firewall.keeper") | dict(
        map(
            module,
            (
                *TOLD,
                "parts.builder.door.steps",
                "parts.firewall.names",
                "parts.repositories",
                "parts.systemd",
            ),
        )
    )
    return {f"{layout.KEEPER}/{path}": text for path, text in with_packages(modules).items()}
