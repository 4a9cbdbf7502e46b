#!/usr/bin/env bash
# Starts a service on a fresh data folder, uploads MNIST, and prints the figures of recipes/mnist/.
# `make results-mnist` builds the binary first. On two cores it takes some five minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

BIN=${LATENTD_BIN:-target/release/latentd}
mnist=$(scripts/mnist.sh)
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

"$BIN" serve --listen 127.0.0.1:0 --data-dir "$tmp/data" --log warn >"$tmp/stdout" &
server=$!
base=
for _ in $(seq 300); do
    base=$(sed -n 's/.*ready at \(http:[^ ]*\).*/\1/p' "$tmp/stdout")
    [ -z "$base" ] || break
    kill -0 "$server" || exit 1
    sleep 0.1
done
curl --noproxy '*' -sS --fail-with-body -o /dev/null "$base/v1/datasets" -F name=mnist \
    -F "train=@$mnist/train-images-idx3-ubyte" -F "train_labels=@$mnist/train-labels-idx1-ubyte" \
    -F "test=@$mnist/t10k-images-idx3-ubyte" -F "test_labels=@$mnist/t10k-labels-idx1-ubyte"
scripts/results_mnist.py "$base"
