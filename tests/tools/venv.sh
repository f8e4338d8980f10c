#!/bin/sh
# Makes .venv, where there is none that works, from the newest Python that will do, with the project and its development tools in it.
# Debian keeps the module venv in a package of its own; as root it is fetched.
set -eu

find_python() {
    for name in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        if [ -n "$name" ] && command -v "$name" > /dev/null &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            echo "$name"
            return
        fi
    done
    echo "binderbox needs Python 3.11 or newer; none was found. Name one: make PYTHON=/path/to/python3" >&2
    return 1
}

make_venv() {
    python=$(find_python)
    if ! "$python" -m venv --clear .venv > /dev/null 2>&1; then
        if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
            echo "$python has no module venv; install it, on Debian: apt-get install python3-venv" >&2
            exit 1
        fi
        echo "fetching python3-venv"
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes python3-venv > /dev/null
        "$python" -m venv --clear .venv
    fi
}

.venv/bin/python -m pip --version > /dev/null 2>&1 || make_venv
# uv needs a sixth of the time that pip needs.
.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
.venv/bin/uv pip install --quiet --python .venv/bin/python --editable '.[dev]'
