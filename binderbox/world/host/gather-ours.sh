# What we left there: secrets by name, units, the record of the config, of a drain, and of what was followed.
section secrets; ls -A "$ETC/secrets" 2>/dev/null
section units
systemctl show -p Id -p LoadState --value $UNITS 2>/dev/null
section others
[ -n "$BRIEF" ] || systemctl show -p Id -p LoadState -p ActiveState --value $OTHERS 2>/dev/null
section begun; [ -d "$ETC" ] && echo yes
section applied; cat "$ETC/applied.json" 2>/dev/null
section drain; [ -e "$ETC/drain" ] && { echo there; base64 "$ETC/drain"; }
section bundle; cat "$ETC/bundle.sha256" 2>/dev/null
section lock; [ -f "$ETC/bundle.lock.json" ] && base64 "$ETC/bundle.lock.json"
section records; [ -f "$ETC/artifacts.lock.json" ] && base64 "$ETC/artifacts.lock.json"
section versions; [ -f "$ETC/versions.toml" ] && base64 "$ETC/versions.toml"
section member; [ -f "$ETC/member.yaml" ] && base64 "$ETC/member.yaml"
section followed; [ -f "$ETC/followed.toml" ] && base64 "$ETC/followed.toml"
# What the ingress got of an authority, without the keys that stand beside it.
section received
for f in "$at"/traefik/acme*.json; do
  [ -f "$f" ] || continue
  echo "file ${f##*/}"; grep -o '"certificate": *"[^"]*"' "$f" | cut -d'"' -f4
done
section end; date +%s.%N
