# Prints what is true of this host, in sections "== NAME". Read-only but for one small file that times synchronous
# writes and is removed. Runs on a bare Debian or Ubuntu: dash, coreutils, util-linux; all else is used if it is there.
# Set before, by gather.py: PACKAGES MODULES UNITS TARGETS OWN_PATHS DATA_DIR ETC BRIEF
section() { printf '\n== %s\n' "$1"; }
