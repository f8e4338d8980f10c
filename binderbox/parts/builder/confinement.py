"""What AppArmor lets a build step do, on hosts that have it: what a container needs, and nothing of the host's.

Kubernetes' pods have containerd's own profile; BuildKit's steps have none unless it is told of one. Capabilities, seccomp and
masked paths hold beside it.
"""

from __future__ import annotations

from binderbox import layout

LOADED = "enforce"


def render_profile() -> str:
    """The profile, in apparmor.d(5)'s language; steps get it from BuildKit, by its name."""
    return f"""\
# Made by binderbox: build steps of strangers. buildkitd's unit loads it.
profile {layout.BUILDS_PROFILE} flags=(attach_disconnected,mediate_deleted) {{
  file,
  network,
  capability,
  umount,
  # who ends it, and itself
  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (send, receive) peer={layout.BUILDS_PROFILE},
  ptrace (trace, read, tracedby, readby) peer={layout.BUILDS_PROFILE},

  deny mount,
  deny remount,
  deny pivot_root,
  deny capability mac_admin,
  deny capability mac_override,
  deny capability sys_admin,
  deny capability sys_module,
  deny capability sys_rawio,
  deny capability syslog,
  deny /sys/** wkl,
  deny /sys/firmware/** rwkl,
  deny /sys/kernel/debug/** rwkl,
  deny /sys/kernel/security/** rwkl,
  deny /sys/kernel/tracing/** rwkl,
  deny /proc/sys/** wkl,
  deny /proc/{{acpi,bus,driver,fs,irq,scsi}}/** wkl,
  deny /proc/{{kcore,kmem,kallsyms,mem,sysrq-trigger,timer_list}} rwkl,
}}
"""


def render_loading() -> str:
    """A line of buildkitd's unit: without the profile no step would start, and neither does it."""
    return f"ExecStartPre=/usr/sbin/apparmor_parser --replace --skip-cache {layout.BUILDS_PROFILE_FILE}\n"
