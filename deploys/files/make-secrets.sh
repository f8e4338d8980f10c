# Makes what is missing of the node's secrets, and never touches one that is there.
# Arguments: the store's directory, then NAME=KIND pairs. Kinds: hexN (N random bytes), text:WORD, bcrypt:USER:NAME.
set -eu
umask 077
store=$1
shift
mkdir -p "$store"
for pair in "$@"; do
    name=${pair%%=*} kind=${pair#*=}
    [ -s "$store/$name" ] && continue
    case $kind in
        hex*) head -c "${kind#hex}" /dev/urandom | od -An -v -tx1 | tr -d ' \n' ;;
        text:*) printf %s "${kind#text:}" ;;
        bcrypt:*)
            rest=${kind#bcrypt:}
            salt=$(head -c 96 /dev/urandom | base64 -w0 | tr -dc 'A-Za-z0-9' | head -c 22)
            # The password goes in by stdin; perl is part of every Debian and Ubuntu.
            hash=$(perl -e '$p = <STDIN>; print crypt($p, $ARGV[0])' "\$2b\$10\$$salt" <"$store/${rest#*:}")
            case $hash in '$2b$10$'*) ;; *) echo "this system's crypt knows no bcrypt" >&2; exit 1 ;; esac
            printf '%s:%s\n' "${rest%%:*}" "$hash"
            ;;
        *) echo "unknown kind of secret: $kind" >&2; exit 1 ;;
    esac >"$store/.$name.new"
    sync "$store/.$name.new"
    mv "$store/.$name.new" "$store/$name"
done
