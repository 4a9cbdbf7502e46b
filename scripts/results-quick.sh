#!/usr/bin/env bash
# Trains and measures the recipes of recipes/quick/ and writes docs/RESULTS.md.
#
#   scripts/results-quick.sh [NAME …]
#
# `make results-quick` builds the binary first; RECIPES="pca-30 mlp-800" runs some of them again.
# LATENTD_URL names a service that runs already; otherwise one is started, on LATENTD_DATA_DIR if that is
# set (then what was trained before is found again) or on a folder that goes with it.
set -euo pipefail
cd "$(dirname "$0")/.."

BIN=${LATENTD_BIN:-target/release/latentd}
tmp=$(mktemp -d)
server=
clean_up() {
    if [ -n "$server" ]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$tmp"
}
trap clean_up EXIT

base=${LATENTD_URL:-}
if [ -z "$base" ]; then
    "$BIN" serve --listen 127.0.0.1:0 --data-dir "${LATENTD_DATA_DIR:-$tmp/data}" --log warn >"$tmp/stdout" &
    server=$!
    for _ in $(seq 300); do
        base=$(sed -n 's/.*ready at \(http:[^ ]*\).*/\1/p' "$tmp/stdout")
        [ -z "$base" ] || break
        kill -0 "$server" || exit 1
        sleep 0.1
    done
fi
base=${base%/}

has() { curl --noproxy '*' -sf -o /dev/null "$base/v1/datasets/$1"; }

upload() { # name folder suffix
    curl --noproxy '*' -sS --fail-with-body -o /dev/null "$base/v1/datasets" -F "name=$1" \
        -F "train=@$2/train-images-idx3-ubyte$3" -F "train_labels=@$2/train-labels-idx1-ubyte$3" \
        -F "test=@$2/t10k-images-idx3-ubyte$3" -F "test_labels=@$2/t10k-labels-idx1-ubyte$3"
}

has mnist || upload mnist "$(scripts/mnist.sh)" ""
if ! has fashion; then
    # Debian's package of it is only unpacked.
    fashion=${LATENTD_TEST_DATA:-/nonexistent}/fashion-mnist
    if [ ! -d "$fashion" ] && (cd "$tmp" && apt-get download dataset-fashion-mnist >&2 && dpkg-deb -x dataset-fashion-mnist_*.deb fashion); then
        fashion=$tmp/fashion/usr/share/datasets/fashion-mnist
    fi
    if [ -d "$fashion" ]; then upload fashion "$fashion" .gz; else
        echo "results-quick: Fashion-MNIST could not be had; the recipes on it will be refused" >&2
    fi
fi
scripts/results_quick.py "$base" "$@"
