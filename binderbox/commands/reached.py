"""After the firewall is loaded: whoever installs must still get in, by a connection that it has not known before."""

from __future__ import annotations

from binderbox import layout
from binderbox.errors import StepFailed
from binderbox.plan import Plan
from binderbox.world.host.hosts import Host

AT_BOOT = "start the firewall at boot"
GONE = 3
NOT_AT_BOOT = f"""\
for unit in {layout.FIREWALL_UNIT} {layout.BACKSTOP_UNIT}; do
  systemctl -q is-enabled $unit 2>/dev/null || echo $unit
done
"""
# In this order: whatever ends it midway, the next run loads the firewall under a timer again.
STAYS = f"""\
systemctl stop {layout.TAKE_BACK_UNIT}.timer 2>/dev/null
systemctl -q is-active {layout.FIREWALL_UNIT} || exit {GONE}
new=$({NOT_AT_BOOT})
[ -z "$new" ] || {{ systemctl -q enable $new && echo $new; }}
"""


def still_reached(host: Host, plan: Plan, dry: bool) -> tuple[str, ...]:
    """Log in anew; then the firewall stays, and starts at boot. Raises StepFailed where nobody gets in.

    Its units start at boot from here on, which is how an install knows that the first load went well.
    """
    if dry:
        return (AT_BOOT,) if host.sh(NOT_AT_BOOT).text.strip() else ()
    if why := host.connection.comes_in_anew():
        raise _kept_out(host, plan, why)
    done = host.sh(STAYS, timeout_s=30, work=True)
    again = f"run `binderbox install {host.name}` again"
    if done.code == GONE:
        raise StepFailed(f"{host.name}: the firewall was taken back before somebody came in", remedy=again)
    if not done.ok:
        raise StepFailed(
            f"{host.name}: the firewall cannot be started at boot", cause=done.tail(), remedy=again
        )
    return (AT_BOOT,) if done.text.strip() else ()


def _kept_out(host: Host, plan: Plan, why: str) -> StepFailed:
    first = host.run(["systemctl", "-q", "is-active", f"{layout.TAKE_BACK_UNIT}.timer"]).ok
    ports = ", ".join(map(str, plan.facts.ssh_ports))
    return StepFailed(
        f"{host.name}: the firewall keeps new ssh connections out"
        + (", and is taken back within two minutes" if first else ""),
        cause=f"{why}; it lets ssh in at port {ports}",
        remedy="name the port by which you come, and what carries it (a VPN), as ingress_allow in the config, "
        f"then run `binderbox install {host.name}` again",
    )
