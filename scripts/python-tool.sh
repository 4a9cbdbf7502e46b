#!/usr/bin/env bash
# Makes sure a Python tool is in the cache and prints its folder.
#
#   dir=$(scripts/python-tool.sh openapi-spec-validator 0.9.0)
#
# Each tool gets a folder of its own, apart for each Python version, installed once. Nothing is put
# into the user's own Python. A folder is used and not a virtual environment because Debian's
# python3 cannot make one without a further package.
set -euo pipefail

name=$1
version=$2
cache=${LATENTD_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/latentd}
python=$(python3 -c 'import sys; print("py%d.%d" % sys.version_info[:2])')
dir=$cache/tools/$name-$version-$python

if [ ! -e "$dir/.complete" ]; then
    part=$dir.$$.part
    trap 'rm -rf "$part"' EXIT
    mkdir -p "$part"
    echo "installing $name $version into $dir" >&2
    # What pip has to say about other packages of this Python has nothing to do with a folder apart.
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check \
        --no-warn-conflicts --no-cache-dir --only-binary=:all: --retries 2 \
        --target "$part" "$name==$version" >&2
    touch "$part/.complete"
    # Two at once make the same folder; the first one to be done wins.
    if [ ! -e "$dir/.complete" ]; then
        rm -rf "$dir"
        mv -T "$part" "$dir" 2>/dev/null || [ -e "$dir/.complete" ]
    fi
fi
printf '%s\n' "$dir"
