# Waits until nobody else installs packages: in a machine's first minutes cloud-init and unattended upgrades do.
# Argument: seconds at most; 0 says who works now and does not wait. apt's own wait does not cover the lock of its lists.
set -u
end=$(($(date +%s) + $1))
worker() {
    case "$(cloud-init status 2>/dev/null)" in *running*) echo "cloud-init, which sets this machine up"; return ;; esac
    for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock; do
        inode=$(stat -c %i "$lock" 2>/dev/null) || continue
        pid=$(awk -v end=":$inode" '$2 == "POSIX" && substr($6, length($6) - length(end) + 1) == end { print $5; exit }' /proc/locks)
        [ -n "$pid" ] || continue
        echo "$(cat "/proc/$pid/comm" 2>/dev/null || echo a process) (pid $pid), which holds $lock"
        return
    done
}
while who=$(worker) && [ -n "$who" ]; do
    if [ "$(date +%s)" -ge "$end" ]; then
        [ "$1" = 0 ] && { echo "$who"; exit 0; }
        echo "packages cannot be installed: after $1 s still $who" >&2
        exit 1
    fi
    sleep 1
done
