# Prints everything of a host that an install could leave behind, one thing a line, sorted; what changes by itself is left out.
export LC_ALL=C
{
    find / \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/log -o -path /var/cache -o -path /var/tmp \
        -o -path /run/systemd -o -path /run/udev -o -path /run/log -o -path /root/.ssh -o -path /var/lib/systemd \
        -o -path /run/user -o -path /run/motd.dynamic -o -path '/var/lib/apt' \) -prune -o -printf 'file %y %m %u:%g %p -> %l\n' 2>/dev/null
    find /etc /usr/local /lib/systemd -type f -exec sha256sum {} + 2>/dev/null | awk '{ print "text", $2, $1 }'
    cut -d: -f1,3,4,6,7 /etc/passwd | sed 's/^/user /'
    cut -d: -f1,3 /etc/group | sed 's/^/group /'
    systemctl list-unit-files --no-legend --no-pager | awk '$1 !~ /^session-/ { print "unit", $1, $2 }'
    systemctl list-units --all --plain --no-legend --no-pager --type service,timer,socket,mount,slice | awk '$2 != "not-found" && $1 !~ /^(user|run-user)/ { print "loaded", $1, $2, $3 }'
    awk '$2 !~ /^\/run\/user/ { print "mount", $2, $3 }' /proc/self/mounts
    ip -o link | awk -F': ' '{ sub(/@.*/, "", $2); print "link", $2 }'
    ip route | sed 's/^/route /'
    ls /run/netns 2>/dev/null | sed 's/^/netns /'
    nft list ruleset | sed 's/ packets [0-9]* bytes [0-9]*//; s/^/nft /'
    for family in iptables ip6tables; do "$family-save" | grep -v '^#' | sed "s/^/$family /; s/\[[0-9:]*\]//"; done
    session=$(ps -o sid= -p $$)
    for pid in $(ps -eo pid=,sid= | awk -v own="$session" '$2 != own + 0 { print $1 }'); do readlink "/proc/$pid/exe"; done |
        sort -u | sed 's/^/runs /'
} | sort
