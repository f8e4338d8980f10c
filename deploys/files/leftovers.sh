# Prints what is on this host because of binderbox, one "kind<TAB>name" a line. $1: purge, when data counts too.
# It looks at the world only, so it finds the same after a half-made install and after none.
set -u
export LC_ALL=C
say() { while read -r name; do [ -n "$name" ] && printf '%s\t%s\n' "$1" "$name"; done; }

{
    ls /etc/systemd/system 2>/dev/null | grep -E '^(k3s\.service|binderbox.*|bbx-.*)$'
    systemctl list-units --all --plain --no-legend --no-pager 'k3s.service' 'binderbox*' 'bbx-*' 'kubepods*' 2>/dev/null |
        awk '$2 != "not-found" { print $1 }'
} | sort -u | say unit

for pid in $(ls /proc | grep -E '^[0-9]+$'); do
    exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || continue
    case $exe in
        /usr/local/bin/k3s* | /var/lib/rancher/k3s/* | /usr/local/lib/binderbox/*)
            printf 'process\t%s %s\n' "$pid" "${exe% (deleted)}" ;;
    esac
done

awk '{ print $2 }' /proc/self/mounts |
    grep -E '^(/run/k3s/|/run/binderbox/|/run/netns/cni-|/var/lib/kubelet/|/var/lib/rancher/k3s/|/var/lib/binderbox/buildkit/)' |
    sort -r | say mount
ls /run/netns 2>/dev/null | grep '^cni-' | say netns

ip -o link 2>/dev/null | awk -F': ' '{ sub(/@.*/, "", $2); print $2 }' |
    grep -E '^(cni0|flannel\.1|flannel-v6\.1|bbxbuild0|kube-ipvs0)$' | say interface

nft list tables 2>/dev/null | grep -E '^table inet binderbox$|kube-proxy' | sed 's/^table //' | say nft-table
for family in iptables ip6tables; do
    command -v "$family-save" >/dev/null || continue
    "$family-save" 2>/dev/null | grep -qE 'KUBE-|CNI-|BUILDKIT|FLANNEL|flannel' && echo "$family" | say rules
done

find /sys/fs/cgroup -maxdepth 3 -type d \( -name 'kubepods*' -o -name 'binderbox*.slice' \) -not -path '*/docker/*' 2>/dev/null |
    sort -r | say cgroup

{
    for path in /usr/local/bin/k3s /etc/rancher /run/k3s /run/flannel /usr/local/lib/binderbox \
        /etc/sysctl.d/90-binderbox.conf /etc/modules-load.d/binderbox.conf /etc/systemd/journald.conf.d/50-binderbox.conf \
        /var/lib/cni /var/log/pods /var/log/containers; do
        [ -e "$path" ] && echo "$path"
    done
    # The lock is held by whoever removes things; the folder goes after it.
    for path in /run/binderbox/*; do
        case $path in */lock | */lock.* | */sessions | */work.*) continue ;; esac
        [ -e "$path" ] && echo "$path"
    done
    [ -e /run/binderbox ] && [ ! -e /run/binderbox/lock ] && echo /run/binderbox
    [ "$(readlink /usr/local/bin/kubectl)" = k3s ] && echo /usr/local/bin/kubectl
    for path in /var/lib/rancher/* /var/lib/kubelet/* /var/lib/kubelet/.[!.]* /var/lib/binderbox/*; do
        [ -e "$path" ] || continue
        case $path in
            /var/lib/binderbox/objectstore | /var/lib/binderbox/hub | /var/lib/binderbox/traefik | /var/lib/binderbox/audit.log)
                [ "${1:-}" = purge ] && echo "$path" ;;
            *) echo "$path" ;;
        esac
    done
    [ "${1:-}" = purge ] && [ -e /etc/binderbox ] && echo /etc/binderbox
} | say file
exit 0
