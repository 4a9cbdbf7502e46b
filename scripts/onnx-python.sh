#!/usr/bin/env bash
# Makes sure there is a Python with onnxruntime, onnx and numpy, and prints it: the value for
# LATENTD_ONNX_PYTHON, which the tests run exported graphs with.
#
#   export LATENTD_ONNX_PYTHON="$(scripts/onnx-python.sh)"
#
# Only its path goes to stdout; everything else goes to stderr. The packages lie in a folder of their
# own in the cache (LATENTD_CACHE, default ${XDG_CACHE_HOME:-~/.cache}/latentd), apart for each set of
# versions and each Python, installed once. A folder and a small script are used and not a virtual
# environment because Debian's python3 cannot make one without a further package.
set -euo pipefail

packages=(onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6)

if [ -z "${LATENTD_CACHE:-}" ] && [ -z "${XDG_CACHE_HOME:-}" ] && [ -z "${HOME:-}" ]; then
    echo "onnx-python: none of LATENTD_CACHE, XDG_CACHE_HOME and HOME is set" >&2
    exit 1
fi
cache=${LATENTD_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/latentd}
python=$(python3 -c 'import sys; print("py%d.%d" % sys.version_info[:2])')
name=$(IFS=-; echo "${packages[*]}" | tr -d '=')
dir=$cache/tools/$name-$python

if [ ! -e "$dir/.complete" ]; then
    part=$dir.$$.part
    trap 'rm -rf "$part"' EXIT
    mkdir -p "$part/lib"
    echo "onnx-python: installing ${packages[*]} into $dir" >&2
    # What pip has to say about other packages of this Python has nothing to do with a folder apart.
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check \
        --no-warn-conflicts --no-cache-dir --only-binary=:all: --retries 2 \
        --target "$part/lib" "${packages[@]}" >&2
    cat >"$part/python" <<'END'
#!/bin/sh
folder=$(dirname "$0")
PYTHONPATH=$folder/lib exec python3 "$@"
END
    chmod +x "$part/python"
    "$part/python" -c 'import numpy, onnx, onnxruntime' >&2
    touch "$part/.complete"
    # Two at once make the same folder; the first one to be done wins.
    if [ ! -e "$dir/.complete" ]; then
        rm -rf "$dir"
        mv -T "$part" "$dir" 2>/dev/null || [ -e "$dir/.complete" ]
    fi
fi
# Absolute, and of the folder as it is: tests run it from elsewhere.
dir=$(cd "$dir" && pwd)
printf '%s\n' "$dir/python"
