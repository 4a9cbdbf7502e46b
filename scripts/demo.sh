#!/usr/bin/env bash
# The main job from one end to the other, with nothing but curl: start the service, give it the
# MNIST digits, train a restricted Boltzmann machine and a denoising autoencoder, and save what
# they make as PNG grids in demo-output/. `make demo` builds the binary first.
set -euo pipefail
cd "$(dirname "$0")/.."

# --- how much is trained; on two cores the whole demo should stay under 90 seconds ---------------

RBM_HIDDEN=${RBM_HIDDEN:-500}
RBM_EPOCHS=${RBM_EPOCHS:-4}
AUTOENCODER_EPOCHS=${AUTOENCODER_EPOCHS:-6}
GIBBS_STEPS=${GIBBS_STEPS:-1000}
# The small built-in digits, used where MNIST cannot be had, need more passes over fewer images.
DIGITS_FACTOR=${DIGITS_FACTOR:-10}

BIN=${LATENTD_BIN:-target/release/latentd}
OUT=demo-output
started=$SECONDS

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n== %s\n' "$*"; }
die() {
    printf 'demo: error: %s\n' "$*" >&2
    exit 1
}

for tool in curl python3; do
    command -v "$tool" >/dev/null || die "$tool is not installed; the demo needs curl and python3."
done
[ -x "$BIN" ] || die "$BIN is not there; 'make demo' builds it."

# --- everything temporary is in one folder, and goes at the end ----------------------------------

tmp=$(mktemp -d)
server=
clean_up() {
    status=$?
    trap - EXIT INT TERM HUP
    if [ -n "$server" ] && kill -TERM "$server" 2>/dev/null; then
        # Asked first; it gets ten seconds to put everything away.
        for _ in $(seq 100); do
            kill -0 "$server" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$tmp"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# What every call shares is in curl's own settings file, which keeps the commands below short.
# It also takes the place of the user's own, and keeps a proxy out of calls to this machine.
cat >"$tmp/.curlrc" <<END
silent
show-error
fail-with-body
noproxy = "*"
END
export CURL_HOME=$tmp

# Prints a command the way one would type it, then runs it. It is printed past any redirection of
# what the command itself puts out.
exec 3>&1
run() {
    local word text=
    for word in "$@"; do
        case $word in
        *[!A-Za-z0-9_./:=@%+,-]* | '') word="'$word'" ;;
        esac
        text+="$word "
    done
    printf '$ %s\n' "${text% }" >&3
    "$@"
}

# A call whose answer is JSON: it is shown shortened, and kept in $tmp/answer for what follows.
call() {
    if ! run curl "$@" >"$tmp/answer"; then
        show <"$tmp/answer"
        die "the call above failed"
    fi
    show <"$tmp/answer"
}

# A call whose answer is an image.
picture() { # file, curl arguments
    local file=$OUT/$1
    shift
    if ! run curl "$@" -o "$file"; then
        # With an error, what came is a problem document and no image.
        [ ! -s "$file" ] || show <"$file"
        rm -f "$file"
        die "the call above failed"
    fi
    python3 -c '
import struct, sys
head = open(sys.argv[1], "rb").read(24)
if head[:8] != b"\x89PNG\r\n\x1a\n":
    sys.exit("this is not a PNG image")
print("  -> %s (%d x %d)" % (sys.argv[1], *struct.unpack(">II", head[16:24])))
' "$file" || die "$file is no image"
}

# JSON with its long lists and texts cut short, so that an answer stays readable.
show() {
    python3 -c '
import json, sys
def short(v):
    if isinstance(v, list):
        return [short(x) for x in v[:6]] + (["... %d more" % (len(v) - 6)] if len(v) > 6 else [])
    if isinstance(v, dict):
        return {k: short(x) for k, x in v.items()}
    if isinstance(v, float):
        return round(v, 4)
    if isinstance(v, str) and len(v) > 200:
        return v[:200] + "..."
    return v
text = sys.stdin.read()
try:
    text = json.dumps(short(json.loads(text)), ensure_ascii=False)
except ValueError:
    pass
print("  " + (text if len(text) <= 1200 else text[:1200] + " ..."))
'
}

field() { # file, name
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1])).get(sys.argv[2], ""))' "$1" "$2"
}

# --- train one model and wait for it --------------------------------------------------------------

train() { # job as JSON
    call -X POST "$base/v1/jobs" -H 'Content-Type: application/json' -d "$1"
    local job line state shown=-100
    job=$(field "$tmp/answer" id)
    [ -n "$job" ] || die "the answer names no job"
    printf '$ curl %s/v1/jobs/%s   # again and again until it is done\n' "$base" "$job"
    while :; do
        curl "$base/v1/jobs/$job" >"$tmp/job" || { show <"$tmp/job"; die "the job cannot be read"; }
        # First line: running, ok or failed. Second line: what to show.
        python3 - "$tmp/job" >"$tmp/line" <<'PY'
import json, sys
job = json.load(open(sys.argv[1]))
status = str(job.get("status"))
progress = job.get("progress") or {}
print("ok" if status in ("succeeded",)
      else "failed" if status in ("failed", "canceled")
      else "running")
text = "  %-9s" % status
fraction = progress.get("fraction")
if isinstance(fraction, (int, float)):
    full = int(24 * min(max(fraction, 0), 1))
    text += " [%s%s] %3.0f %%" % ("#" * full, "." * (24 - full), 100 * fraction)
if progress.get("epochs"):
    text += "  epoch %s of %s" % (progress.get("epoch"), progress["epochs"])
metrics = job.get("metrics")
if isinstance(metrics, dict):
    numbers = [(k, v) for k, v in metrics.items() if v is not None]
    text += "".join("  %s %.4g" % pair for pair in numbers[:3])
eta = job.get("eta_seconds")
if isinstance(eta, (int, float)):
    text += "  %.0f s left" % eta
print(text)
PY
        { read -r state && IFS= read -r line; } <"$tmp/line"
        if [ -t 1 ]; then
            # No longer than the terminal is wide: a wrapped line cannot be rewritten.
            printf '\r\033[K%.*s' "$(($(tput cols 2>/dev/null || echo 80) - 1))" "$line"
            [ "$state" = running ] || echo
        elif [ "$state" != running ] || [ $((SECONDS - shown)) -ge 5 ]; then
            shown=$SECONDS
            printf '%s\n' "$line"
        fi
        case $state in
        ok) break ;;
        failed)
            python3 -c '
