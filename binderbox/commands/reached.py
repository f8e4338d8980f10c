"""After the firewall is loaded: whoever installs must still get in, by a connection that it has not known before."""

from __future__ import annotations

from binderbox import layout
from binderbox.errors import StepFailed
from binderbox.plan import Plan
from binderbox.world.host.hosts import Host


def still_reached(host: Host, plan: Plan, dry: bool) -> tuple[str, ...]:
    """Log in anew; then the firewall stays. Raises StepFailed where nobody gets in: its first load is taken back."""
    if dry:
        return ()
    if why := host.connection.comes_in_anew():
        ports = ", ".join(map(str, plan.facts.ssh_ports))
        raise StepFailed(
            f"{host.name}: the firewall keeps new ssh connections out, and is taken back within two minutes",
            cause=f"{why}; it lets ssh in at port {ports}",
            remedy="name the port by which you come, and what carries it (a VPN), as ingress_allow in the config, "
            f"then run `binderbox install {host.name}` again",
        )
    host.run(["systemctl", "stop", f"{layout.TAKE_BACK_UNIT}.timer"], timeout_s=30)
    return ()
