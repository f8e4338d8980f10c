# The running kernel's headers where cryptnono's pods look for them. $1: `lay` lays out what is here, fast, before k3s;
# `install` has the distribution's package brought first, and fails where that cannot be had.
# $SAID names the kernel whose headers are here, for the guard's job, which sees no kernel modules.
#
# cryptnono's chart mounts $TREE/modules_dir as /lib/modules, and $TREE/generated as /usr/src. Its init container brings a
# kernel's sources from kernel.org, with no checksum, unless it finds .installed there; so that is there before it, always.
set -eu
way=${1:-}
kernel=$(uname -r)
there() { readlink -e "/lib/modules/$kernel/$1"; }

case "$way" in
lay) ;;
install)
    if ! there build >/dev/null; then
        command -v apt-get >/dev/null || { echo "no apt-get: the headers of $kernel cannot be installed" >&2; exit 1; }
        export DEBIAN_FRONTEND=noninteractive
        set -- -o DPkg::Lock::Timeout=300 -o Acquire::http::Timeout=30 -o Acquire::Retries=2
        apt-get "$@" update -qq || true
        apt-get "$@" install -y -qq --no-install-recommends "linux-headers-$kernel"
    fi ;;
*) echo "usage: headers.sh lay|install" >&2; exit 2 ;;
esac

# whoever made it before us in a directory that everybody can write to
[ "$(stat -c %u:%F "$TREE" 2>/dev/null || echo 0:directory)" = 0:directory ] || rm -rf "$TREE"
mkdir -p "$TREE/linux-headers/modules_dir/$kernel"
ln -sfn /usr/src "$TREE/linux-headers/generated"
for name in build source; do
    if target=$(there "$name"); then
        ln -sfn "$target" "$TREE/linux-headers/modules_dir/$kernel/$name"
    else
        rm -f "$TREE/linux-headers/modules_dir/$kernel/$name"
    fi
done
: >"$TREE/linux-headers/modules_dir/.installed"
# A hostPath that is not there becomes a directory, and Debian has no such file.
[ -e /etc/lsb-release ] || : >/etc/lsb-release
mkdir -p "${SAID%/*}"
if there build/include >/dev/null; then echo "$kernel" >"$SAID"; else : >"$SAID"; fi
[ "$way" = lay ] || there build >/dev/null || { echo "the headers of $kernel are not here" >&2; exit 1; }
