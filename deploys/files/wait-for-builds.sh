# Waits until the build door has no build, so that a restart of the builder ends none.
# Arguments: the door's status file, its unit, seconds at most. Two empty looks in a row count: a build that has just
# come in stands in the file a moment later.
set -u
status=$1 unit=$2
end=$(($(date +%s) + $3)) idle=0
builds() {
    systemctl is-active -q "$unit" &&
        python3 -c 'import json, sys; sys.exit(not json.load(open(sys.argv[1]))["builds"])' "$status" 2>/dev/null
}
while [ "$(date +%s)" -lt "$end" ]; do
    if builds; then idle=0; else idle=$((idle + 1)); fi
    [ "$idle" -ge 2 ] && exit 0
    sleep 0.5
done
echo "builds still ran after $3 s, and end now" >&2
