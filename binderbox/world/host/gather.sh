# Prints what is true of this host, in sections "== NAME". Read-only but for one small file that times synchronous
# writes and is removed. Runs on a bare Debian or Ubuntu: dash, coreutils, util-linux; all else is used if it is there.
# Set before, by gather.py: PACKAGES MODULES UNITS TARGETS OWN_PATHS DATA_DIR ETC
section() { printf '\n== %s\n' "$1"; }

section begin; date +%s.%N
section system
. /etc/os-release 2>/dev/null
echo "os_id=${ID:-}"; echo "os_version=${VERSION_ID:-}"
echo "arch=$(uname -m)"; echo "kernel=$(uname -r)"; echo "cpus=$(nproc)"
section memory; grep -E '^(MemTotal|SwapTotal):' /proc/meminfo

data=$(sed -n 's/^data_dir:[[:space:]]*//p' "$ETC/member.yaml" 2>/dev/null | tr -d "\"'" | head -n 1)
at=${data:-$DATA_DIR}; near=$at
while [ ! -d "$near" ]; do near=$(dirname "$near"); done
section disk; df -PB1 "$near" | tail -n 1
section fsync
probe="$near/.binderbox-fsync.$$"
trap 'rm -f "$probe"' EXIT
dd if=/dev/zero of="$probe" bs=4k count=50 oflag=dsync 2>&1 | tail -n 1; rm -f "$probe"
section ours
timeout 20 du -sxB1 --total "$at" $OWN_PATHS 2>/dev/null | tail -n 1 | grep total
section clock; timeout 3 timedatectl show -p NTPSynchronized --value 2>/dev/null
section cgroup; stat -fc %T /sys/fs/cgroup

section modules
there() {
  [ -d "/sys/module/$1" ] && return
  grep -q "/$1\.ko" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null && return
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

section listeners
if command -v ss >/dev/null 2>&1; then
  heard=$(ss -Hltnup 2>/dev/null); echo "$heard"
  section owners
  for p in $(echo "$heard" | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -un); do
    echo "$p $(grep -E '^(0:|[0-9]*:name=systemd:)' "/proc/$p/cgroup" 2>/dev/null | cut -d: -f3 | awk '{ if (length($0) > length(l)) l = $0 } END { print l }')"
  done
else
  section sockets
  for f in tcp tcp6 udp udp6; do sed "s/^/$f /" /proc/net/$f 2>/dev/null; done
fi
section ssh
echo "${SSH_CONNECTION:-}" | cut -d' ' -f4
sshd -T 2>/dev/null | sed -n 's/^port //p'

section route; ip -4 route show default 2>/dev/null; ip -6 route show default 2>/dev/null | sed 's/^/6 /'
section addresses; ip -o addr show scope global 2>/dev/null
section resolvers
resolved=/run/systemd/resolve/resolv.conf
if grep -q '^nameserver 127\.0\.0\.53' /etc/resolv.conf 2>/dev/null && [ -f $resolved ]; then cat $resolved
else cat /etc/resolv.conf 2>/dev/null; fi

section reach
sources=$(apt-config dump 2>/dev/null | grep -iE '^Acquire::https?::Proxy ' | grep -oE 'https?://[^/ ";]+' | sort -u)
if [ -z "$sources" ]; then
  sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -E '^(deb |URIs:)' | grep -oE 'https?://[^/ ]+' | sort -u | head -n 4)
fi
for url in $sources; do
  place=${url#*://}; place=${place##*@}
  case $place in
    *:[0-9]*) ;;
    *) case $url in https:*) place=$place:443 ;; *) place=$place:80 ;; esac ;;
  esac
  TARGETS="$TARGETS $place"
done
for target in $(printf '%s\n' $TARGETS | sort -u); do
  ( said=$(timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "${target%:*}" "${target##*:}" 2>&1)
    echo "$target $? $(echo "$said" | head -n 1)" ) &
done
wait

section secrets; ls -A "$ETC/secrets" 2>/dev/null
section units
systemctl show -p Id -p LoadState --value $UNITS 2>/dev/null
section applied; cat "$ETC/applied.json" 2>/dev/null
section drain; [ -e "$ETC/drain" ] && { echo there; base64 "$ETC/drain"; }
section bundle; cat "$ETC/bundle.sha256" 2>/dev/null
section lock; [ -f "$ETC/bundle.lock.json" ] && base64 "$ETC/bundle.lock.json"
section member; [ -f "$ETC/member.yaml" ] && base64 "$ETC/member.yaml"
section followed; [ -f "$ETC/followed.toml" ] && base64 "$ETC/followed.toml"
section end; date +%s.%N
