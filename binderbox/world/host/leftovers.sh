# Prints what is on this host because of binderbox, one "kind<TAB>name" a line. $1: purge, when data counts too; keep; or
# kept, for nothing but the data, secrets and config that an uninstall leaves. Then NAME=VALUE settings: layout.SCRIPT_SETTINGS. It looks at the world only, so it finds the same after a half-made install
# and after none.
set -u
mode=$1
shift
for setting in "$@"; do export "$setting"; done
export LC_ALL=C
# Where the config has our data, if not in $DATA: written by us, and read as no more than a plain path.
own=$(sed -n 's/^data_dir:[[:space:]]*//p' "$MEMBER_FILE" 2>/dev/null | tr -d "\"'\r" | sed 's/[[:space:]]\{1,\}#.*$//; s/[[:space:]]*$//' | grep -Ex '(/[A-Za-z0-9_][A-Za-z0-9._-]*)+')
[ "$own" = "$DATA" ] && own=
say() { while read -r name; do [ -n "$name" ] && printf '%s\t%s\n' "$1" "$name"; done; }

if [ "$mode" = kept ]; then
    for path in $KEPT $(for name in $OWN_KEPT; do [ -n "$own" ] && echo "$own/$name"; done); do
        [ -e "$path" ] && echo "$path" | say file
    done
    exit 0
fi

{
    ls "$SYSTEMD" 2>/dev/null | grep -E "^($K3S_UNIT|binderbox.*|bbx-.*)\$"
    systemctl list-units --all --plain --no-legend --no-pager "$K3S_UNIT" 'binderbox*' 'bbx-*' 'kubepods*' 2>/dev/null |
        awk '$2 != "not-found" { print $1 }'
} | sort -u | say unit

for pid in $(ls /proc | grep -E '^[0-9]+$'); do
    exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || continue
    case $exe in
        "$K3S"* | "$K3S_DATA"/* | "$LIB"/*)
            printf 'process\t%s %s\n' "$pid" "${exe% (deleted)}" ;;
    esac
done

awk '{ print $2 }' /proc/self/mounts |
    grep -E "^(/run/k3s/|$RUN/|/run/netns/cni-|/var/lib/kubelet/|$K3S_DATA/|$DATA/buildkit/|${own:-$DATA}/buildkit/)" |
    sort -r | say mount
ls /run/netns 2>/dev/null | grep '^cni-' | say netns

ip -o link 2>/dev/null | awk -F': ' '{ sub(/@.*/, "", $2); print $2 }' |
    grep -Fx "$(printf '%s\n' $INTERFACES)" | say interface

nft list tables 2>/dev/null | grep -E '^table inet binderbox(-fetches-kept)?$|kube-proxy' | sed 's/^table //' | say nft-table
for family in iptables ip6tables; do
    command -v "$family-save" >/dev/null || continue
    "$family-save" 2>/dev/null | grep -qE 'KUBE-|CNI-|BUILDKIT|FLANNEL|flannel' && echo "$family" | say rules
done

grep -qs "^$BUILDS_PROFILE (" /sys/kernel/security/apparmor/profiles && echo "$BUILDS_PROFILE" | say profile

find /sys/fs/cgroup -maxdepth 3 -type d \( -name 'kubepods*' -o -name 'binderbox*.slice' \) -not -path '*/docker/*' 2>/dev/null |
    sort -r | say cgroup

{
    for path in "$K3S" /etc/rancher /run/k3s /run/flannel "$LIB" $FILES \
        /var/lib/cni /var/log/pods /var/log/containers; do
        [ -e "$path" ] && echo "$path"
    done
    # containerd and BuildKit keep these whatever their settings say; another engine on the host may use them too.
    if ! pgrep -x 'containerd|dockerd|buildkitd' >/dev/null; then
        for path in /run/containerd /run/nri /run/buildkit; do [ -e "$path" ] && echo "$path"; done
    elif [ -e /run/containerd/runc/k8s.io ] && ! pgrep -f "^$K3S" >/dev/null; then
        echo /run/containerd/runc/k8s.io
    fi
    for path in /opt/containerd /usr/libexec/kubernetes /run/netns /etc/systemd/journald.conf.d; do
        [ -d "$path" ] && [ -z "$(find "$path" ! -type d | grep -vF "$JOURNALD_FILE" | head -n 1)" ] && echo "$path"
    done
    # The lock is held by whoever removes things; the folder goes after it.
    for path in "$RUN"/*; do
        case $path in */lock | */lock.* | */sessions | */work.*) continue ;; esac
        [ -e "$path" ] && echo "$path"
    done
    [ -e "$RUN" ] && [ ! -e "$RUN/lock" ] && echo "$RUN"
    [ "$(readlink "$KUBECTL")" = "$K3S" ] && echo "$KUBECTL"
    # Made empty for cryptnono's pod, where a distribution has none.
    [ -f /etc/lsb-release ] && [ ! -s /etc/lsb-release ] && echo /etc/lsb-release
    # What it trusts because of us: our files, and the links to them that update-ca-certificates makes.
    for path in "$EXTRA_CA"*.crt; do [ -e "$path" ] && echo "$path"; done
    for path in /etc/ssl/certs/*; do
        case $(readlink "$path") in "$EXTRA_CA"*) echo "$path" ;; esac
    done
    # The folders themselves last, once nothing in them stays; one that is a file system of its own cannot go.
    for folder in /var/lib/rancher /var/lib/kubelet "$DATA"; do
        stays=
        for path in "$folder"/* "$folder"/.[!.]*; do
            [ -e "$path" ] || continue
            case " $KEPT " in *" $path "*) [ "$mode" = purge ] || { stays=yes; continue; } ;; esac
            echo "$path"
        done
        [ -d "$folder" ] && [ -z "$stays" ] && ! mountpoint -q "$folder" && echo "$folder"
    done
    # A directory that somebody else may use as well: only what is ours goes, and it with the last of that.
    if [ -n "$own" ]; then
        ours=$OWN_GOES
        [ "$mode" = purge ] && ours="$ours $OWN_KEPT"
        stays=
        for path in "$own"/* "$own"/.[!.]*; do
            [ -e "$path" ] || continue
            case " $ours " in *" ${path##*/} "*) echo "$path" ;; *) stays=yes ;; esac
        done
        [ -d "$own" ] && [ -z "$stays" ] && ! mountpoint -q "$own" && echo "$own"
    fi
    for path in $KEPT; do
        case $path in "$DATA"/*) continue ;; esac
        [ "$mode" = purge ] && [ -e "$path" ] && echo "$path"
    done
} | say file
exit 0
