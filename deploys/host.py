"""The host itself: packages, kernel settings, directories, journal limits, firewall, secrets, the record of the config."""

from __future__ import annotations

from pyinfra import host as pyinfra_host
from pyinfra.api import HiddenValue, deploy
from pyinfra.operations import apt, server, systemd

from binderbox import layout
from binderbox.decide import proxies
from binderbox.deploys.facts.host import Owners
from binderbox.deploys.facts.secrets import Secrets
from binderbox.deploys.ingress import routes
from binderbox.deploys.operations import certificates, files, host, images, packages, secrets
from binderbox.deploys.operations.units import up
from binderbox.deploys.travelling import module, modules_of, with_packages
from binderbox.parts.firewall import units as firewall_units
from binderbox.parts.firewall.names import TABLE
from binderbox.parts.host.inputs import NEEDRESTART, HostInputs
from binderbox.patience import patient

TAKE_BACK_S = 120  # a new login is tried meanwhile, and waited for 45 s at most


@deploy("Prepare the host")
def prepare_host(inputs: HostInputs) -> None:
    """Bring the host to where k3s can be started on it."""
    if inputs.switch_off:
        host.switched_off(name="switch other firewalls off", lines=inputs.switch_off)
    if inputs.packages:
        packages.nobody_else(name="wait until nobody else installs packages")
        apt.packages(name="install packages", packages=list(inputs.packages), update=True, no_recommends=True)
    host.directories(name="make our directories", wanted=inputs.directories)
    secrets.made(name="make secrets", kinds=inputs.secrets)
    host.applied(
        name="record the config", text=inputs.member_text, who=inputs.who, others_gb=inputs.others_gb
    )

    unit, backstop_unit = (f"{layout.SYSTEMD}/{one}" for one in (layout.FIREWALL_UNIT, layout.BACKSTOP_UNIT))
    authorities = {f"{layout.EXTRA_CA}{at}.crt": files.Content(pem) for at, pem in enumerate(inputs.extra_ca)}
    texts = {
        layout.FIREWALL_FILE: files.Content(inputs.firewall, 0o600),
        unit: files.Content(firewall_units.UNIT),
        layout.BACKSTOP_FILE: files.Content(inputs.backstop, 0o600),
        backstop_unit: files.Content(firewall_units.BACKSTOP_UNIT_TEXT),
        layout.SYSCTL_FILE: files.Content(
            "".join(f"{key} = {value}\n" for key, value in inputs.sysctls.items())
        ),
        layout.MODULES_FILE: files.Content("".join(f"{name}\n" for name in inputs.modules)),
        layout.JOURNALD_FILE: files.Content(inputs.journald),
        **authorities,
    }
    if inputs.bundle_sha256:
        texts[layout.BUNDLE_FILE] = files.Content(f"{inputs.bundle_sha256}\n")
    if inputs.bundle_lock:
        texts[layout.BUNDLE_LOCK_FILE] = files.Content(inputs.bundle_lock)
    if inputs.records:
        texts[layout.RECORDS_FILE] = files.Content(inputs.records, 0o600)
    if inputs.versions_text:
        texts[layout.VERSIONS_FILE] = files.Content(inputs.versions_text)
    else:
        files.absent(name="forget the site's own pins", paths=(layout.VERSIONS_FILE,))
    if pyinfra_host.get_fact(Owners, paths=(layout.NEEDRESTART,)):
        texts[layout.NEEDRESTART_FILE] = files.Content(NEEDRESTART)
    if inputs.proxy:
        given = pyinfra_host.get_fact(Secrets).get(proxies.LOGIN_SECRET, "").strip()
        proxy = proxies.render(inputs.proxy, given)
        texts[layout.PROXY_FILE] = files.Content(HiddenValue(proxy) if given else proxy, 0o600)
    else:
        files.absent(name="forget the site's proxy", paths=(layout.PROXY_FILE,))
    files.absent(name="remove settings of an older release", paths=(layout.OLD_SYSCTL_FILE,))
    written = dict(zip(texts, files.contents(texts), strict=True))
    files.tree(name="write what fetches artifacts", root=layout.FETCH, files=fetch_tree())
    files.tree(name="write what loads the firewall", root=layout.LOADER, files=loader_tree())
    backstop = files.tree(name="write the firewall's backstop", root=layout.KEEPER, files=backstop_tree())

    routes(inputs.drain)

    host.modules(name="load kernel modules", names=inputs.modules)
    host.sysctls(name="set kernel settings", values=inputs.sysctls)
    if authorities:
        trusted = [written[path] for path in authorities]
        server.shell(
            name="trust extra authorities", commands="update-ca-certificates", _if=files.any_changed(trusted)
        )
    if inputs.ahead:
        images.ahead(name="fetch ahead", wanted=inputs.ahead)
    if inputs.certificate_names:
        certificates.made(name="make the server certificate", names=inputs.certificate_names)
    systemd.service(
        name="limit the journal",
        service="systemd-journald.service",
        restarted=True,
        _if=files.any_changed([written[layout.JOURNALD_FILE]]),
    )
    systemd.daemon_reload(
        name="read the firewall's units", _if=files.any_changed([written[unit], written[backstop_unit]])
    )
    host.taken_back(
        name="take the firewall back if nobody gets in",
        unit=layout.FIREWALL_UNIT,
        also=layout.BACKSTOP_UNIT,
        later=layout.K3S_UNIT,
        timer=layout.TAKE_BACK_UNIT,
        after_s=round(patient(TAKE_BACK_S)),
    )
    # at boot they start once somebody has come in past them: binderbox/commands/reached.py
    started = up(name="start the firewall", unit=layout.FIREWALL_UNIT, at_boot=False)
    host.table_loaded(
        name="load the firewall where it was flushed", table=f"inet {TABLE}", unit=layout.FIREWALL_UNIT
    )
    systemd.service(
        name="load the firewall's new rules",
        service=layout.FIREWALL_UNIT,
        reloaded=True,
        _if=lambda: written[layout.FIREWALL_FILE].did_change() and not started.did_change(),
    )
    systemd.service(
        name="restart the firewall's backstop",  # new rules it loads by itself
        service=layout.BACKSTOP_UNIT,
        restarted=True,
        _if=files.any_changed([written[backstop_unit], backstop]),
    )
    up(name="start the firewall's backstop", unit=layout.BACKSTOP_UNIT, at_boot=False)


def fetch_tree() -> dict[str, str]:
    """Path on the node to text: a directory for the PYTHONPATH of what fetches artifacts."""
    modules = modules_of("parts.fetch") | dict([module("layout")])
    return {f"{layout.FETCH}/{path}": text for path, text in with_packages(modules).items()}


def loader_tree() -> dict[str, str]:
    """Path on the node to text: what loads the firewall's rules anew, apart from the keeper, which is to see when its own change."""
    own = (f"parts.firewall.keeper.{name}" for name in ("kernel", "known", "loading"))
    modules = dict(map(module, (*own, "parts.firewall.names", "parts.repositories")))
    return {f"{layout.LOADER}/{path}": text for path, text in with_packages(modules).items()}


def backstop_tree() -> dict[str, str]:
    """Path on the node to text, in the directory that is the keeper's PYTHONPATH, too."""
    modules = dict(map(module, ("parts.firewall.backstop", "parts.systemd")))
    return {f"{layout.KEEPER}/{path}": text for path, text in with_packages(modules).items()}
