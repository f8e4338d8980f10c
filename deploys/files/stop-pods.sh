# Ends what k3s and BuildKit left running, and takes their network down: what k3s-killall does, for our layout.
set -u
shims() {
    for pid in $(ls /proc | grep -E '^[0-9]+$'); do
        case $(readlink "/proc/$pid/exe" 2>/dev/null) in
            /var/lib/rancher/k3s/*containerd-shim*) echo "$pid" ;;
        esac
    done
}
tree() { for pid in "$@"; do echo "$pid"; tree $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); done; }

for pid in $(tree $(shims)); do kill -9 "$pid" 2>/dev/null; done
for pid in $(ls /proc | grep -E '^[0-9]+$'); do
    case $(readlink "/proc/$pid/exe" 2>/dev/null) in
        /usr/local/bin/k3s* | /var/lib/rancher/k3s/* | /usr/local/lib/binderbox/*) kill -9 "$pid" 2>/dev/null ;;
    esac
done

# The longest path first, so that nothing is under a mount when it goes.
awk '{ print $2 }' /proc/self/mounts |
    grep -E '^(/run/k3s/|/run/binderbox/|/run/netns/cni-|/var/lib/kubelet/|/var/lib/rancher/k3s/|/var/lib/binderbox/buildkit/)' |
    sort -r | while read -r path; do umount "$path" 2>/dev/null || umount -l "$path"; done
for name in $(ls /run/netns 2>/dev/null | grep '^cni-'); do ip netns delete "$name" 2>/dev/null || rm -f "/run/netns/$name"; done

for name in cni0 flannel.1 flannel-v6.1 bbxbuild0 kube-ipvs0; do
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
nft list tables 2>/dev/null | sed 's/^table //' | grep -E '^inet binderbox$|kube-proxy' |
    while read -r family name; do nft delete table "$family" "$name"; done

for path in $(find /sys/fs/cgroup -maxdepth 3 -type d \( -name 'kubepods*' -o -name 'binderbox*.slice' \) -not -path '*/docker/*' 2>/dev/null); do
    find "$path" -depth -type d -exec rmdir {} + 2>/dev/null
done
exit 0
