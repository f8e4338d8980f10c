"""What stands around k3s's own start, as sh text: a start that a power cut ended leaves nothing half made.

k3s writes keys, certificates and unpacked images without waiting for the disk. A power cut during the first start leaves
empty files, at which every later start ends; the database knows nothing then that anybody was told. So a first start that
another boot began is begun anew, and a start counts once the disk has it.
"""

from __future__ import annotations

from binderbox import layout

# k3s imports all archives at each start, before it is ready: minutes on a slow disk. With a cache file it leaves out what
# it imported before (docs.k3s.io/import-images, since 1.33.1), and then does not see that an image was lost; so the first
# start of a boot, which may come after a power cut, imports them all, and a start that was cut short is continued.
BEFORE = f"""\
# Made by binderbox: before each start of k3s.
set -e
imported={layout.RUN}/k3s-imported # gone with each boot
first={layout.K3S_DATA}/.first-start # the boot in which the first start was begun, until one has ended well
boot=$(cat /proc/sys/kernel/random/boot_id)
mkdir -p {layout.K3S_IMAGES} {layout.RUN}
cd {layout.K3S_DATA}

if [ -e "$first" ] && [ "$(cat "$first")" != "$boot" ]; then
  # everything that k3s has made; what an install has placed there stays
  find . -mindepth 1 -maxdepth 1 ! -name agent ! -name server ! -name .first-start -exec rm -rf {{}} +
  find agent -mindepth 1 -maxdepth 1 ! -name images ! -name etc -exec rm -rf {{}} +
  find agent/etc -mindepth 1 -maxdepth 1 ! -name kubelet.conf.d -exec rm -rf {{}} +
  find server -mindepth 1 -maxdepth 1 ! -name manifests -exec rm -rf {{}} +
  rm -f /etc/rancher/node/password
fi
if [ -e "$first" ] || [ ! -e server/db ]; then
  echo "$boot" >"$first"
  sync "$first" .
fi
# renewed in a start that was cut off: an empty one ends each start, one that is missing is made again
find server/tls agent -maxdepth 1 -type f -size 0 '(' -name '*.crt' -o -name '*.key' -o -name '*.kubeconfig' ')' -delete 2>/dev/null || true

[ -e "$imported" ] || : >{layout.K3S_IMAGES}/.cache.json
: >"$imported"
"""

AFTER = f"""\
# Made by binderbox: after each start of k3s that ended well.
sync -f {layout.K3S_DATA}
[ ! -e {layout.K3S_DATA}/.first-start ] || {{ rm -f {layout.K3S_DATA}/.first-start; sync {layout.K3S_DATA}; }}
"""
BEFORE_FILE, AFTER_FILE = f"{layout.LIB}/k3s/before-start.sh", f"{layout.LIB}/k3s/after-start.sh"
