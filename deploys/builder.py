"""The builder: BuildKit on k3s's containerd, limits for build steps, the build door, and the engine for build pods."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy
from pyinfra.operations import systemd

from binderbox import layout
from binderbox.deploys.facts.host import Numbers
from binderbox.deploys.operations import artifacts, builds, files, reader
from binderbox.deploys.operations import host as operations
from binderbox.deploys.operations.images import imported_all, pulled_all
from binderbox.deploys.operations.units import up
from binderbox.deploys.travelling import TOLD, libraries, module, modules_of, with_packages
from binderbox.parts.builder import confinement, network, weights
from binderbox.parts.builder import settings as builder
from binderbox.parts.builder import units as builder_units
from binderbox.parts.builder.settings import BuilderInputs

BUILDKITD_FILE = f"{layout.SYSTEMD}/{layout.BUILDKITD_UNIT}"
DOOR_FILE = f"{layout.SYSTEMD}/{layout.DOOR_UNIT}"
OUR_SLICE_FILE = f"{layout.SYSTEMD}/{layout.OUR_SLICE}"
SLICE_FILE = f"{layout.SYSTEMD}/{layout.BUILDS_SLICE}"


@deploy("Start the builder")
def install_builder(inputs: BuilderInputs) -> None:
    """Install BuildKit and the build door; each restarts only when something of its own changed."""
    artifacts.place(
        name="fetch BuildKit", artifact=inputs.buildkit, bundle=inputs.bundle, _timeout=artifacts.PLACE_S
    )
    programs = artifacts.extract(
        name="install BuildKit",
        archive=artifacts.path_of(inputs.buildkit),
        members=builder.PROGRAMS,
    )
    directories = files.directories({f"{inputs.data_dir}/buildkit": 0o700, f"{inputs.data_dir}/door": 0o700})
    credential = reader.credential(name="take the credential for reading pods", directory=builder.READER)
    buildkit = files.contents(
        {
            builder.BUILDKITD_CONFIG: files.Content(builder.render_buildkitd(inputs), 0o600),
            BUILDKITD_FILE: files.Content(builder_units.render_buildkitd_unit(inputs)),
            network.CONFIG: files.Content(network.render_network(inputs.networks, inputs.mtu)),
            f"{layout.CNI}/{network.NEIGHBOUR}": files.Content(network.neighbour(), 0o755),
            layout.STEP_RUNC: files.Content(builder_units.render_step_runc(), 0o755),
            **fetches(inputs),
            **confined(inputs),
        }
    )
    told = host.get_fact(Numbers, paths=weights.PODS_PATHS)
    weight = weights.cpu_weight(weights.read(told))
    limits = files.contents(
        {
            OUR_SLICE_FILE: files.Content(builder_units.render_our_slice(weight)),
            SLICE_FILE: files.Content(builder_units.render_slice(inputs)),
            builder.SCOPE_LIMITS: files.Content(builder_units.render_scope_limits(inputs)),
        }
    )
    door = files.contents(
        {
            builder.DOOR_CONFIG: files.Content(builder.render_door(inputs), 0o600),
            DOOR_FILE: files.Content(builder_units.render_door_unit(inputs)),
        }
    )
    tree, engine = door_tree(), engine_tree()
    door.append(files.tree(name="write the door", root=layout.DOOR, files=tree))
    files.tree(name="write the engine", root=layout.ENGINE, files=engine)

    if inputs.apparmor:
        operations.profile_loaded(
            name="load the profile of build steps",
            profile=layout.BUILDS_PROFILE,
            path=layout.BUILDS_PROFILE_FILE,
        )
    units = [buildkit[1], *limits, door[1]]
    systemd.daemon_reload(
        name="read the builder's units", _if=files.any_changed(units)
    )  # limits hold at once
    restarts = (
        (layout.BUILDKITD_UNIT, [programs, *directories, *buildkit]),
        (layout.DOOR_UNIT, [*directories, credential, *door]),
    )
    # Before anybody builds, or a stranger's image could pass for one of them: docs/decisions/bases-claim.md.
    pulled_all(inputs.images)
    imported_all(inputs.images)
    builds.ended(
        name="wait until nobody builds",
        _if=files.any_changed([part for _, parts in restarts for part in parts]),
        _timeout=builder.MAX_BUILD_S + 60,
    )
    for service, parts in restarts:
        systemd.service(
            name=f"restart {service} with its new settings",
            service=service,
            restarted=True,
            _if=files.any_changed(parts),
        )
        up(name=f"start {service}", unit=service)
    files.nothing_else(
        name="remove modules of an older release",
        directories=(layout.DOOR, layout.ENGINE),
        wanted=(*tree, *engine),
    )


def fetches(inputs: BuilderInputs) -> dict[str, files.Content]:
    """The backstop loads it by itself; nftables can tell buildkitd from others on cgroup v2 only."""
    if not inputs.cgroup_v2:
        return {}
    return {layout.FETCHES_FILE: files.Content(builder_units.render_fetches(inputs), 0o600)}


def confined(inputs: BuilderInputs) -> dict[str, files.Content]:
    if not inputs.apparmor:
        return {}
    return {layout.BUILDS_PROFILE_FILE: files.Content(confinement.render_profile())}


def engine_tree() -> dict[str, str]:
    """Path on the node to text: a directory for PYTHONPATH in build pods, where repo2docker finds the engine."""
    package = {
        f"binderbox_engine/{path.rpartition('/')[2]}": text
        for path, text in modules_of("parts.builder.engine").items()
    }
    package["binderbox_engine-1.dist-info/entry_points.txt"] = builder.render_entry_points()
    return {f"{layout.ENGINE}/{name}": text for name, text in package.items()}


def door_tree() -> dict[str, str]:
    """Path on the node to text: a directory for the door's own PYTHONPATH."""
    modules = modules_of("parts.builder.door") | dict(
        map(
            module,
            (*TOLD, "parts.builder.engine.wire", "parts.push_lock", "parts.repositories", "parts.systemd"),
        )
    )
    modules |= libraries()
    return {f"{layout.DOOR}/{path}": text for path, text in with_packages(modules).items()}
