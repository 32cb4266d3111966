#!/bin/sh
# Make .venv with the project (editable), its tests' and developers' tools; again only when pyproject.toml changed.
set -eu
cd "$(dirname "$0")/.."

usable() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for python in python3.13 python3.12 python3.11 python3; do
        if usable "$python"; then
            echo "$python"
            return 0
        fi
    done
    return 1
}

# Whoever forbids Python to write bytecode would have all of it compiled at each start of an agent, for 0.3 s.
compile_all() {
    .venv/bin/python -m compileall -q evbagent protocols
}

# The path is part of it: a moved checkout has a .venv that points elsewhere.
wanted="$(pwd) $(cksum <pyproject.toml)"
if [ -x .venv/bin/python ] && [ "$(cat .venv/made-from 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c ''; then
    compile_all
    exit 0
fi

if ! python=$(find_python); then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get -q update
        DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends python3 python3-venv
    fi
    if ! python=$(find_python); then
        echo "no Python 3.11 or later with venv and ensurepip found: install python3 and python3-venv" >&2
        exit 1
    fi
fi

echo "making .venv with $python"
rm -rf .venv
"$python" -m venv .venv
# "compat" is a plain path instead of an import hook, which would add 15 ms to the start of every command.
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --config-settings editable_mode=compat --editable '.[test,dev]'
compile_all
echo "$wanted" >.venv/made-from
