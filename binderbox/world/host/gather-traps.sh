# What on this host lets an install fail late: its name, its networks, other firewalls, file systems, limits of ssh.
section name; uname -n; sed -n 's/^node-name:[[:space:]]*//p' /etc/rancher/k3s/config.yaml 2>/dev/null | tr -d "\"'"
section inner; sed -n 's/^\(cluster\|service\)-cidr:[[:space:]]*//p' /etc/rancher/k3s/config.yaml 2>/dev/null | tr -d "\"'"
section apparmor
[ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] && [ -x /usr/sbin/apparmor_parser ] && [ -e /sys/kernel/security/apparmor/.replace ] && echo on
# A look at a member that is installed asks for none of the rest.
if [ -n "$BRIEF" ]; then
for name in networks filters hidepid virt selinux probes sshd trials; do section $name; done
else
section networks
ip -o -4 addr show 2>/dev/null | awk '{ print $2, $4 }'
ip -4 route show table all type unicast 2>/dev/null | awk '$1 != "default" { dev = "-"; for (i = 2; i < NF; i++) if ($i == "dev") dev = $(i + 1); print dev, $1 }'
section filters
command -v ufw >/dev/null && [ "$(sed -n 's/^ENABLED=//p' /etc/ufw/ufw.conf 2>/dev/null)" = yes ] && echo "ufw"
for unit in firewalld shorewall csf lfd; do systemctl -q is-active $unit 2>/dev/null && echo $unit; done
nft list chains 2>/dev/null | awk '
  $1 == "table" { table = $2 " " $3 } $1 == "chain" { chain = $2 }
  /hook (input|forward)/ && /policy drop/ { print "chain " table " " chain }'
for tool in iptables-legacy ip6tables-legacy; do
  # asking the old tables would load them
  case $tool in ip6*) names=/proc/net/ip6_tables_names ;; *) names=/proc/net/ip_tables_names ;; esac
  grep -qs filter $names || continue
  "$tool" -S 2>/dev/null | awk -v tool="$tool" '$1 == "-P" && $2 != "OUTPUT" && $3 == "DROP" { print "chain " tool " filter " $2 }'
done
section hidepid; awk '$2 == "/proc" { print $4 }' /proc/mounts | grep -oE 'hidepid=[a-z0-9]+'
section virt; systemd-detect-virt -c 2>/dev/null
section selinux; getenforce 2>/dev/null
section probes
sed -n 's/.*\[\(.*\)\].*/lockdown=\1/p' /sys/kernel/security/lockdown 2>/dev/null
if [ -r "/boot/config-$(uname -r)" ]; then
  for option in $PROBES; do grep -qs "^$option=y" "/boot/config-$(uname -r)" || echo "missing=$option"; done
fi
section sshd; echo "$sshd" | grep -iE '^(disableforwarding|allowtcpforwarding|allowstreamlocalforwarding|maxsessions) '
# Whether programs run from where ours will lie, and whether containers' file systems can be made there: tried, and undone.
section trials
for path in $OWN_PATHS /usr/local/lib /usr/local/bin "$at"; do
  dir=$path; while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
  work=$(mktemp -d "$dir/.binderbox-trial.XXXXXX" 2>/dev/null) || { echo "$path|write|$dir cannot be written"; continue; }
  printf '#!/bin/sh\nexit 0\n' >"$work/run"; chmod 700 "$work/run"
  [ "$path" = "$at" ] || "$work/run" 2>/dev/null || echo "$path|exec|$(findmnt -no TARGET -T "$dir" 2>/dev/null | tail -n 1)"
  if [ "$path" = "$OWN_PATHS" ]; then
    mkdir "$work/l" "$work/u" "$work/w" "$work/m"
    said=$(unshare -m mount -t overlay overlay -o "lowerdir=$work/l,upperdir=$work/u,workdir=$work/w" "$work/m" 2>&1) ||
      echo "$path|overlay|$(findmnt -no FSTYPE -T "$dir" 2>/dev/null | tail -n 1): $(echo "$said" | head -n 1)"
  fi
  rm -rf "$work"
done
fi
