"""What AppArmor lets a build step do, on hosts that have it: what a container needs, and nothing of the host's.

Kubernetes' pods have containerd's own profile; BuildKit's steps have none unless it is told of one. Capabilities, seccomp and
masked paths hold beside it.
"""

from __future__ import annotations

from binderbox import layout

LOADED = "enforce"
LOAD = ("/usr/sbin/apparmor_parser", "--replace", "--skip-cache")  # and the profile's file


def render_profile() -> str:
    """The profile, in apparmor.d(5)'s language; steps get it from BuildKit, by its name."""
    return f"""\
# Made by binderbox: build steps of strangers. buildkitd's unit loads it.
# Without it a rule means what the kernel makes of it, and from 6.17 on `network` leaves unix sockets out (containerd#12726).
abi <abi/3.0>,

profile {layout.BUILDS_PROFILE} flags=(attach_disconnected,mediate_deleted) {{
  file,
  network,
  # CVE-2026-31431 (moby/profiles 946fe8e): a hole of the kernel's that seccomp cannot close for 32-bit programs
  deny network alg,
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
  deny /sys/devices/virtual/powercap/** rwkl,
  # of /proc, the processes' own directories alone
  deny /proc/* w,
  deny /proc/{{[^1-9/],[^1-9/][^0-9/],[^1-9s/][^0-9y/][^0-9s/],[^1-9/][^0-9/][^0-9/][^0-9/]*}}/** w,
  deny /proc/sys/** wkl,
  deny /proc/{{kcore,kmem,kallsyms,mem,sysrq-trigger,timer_list}} rwkl,
}}
"""


def render_loading() -> str:
    """A line of buildkitd's unit: without the profile no step would start, and neither does it."""
    return f"ExecStartPre={' '.join(LOAD)} {layout.BUILDS_PROFILE_FILE}\n"