import json, sys
job = json.load(open(sys.argv[1]))
print("  " + json.dumps(job.get("error"), ensure_ascii=False))' "$tmp/job" >&2
            die "training ended as '$(field "$tmp/job" status)'; the reason is above and in $OUT/latentd.log"
            ;;
        esac
        sleep 0.7
    done
}

# --- and now the demo -----------------------------------------------------------------------------

rm -rf "$OUT"
mkdir -p "$OUT"

say "Start the service"
printf '$ %s serve --listen 127.0.0.1:0 --data-dir %s\n' "$BIN" "$tmp/data"
"$BIN" serve --listen 127.0.0.1:0 --data-dir "$tmp/data" >"$tmp/stdout" 2>"$OUT/latentd.log" &
server=$!
base=
for _ in $(seq 600); do
    base=$(sed -n 's/.*ready at \(http:[^ ]*\).*/\1/p' "$tmp/stdout" | head -n 1)
    [ -z "$base" ] || break
    if ! kill -0 "$server" 2>/dev/null; then
        tail -n 20 "$OUT/latentd.log" >&2
        die "the service ended before it was ready; its log is above"
    fi
    sleep 0.1
done
[ -n "$base" ] || die "the service was not ready within 60 seconds; see $OUT/latentd.log"
base=${base%/}
echo "  ready at $base"

say "Give it data"
if mnist=$(scripts/mnist.sh); then
    data=mnist
    factor=1
    call -X POST "$base/v1/datasets" -F name=mnist \
        -F "train=@$mnist/train-images-idx3-ubyte" \
        -F "train_labels=@$mnist/train-labels-idx1-ubyte" \
        -F "test=@$mnist/t10k-images-idx3-ubyte" \
        -F "test_labels=@$mnist/t10k-labels-idx1-ubyte"
else
    echo "MNIST could not be had; going on with the small digits that the service brings along"
    data=digits
    factor=$DIGITS_FACTOR
    call -X POST "$base/v1/datasets" -H 'Content-Type: application/json' \
        -d '{"name":"digits","builtin":"digits"}'
fi
picture input.png "$base/v1/datasets/$data/preview.png?split=test&n=16"

say "Train a restricted Boltzmann machine"
train '{"name":"rbm","dataset":"'"$data"'","model":{"kind":"rbm","hidden":'"$RBM_HIDDEN"',"algorithm":"pcd","binarize":"dynamic","centring":true,"averaging":{"from":0.5}},"training":{"epochs":'$((RBM_EPOCHS * factor))',"optimizer":"sgd","learning_rate":0.1,"schedule":"linear","seed":1}}'

say "Train a denoising autoencoder"
train '{"name":"autoencoder","dataset":"'"$data"'","model":{"kind":"autoencoder","hidden":[512,256],"code":32,"corruption":{"kind":"gaussian","level":0.5}},"training":{"epochs":'$((AUTOENCODER_EPOCHS * factor))',"seed":1}}'

say "Clean up images that were made noisy"
rows='{"dataset":"'"$data"'","split":"test","offset":0,"limit":16}'
picture denoised.png -X POST "$base/v1/models/autoencoder/denoise" \
    -H 'Content-Type: application/json' -H 'Accept: image/png' \
    -d '{"rows":'"$rows"',"corrupt":{"kind":"gaussian","level":0.5,"seed":1}}'

say "Squeeze images through 32 numbers and back"
picture reconstruction.png -X POST "$base/v1/models/autoencoder/reconstruct" \
    -H 'Content-Type: application/json' -H 'Accept: image/png' -d '{"rows":'"$rows"'}'
call -X POST "$base/v1/models/autoencoder/encode" -H 'Content-Type: application/json' \
    -d '{"rows":{"dataset":"'"$data"'","split":"test","offset":0,"limit":2}}'

say "Dream up new digits, and look at what was learned"
picture samples.png -X POST "$base/v1/models/rbm/generate" \
    -H 'Content-Type: application/json' -H 'Accept: image/png' \
    -d '{"n":64,"seed":7,"gibbs_steps":'"$GIBBS_STEPS"'}'
picture filters.png "$base/v1/models/rbm/filters.png"

say "Done in $((SECONDS - started)) s"
cat <<END
  $OUT/input.png           images of the test set
  $OUT/denoised.png        noisy images, and what the autoencoder makes of them
  $OUT/reconstruction.png  images, and what is left of them after 32 numbers
  $OUT/samples.png         digits that the Boltzmann machine dreamed up
  $OUT/filters.png         what its hidden units look for
  $OUT/latentd.log         what the service logged

To go on: 'make serve' starts the service with a data folder that stays; then the calls above work
on your own data.
END
