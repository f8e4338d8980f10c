# $@ addresses; on stdin more authorities in PEM. A line for each:
# address|curl's exit code|what it said|who signed|at which IP|status|content type.
# Without curl, which a bare host may lack, whether somebody takes the connection, or the proxy does, is all that is asked.
ca=$(mktemp) || exit 1
trap 'rm -f "$ca"' EXIT
cat /etc/ssl/certs/ca-certificates.crt - >"$ca" 2>/dev/null
for url in "$@"; do
  (
    place=${url#*://}; place=${place%%/*}
    case $place in *:*) ;; *) case $url in http:*) place=$place:80 ;; *) place=$place:443 ;; esac ;; esac
    signed=
    if command -v curl >/dev/null 2>&1; then
      said=$(curl --disable -sS -o /dev/null -w '\n@%{remote_ip}|%{http_code}|%{content_type}\n' --connect-timeout 4 --max-time 6 --proto '=https,http' --cacert "$ca" -- "$url" 2>&1); code=$?
      if [ "$code" = 60 ] && command -v openssl >/dev/null 2>&1; then
        signed=$(timeout 3 openssl s_client -connect "$place" -servername "${place%:*}" </dev/null 2>/dev/null |
          openssl x509 -noout -issuer 2>/dev/null | sed 's/^issuer= *//')
      fi
    else
      case $url in http:*) proxy=${http_proxy-} ;; *) proxy=${https_proxy-} ;; esac
      if [ -n "$proxy" ]; then
        place=${proxy#*://}; place=${place%%/*}; place=${place##*@}
        case $place in *:*) ;; *) case $proxy in https:*) place=$place:443 ;; *) place=$place:80 ;; esac ;; esac
      fi
      said=$(timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "${place%:*}" "${place##*:}" 2>&1); code=$?
      [ "$code" = 0 ] || code=7
    fi
    echo "$url|$code|$(echo "$said" | grep -v '^\(@.*\)\?$' | head -n 1)|$signed|$(echo "$said" | sed -n 's/^@//p' | grep . || echo '|0|')"
  ) &
done
wait
