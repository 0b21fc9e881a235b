#!/bin/sh
# Makes .venv with everything that is pinned in requirements-dev.txt, and installs Azurite. Does nothing when both are current.
# Finds Python >= 3.13 on PATH, then under pyenv, then through uv.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 13))' >/dev/null 2>&1; }

find_python() {
    for candidate in python3.14 python3.13 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[3-9]*/bin/python; do
        if is_new_enough "$candidate"; then command -v "$candidate"; return; fi
    done
    if command -v uv >/dev/null 2>&1; then uv python find '>=3.13' 2>/dev/null && return; fi
    return 1
}

wanted=$(cat requirements-dev.txt local/package-lock.json | cksum)
if [ -x .venv/bin/python ] && is_new_enough .venv/bin/python && [ "$(cat .venv/watchkeeper.stamp 2>/dev/null)" = "$wanted" ] \
    && [ -d local/node_modules/azurite ]; then
    exit 0
fi

python=$(find_python) || {
    say "Python 3.13 or newer was not found on PATH, under pyenv, or through uv."
    say "Install one of them: 'pyenv install 3.13', 'uv python install 3.13', or your system's package, and run this again."
    exit 1
}
command -v npm >/dev/null 2>&1 || {
    say "Node.js with npm was not found; Azurite (the local Azure Storage) needs it. Install Node.js 20 or newer."
    exit 1
}
if [ ! -x .venv/bin/python ] || ! is_new_enough .venv/bin/python; then
    say "Making .venv with $("$python" --version) ..."
    rm -rf .venv
    "$python" -m venv .venv
fi
say "Installing the pinned packages (a minute on a new machine) ..."
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
say "Installing Azurite ..."
# Not with npm itself: tests that find it missing install it too, and two at once would break each other's.
.venv/bin/python -c 'from local.azurite import installed_script; installed_script()'
printf '%s' "$wanted" > .venv/watchkeeper.stamp
say "Ready."
