"""The agent: jobs that the node runs by itself. It travels as a directory of modules, under the names they have here."""

from __future__ import annotations

from importlib.resources import files as resources

from pyinfra.api import deploy
from pyinfra.operations import systemd

from binderbox import layout
from binderbox.deploys.operations import artifacts, files
from binderbox.deploys.operations.units import all_up
from binderbox.deploys.travelling import module, modules_of, with_packages
from binderbox.parts.agent import units as agent_units
from binderbox.parts.agent.units import JOBS, AgentInputs

# Pure modules that the agent shares with what runs on a client; a test holds that nothing else is imported.
SHARED = (
    "decide.drain",
    "decide.orders",
    "decide.profile",
    "decide.resolvers",
    "errors",
    "federation.following.drift",
    "federation.following.follow",
    "federation.following.followed",
    "federation.following.guarding",
    "federation.following.launches",
    "federation.following.powers",
    "federation.following.watch",
    "launch.reach",
    "launch.sample",
    "launch.stream",
    "layout",
    "member.window",
    "parts.audit",
    "parts.disk.metrics",
    "parts.disk.usage",
    "parts.disk.watermarks",
    "parts.fetch.answers",
    "parts.fetch.fetching",
    "parts.fetch.limits",
    "parts.fetch.login",
    "parts.fetch.pulling",
    "parts.guard.bans",
    "parts.guard.kills",
    "parts.guard.seen",
    "parts.helm.release",
    "parts.ingress.drained",
    "parts.push_lock",
    "parts.registry.retention",
    "parts.registry.tree",
    "parts.registry.uses",
)


@deploy("Install the agent")
def install_agent(inputs: AgentInputs) -> None:
    """Place the agent and its timers. A run that is under way goes on; the next one has what changed."""
    tree = agent_tree()
    files.tree(name="write the agent", root=layout.AGENT, files=tree)
    files.directories({layout.AGENT_DATA: 0o700})
    files.contents({layout.AGENT_CONFIG: files.Content(inputs.config, 0o600)})
    texts = {f"{layout.SYSTEMD}/{job.service}": agent_units.render_service(job) for job in JOBS}
    texts |= {f"{layout.SYSTEMD}/{job.timer}": agent_units.render_timer(job) for job in JOBS}
    units = dict(
        zip(texts, files.contents({path: files.Content(text) for path, text in texts.items()}), strict=True)
    )
    systemd.daemon_reload(name="read the jobs' units", _if=files.any_changed(units.values()))
    for job in JOBS:
        systemd.service(
            name=f"restart {job.timer} with its new settings",
            service=job.timer,
            restarted=True,
            _if=files.any_changed([units[f"{layout.SYSTEMD}/{one}"] for one in (job.service, job.timer)]),
        )
    all_up(name="start the jobs' timers", units=tuple(job.timer for job in JOBS))
    artifacts.only(name="remove artifacts that nothing wants any more", wanted=inputs.artifacts)
    # a run that began before has read its modules already
    files.nothing_else(
        name="remove modules of an older release", directories=(layout.AGENT,), wanted=tuple(tree)
    )


def agent_tree() -> dict[str, str]:
    """Path on the node to text: a directory for the agent's own PYTHONPATH."""
    modules = modules_of("parts.agent.jobs") | dict(module(name) for name in SHARED)
    tree = {f"{layout.AGENT}/{path}": text for path, text in with_packages(modules).items()}
    sample = resources("binderbox.launch") / "repository"
    return tree | {
        f"{layout.AGENT}/sample/{one.name}": one.read_text("utf-8")
        for one in sorted(sample.iterdir(), key=lambda one: one.name)
        if one.is_file()
    }
