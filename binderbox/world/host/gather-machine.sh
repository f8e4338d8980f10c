# The machine: its system, memory, disk, clock, kernel and packages.
section begin; date +%s.%N
section system
. /etc/os-release 2>/dev/null
echo "os_id=${ID:-}"; echo "os_version=${VERSION_ID:-}"
echo "arch=$(uname -m)"; echo "kernel=$(uname -r)"; echo "cpus=$(nproc)"
# a machine-id shall not be told as it is: machine-id(5)
section identity; { echo binderbox; cat /etc/machine-id; } 2>/dev/null | sha256sum | cut -c 1-32
section memory; grep -E '^(MemTotal|SwapTotal):' /proc/meminfo

data=$(sed -n 's/^data_dir:[[:space:]]*//p' "$ETC/member.yaml" 2>/dev/null | tr -d "\"'\r" | sed 's/[[:space:]]\{1,\}#.*$//; s/[[:space:]]*$//' | head -n 1)
at=${data:-$DATA_DIR}; near=$at
while [ ! -d "$near" ]; do near=$(dirname "$near"); done
section disk; df -PB1 "$near" | tail -n 1
# k3s and the kubelet may lie on other file systems than our data, and each has a plan of its own: whose, which, and df's line.
section disks
for path in "$at" $OWN_PATHS /var/lib/kubelet; do
  near_it=$path; while [ ! -d "$near_it" ]; do near_it=$(dirname "$near_it"); done
  echo "$(stat -c %d "$near_it") $(df -PB1 "$near_it" | tail -n 1)"
done
# A look at a member that is installed needs none of what takes seconds: the speed of the disk, the sum of our files.
section fsync
if [ -z "$BRIEF" ]; then
probe="$near/.binderbox-fsync.$$"
trap 'rm -f "$probe"' EXIT
dd if=/dev/zero of="$probe" bs=4k count=50 oflag=dsync 2>&1 | tail -n 1; rm -f "$probe"
fi
# The disk's job sums our files once an hour, and is alive where it has written lately: then nobody reads the whole disk again.
section ours
if [ -n "$BRIEF" ]; then :
elif [ -n "$(find "$DISK_STATE" -mmin -10 2>/dev/null)" ]; then base64 "$DISK_STATE"
else timeout 20 du -sxB1 --total "$at" $OWN_PATHS 2>/dev/null
fi
section clock; timeout 3 timedatectl show -p NTPSynchronized --value 2>/dev/null
section cgroup; stat -fc %T /sys/fs/cgroup

section modules
switched=$(modprobe -c 2>/dev/null | grep '^install ')
there() {
  grep -q "/$1\.ko" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null && return
  # `install overlay /bin/false` of a hardening role: loaded now or not, the next boot will not have it
  echo "$switched" | grep -q "^install $1 " && return 1
  [ -d "/sys/module/$1" ] && return
  modprobe -n -q "$1" 2>/dev/null && return
  case $1 in
    overlay) grep -qw overlay /proc/filesystems ;;
    br_netfilter) [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] ;;
    nf_conntrack) [ -e /proc/sys/net/netfilter/nf_conntrack_max ] ;;
    nf_tables) nft list tables >/dev/null 2>&1 ;;
    *) false ;;
  esac && return
  name=$(echo "$1" | tr a-z A-Z); [ "$name" = OVERLAY ] && name=OVERLAY_FS; [ "$name" = BR_NETFILTER ] && name=BRIDGE_NETFILTER
  zcat /proc/config.gz 2>/dev/null | grep -q "^CONFIG_$name=[ym]"
}
for m in $MODULES; do there "$m" || echo "$m"; done
section packages; dpkg-query -W -f '${Package} ${db:Status-Status}\n' $PACKAGES 2>/dev/null
