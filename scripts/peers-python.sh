#!/usr/bin/env bash
# Makes sure of a Python that has what serving is measured beside, and prints it: torch, FastAPI, LitServe and
# BentoML, in a virtual environment of their own in the cache. The download is large (some 700 MB) and made once.
set -euo pipefail

CACHE=${LATENTD_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/latentd}
venv=$CACHE/peers-1
if [ ! -e "$venv/.complete" ]; then
    echo "peers: installing torch, fastapi, uvicorn, litserve and bentoml (once)" >&2
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet torch==2.13.0 fastapi uvicorn litserve bentoml >&2
    touch "$venv/.complete"
fi
echo "$venv/bin/python"
