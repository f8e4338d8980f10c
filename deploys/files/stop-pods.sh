# Ends what k3s and BuildKit left running, and takes their network down: what k3s-killall does, for our layout.
# Arguments: NAME=VALUE settings: layout.SCRIPT_SETTINGS.
set -u
for setting in "$@"; do export "$setting"; done
shims() {
    for pid in $(ls /proc | grep -E '^[0-9]+$'); do
        case $(readlink "/proc/$pid/exe" 2>/dev/null) in
            "$K3S_DATA"/*containerd-shim*) echo "$pid" ;;
        esac
    done
}
tree() { for pid in "$@"; do echo "$pid"; tree $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); done; }

for pid in $(tree $(shims)); do kill -9 "$pid" 2>/dev/null; done
for pid in $(ls /proc | grep -E '^[0-9]+$'); do
    case $(readlink "/proc/$pid/exe" 2>/dev/null) in
        "$K3S"* | "$K3S_DATA"/* | "$LIB"/*) kill -9 "$pid" 2>/dev/null ;;
    esac
done

# The longest path first, so that nothing is under a mount when it goes.
awk '{ print $2 }' /proc/self/mounts |
    grep -E "^(/run/k3s/|$RUN/|/run/netns/cni-|/var/lib/kubelet/|$K3S_DATA/|$DATA/buildkit/)" |
    sort -r | while read -r path; do umount "$path" 2>/dev/null || umount -l "$path"; done
for name in $(ls /run/netns 2>/dev/null | grep '^cni-'); do ip netns delete "$name" 2>/dev/null || rm -f "/run/netns/$name"; done

for name in $INTERFACES; do
    ip link show "$name" >/dev/null 2>&1 || continue
    for port in $(ip -o link show master "$name" 2>/dev/null | awk -F': ' '{ sub(/@.*/, "", $2); print $2 }'); do
        ip link delete "$port" 2>/dev/null
    done
    ip link delete "$name"
done

for family in iptables ip6tables; do
    command -v "$family-save" >/dev/null || continue
    "$family-save" 2>/dev/null | grep -qE 'KUBE-|CNI-|BUILDKIT|FLANNEL|flannel' || continue
    "$family-save" | grep -vE 'KUBE-|CNI-|BUILDKIT|FLANNEL|flannel' | "$family-restore"
done
nft list tables 2>/dev/null | sed 's/^table //' | grep -E '^inet binderbox(-fetches-kept)?$|kube-proxy' |
    while read -r family name; do nft delete table "$family" "$name"; done

# What kube-proxy and CNI leave of iptables' tables: base chains that accept everything and hold no rule.
nft list tables 2>/dev/null | grep -E '^table ip6? (filter|nat|mangle|raw|security)$' | while read -r _ family name; do
    nft list table "$family" "$name" | awk '
        $1 == "chain" { chain = $2; rules = 0; base = 0; next }
        $1 == "type" && /policy accept;$/ { base = 1; next }
        $1 == "}" && chain { if (base && !rules) print chain; chain = ""; next }
        { rules++ }' | while read -r chain; do nft delete chain "$family" "$name" "$chain"; done
    nft list table "$family" "$name" | grep -qE '^[[:space:]]+[a-z]' || nft delete table "$family" "$name"
done

grep -qs "^$BUILDS_PROFILE (" /sys/kernel/security/apparmor/profiles && printf %s "$BUILDS_PROFILE" >/sys/kernel/security/apparmor/.remove

for path in $(find /sys/fs/cgroup -maxdepth 3 -type d \( -name 'kubepods*' -o -name 'binderbox*.slice' \) -not -path '*/docker/*' 2>/dev/null); do
    find "$path" -depth -type d -exec rmdir {} + 2>/dev/null
done
exit 0
