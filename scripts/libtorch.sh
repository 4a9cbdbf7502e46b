#!/usr/bin/env bash
# Makes sure libtorch is there and prints its folder, the value for LIBTORCH.
#
#   export LIBTORCH="$(scripts/libtorch.sh)"
#
# Only the folder goes to stdout; everything else goes to stderr.
#
# Settings (all optional):
#   LIBTORCH          a libtorch 2.13.0 of your own; it is checked and printed, nothing is fetched
#   LATENTD_CACHE     where the copy is kept (default: ${XDG_CACHE_HOME:-~/.cache}/latentd)
#   LATENTD_LIBTORCH  cpu (default) or cuda
#
# The libraries come from the published Python wheels of PyTorch, because they can be had with
# nothing but pip. No Python code of theirs is ever run: the files are only unpacked. pip cannot
# take up a broken-off download again, so an interrupted wheel starts over; wheels that arrived
# whole are kept and used by the next run.
set -euo pipefail

VERSION=2.13.0
# Written into the stamp; raise it when the unpacked layout changes, so that old copies are replaced.
LAYOUT=1

say() { printf 'libtorch: %s\n' "$*" >&2; }

die() {
    printf 'libtorch: error: %s\n' "$1" >&2
    shift
    local line
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    cat >&2 <<END
  You can also install libtorch $VERSION yourself (the C++ archive, or a torch==$VERSION package
  of any Python) and say where it lies: the folder that holds lib/libtorch.so and include/:
      export LIBTORCH=/path/to/libtorch
END
    exit 1
}

# --- a libtorch of the user's own -----------------------------------------------------------------

if [ -n "${LIBTORCH:-}" ]; then
    [ -e "$LIBTORCH/lib/libtorch.so" ] ||
        die "LIBTORCH is set to '$LIBTORCH', but $LIBTORCH/lib/libtorch.so is not there." \
            "Unset LIBTORCH to have it fetched, or correct it."
    [ -d "$LIBTORCH/include" ] ||
        die "LIBTORCH is set to '$LIBTORCH', but $LIBTORCH/include is not there." \
            "Unset LIBTORCH to have it fetched, or correct it."
    if [ -r "$LIBTORCH/build-version" ]; then
        own_version=$(cat "$LIBTORCH/build-version")
        # Only a warning: the build itself refuses a wrong version, and can be told not to.
        [ "${own_version%%+*}" = "$VERSION" ] ||
            say "warning: $LIBTORCH holds version $own_version, this project expects $VERSION"
    fi
    # An absolute path: it is baked into the binary as the place to find the libraries at run time.
    (cd "$LIBTORCH" && pwd)
    exit 0
fi

# --- settings -------------------------------------------------------------------------------------

variant=${LATENTD_LIBTORCH:-cpu}
case $variant in
cpu | cuda) ;;
*) die "LATENTD_LIBTORCH is '$variant'; it must be cpu or cuda." ;;
esac

[ "$(uname -s)" = Linux ] || die "only Linux is supported by this script, this is $(uname -s)."
machine=$(uname -m)
case $machine in
x86_64 | aarch64) ;;
*) die "there are no PyTorch wheels for $machine." ;;
esac

if [ -z "${LATENTD_CACHE:-}" ] && [ -z "${XDG_CACHE_HOME:-}" ] && [ -z "${HOME:-}" ]; then
    die "none of LATENTD_CACHE, XDG_CACHE_HOME and HOME is set, so there is no place for the cache."
fi
cache=${LATENTD_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/latentd}
mkdir -p "$cache" || die "cannot create the cache folder $cache." "Set LATENTD_CACHE to another place."
cache=$(cd "$cache" && pwd)
final=$cache/libtorch-$VERSION-$variant
wheels=$final.wheels
part=$final.part
stamp="libtorch $VERSION $variant $machine layout $LAYOUT"

is_complete() { [ -r "$final/.complete" ] && [ "$(cat "$final/.complete")" = "$stamp" ]; }

if is_complete; then
    printf '%s\n' "$final/torch"
    exit 0
fi

# --- what is needed -------------------------------------------------------------------------------

# Package, version, sha256 of the wheel for x86_64, sha256 of the wheel for aarch64.
# Even the CPU library names the CUDA runtime and its profiling interface as needed at load time.
needed="
torch                $VERSION   60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7 092790c696a760c729fd5722835f50b9d81fd7c8f141571f3f3cf4081a8f664c
nvidia-cuda-runtime  13.0.96    7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548 ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55
nvidia-cuda-cupti    13.0.85    4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8 796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151
"
need_mib=2000
if [ "$variant" = cuda ]; then
    # The libraries that the torch wheel's own metadata asks for, as pip resolves them; without
    # triton and cuda-bindings, which serve its Python side only.
    needed+="
nvidia-cudnn-cu13      9.20.0.48  0c45dd8eeb50b603f07995b1b300c62ffe6a1980482b82b3bcf94a4ca9d49304 e31454ae00094b0c55319d9d15b6fa2fc50a9e1c0f5c8c80fb75258234e731e1
nvidia-cusparselt-cu13 0.8.1      786ce87568c303fadb5afcc7102d454cd3040d75f6f8626f5db460d1871f4dd0 4dca476c50bf4780d46cd0bfbd82e2bc10a08e4fef7950917ce8d7578d22a23f
nvidia-nccl-cu13       2.29.7     edd81538446786ec3b73972543e53bb43bcaf0bfc8ef76cb679fcc390ffe136d 674a12383e3c38a1bcccae7d4f3633b37852230b6047883cb2f4c2d1b36d9bf5
nvidia-nvshmem-cu13    3.4.5      290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80 6dc2a197f38e5d0376ad52cd1a2a3617d3cdc150fd5966f4aee9bcebb1d68fe9
nvidia-cublas          13.1.1.3   37936a16db8fe4ac1f065c2139360608a543a09275cb1a1af612e08cfa065436 b7a210458267ac818974c53038fbec2e969d5c99f305ab15c72522fa9f001dd5
nvidia-cuda-nvrtc      13.0.88    ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575 d27f20a0ca67a4bb34268a5e951033496c5b74870b868bacd046b1b8e0c3267b
nvidia-cufft           12.0.0.61  6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3 2708c852ef8cd89d1d2068bdbece0aa188813a0c934db3779b9b1faa8442e5f5
nvidia-cufile          1.15.1.6   08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44 bdc0deedc61f548bddf7733bdc216456c2fdb101d020e1ab4b88d232d5e2f6d1
nvidia-curand          10.4.0.35  1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc 133df5a7509c3e292aaa2b477afd0194f06ce4ea24d714d616ff36439cee349a
nvidia-cusolver        12.0.4.66  0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112 02c2457eaa9e39de20f880f4bd8820e6a1cfb9f9a34f820eb12a155aa5bc92d2
nvidia-cusparse        12.6.3.3   2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b 80bcc4662f23f1054ee334a15c72b8940402975e0eab63178fc7e670aa59472c
nvidia-nvjitlink       13.5.37    280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb 893f6f9a55b2720ed94913b5ba3332e972da8c78dfa2863d0244403dbd528ffc
nvidia-nvtx            13.0.85    4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4 cb7780edb6b14107373c835bf8b72e7a178bac7367e23da7acb108f973f157a6
"
    need_mib=12000
fi

command -v python3 >/dev/null ||
    die "python3 is not installed; it is needed to fetch and unpack libtorch." \
        "On Debian or Ubuntu: apt-get install python3 python3-pip"
python3 -m pip --version >/dev/null 2>&1 ||
    die "python3 has no pip; it is needed to fetch libtorch." \
        "On Debian or Ubuntu: apt-get install python3-pip"

# --- one at a time --------------------------------------------------------------------------------

child=
lock_dir=
clean_up() {
    # pip first, and its end awaited: it would otherwise go on writing into what is removed here.
    if [ -n "$child" ] && kill -- "-$child" 2>/dev/null; then
        while kill -0 -- "-$child" 2>/dev/null; do sleep 0.1; done
    fi
    [ -z "${owner:-}" ] || rm -rf "$part" "$wheels/tmp"
    [ -z "$lock_dir" ] || rm -rf "$lock_dir"
}
trap clean_up EXIT
trap 'say "interrupted; run it again to go on (whole wheels are kept)"; exit 130' INT
trap 'say "stopped; run it again to go on (whole wheels are kept)"; exit 143' TERM HUP

if command -v flock >/dev/null; then
    exec 9>"$final.lock"
    if ! flock -n 9; then
        say "another run is fetching libtorch; waiting for it"
        flock 9
    fi
else
    # Without flock a folder is the lock. One left behind by a run that was killed is taken over.
    waited=
    until mkdir "$final.lock.d" 2>/dev/null; do
        holder=$(cat "$final.lock.d/pid" 2>/dev/null || true)
        if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
            rm -rf "$final.lock.d"
            continue
        fi
        [ -n "$waited" ] || say "another run is fetching libtorch; waiting for it (lock: $final.lock.d)"
        waited=1
        sleep 1
    done
    lock_dir=$final.lock.d
    echo $$ >"$lock_dir/pid"
fi

# The run that was waited for may have done everything.
if is_complete; then
    printf '%s\n' "$final/torch"
    exit 0
fi
owner=1

# --- fetch ----------------------------------------------------------------------------------------

sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

mkdir -p "$wheels"
rm -rf "$part" "$wheels/tmp"

have_mib=$(du -sm "$wheels" | cut -f1)
free_mib=$(($(df -Pk "$cache" | awk 'NR == 2 { print $4 }') / 1024))
[ $((free_mib + have_mib)) -ge "$need_mib" ] ||
    die "too little disk space: $cache has $free_mib MiB free, about $need_mib MiB are needed." \
        "Make room, or set LATENTD_CACHE to a folder on another disk."

# The wheels are named for one Python version. Always asking for the same one gives the same file
# whatever python3 runs here. Older manylinux tags are listed because pip takes them literally.
platforms=()
for tag in manylinux_2_28 manylinux_2_27 manylinux_2_25 manylinux_2_24 manylinux_2_18 \
    manylinux_2_17 manylinux2014 manylinux_2_12 manylinux2010 manylinux_2_5 manylinux1; do
    platforms+=(--platform "${tag}_$machine")
done

fetch() { # package version
    mkdir -p "$wheels/tmp"
    # pip writes its partial file under TMPDIR, which lets the size so far be shown, and an
    # interrupted one be removed. Its own cache would only keep a second copy of 500 MB.
    local bar=off
    [ -t 2 ] && bar=on
    # A process group of its own (set -m): python3 may be a wrapper that starts the real one, and
    # when this script is stopped all of it must stop.
    set -m
    TMPDIR=$wheels/tmp python3 -m pip download --no-deps --only-binary=:all: --no-cache-dir \
        --disable-pip-version-check --progress-bar "$bar" --retries 3 \
        --python-version 3.11 --implementation cp --abi cp311 "${platforms[@]}" \
        --dest "$wheels" "$1==$2" </dev/null >&2 9>&- &
    child=$!
    set +m
    # Waiting in small steps lets a signal to this script be answered at once.
    local steps=0
    while kill -0 "$child" 2>/dev/null; do
        sleep 0.5
        steps=$((steps + 1))
        if [ "$bar" = off ] && [ $((steps % 10)) = 0 ] && [ -d "$wheels/tmp" ]; then
            say "  $1: $(du -sm "$wheels/tmp" 2>/dev/null | cut -f1) MiB so far"
        fi
    done
    local status=0
    wait "$child" || status=$?
    child=
    rm -rf "$wheels/tmp"
    return "$status"
}

say "libtorch $VERSION ($variant) is not in $cache yet; fetching it"
[ "$variant" = cuda ] || say "(about 540 MB once; 490 MB are kept on disk)"
while read -r package version sha_x86_64 sha_aarch64; do
    [ -n "$package" ] || continue
    sha=$sha_x86_64
    [ "$machine" = x86_64 ] || sha=$sha_aarch64
    prefix=${package//-/_}-$version-
    for file in "$wheels/$prefix"*.whl; do
        [ -e "$file" ] || continue
        if [ "$(sha256_of "$file")" = "$sha" ]; then
            say "$package $version: already here"
            continue 2
        fi
        say "$package $version: the copy here is damaged; fetching it again"
        rm -f "$file"
    done
    say "$package $version: fetching"
    fetch "$package" "$version" ||
        die "pip could not fetch $package $version (its message is above)." \
            "If the network was the trouble, run this again: wheels that arrived whole are kept, and" \
            "pip starts the one it was on from the beginning. Behind a proxy or a mirror, set pip up" \
            "for it (pip config, or PIP_INDEX_URL)."
    for file in "$wheels/$prefix"*.whl; do
        [ -e "$file" ] || die "pip reported success, but no $prefix*.whl came."
        got=$(sha256_of "$file")
        if [ "$got" != "$sha" ]; then
            rm -f "$file"
            die "$(basename "$file") has the wrong checksum, so it was deleted." \
                "expected sha256 $sha" "got      sha256 $got" \
                "Run this again; if it stays wrong, the place pip fetches from serves another file."
        fi
    done
done <<<"$needed"

# --- unpack ---------------------------------------------------------------------------------------

say "unpacking"
rm -rf "$part"
mkdir -p "$part"
# python3's zipfile, as unzip is missing on many machines.
python3 - "$wheels" "$part" "$variant" <<'PY' 9>&- >&2 || die "unpacking failed (message above); is the disk full?"
import os, shutil, sys, zipfile

wheels, part, variant = sys.argv[1:]
# Parts of the CUDA build and of the Python module, none of which the CPU library needs.
CUDA_ONLY = ("libtorch_cuda", "libc10_cuda", "libcaffe2_nvrtc", "libtorch_nvshmem",
             "libtorch_python", "libshm")
RUNTIME = ("libcudart.so.13", "libcupti.so.13")


def wanted(name):
    base = name.rsplit("/", 1)[-1]
    if name.endswith("/"):
        return False
    # torch.libs, where a wheel has it, holds libraries that torch/lib finds beside itself.
    if name.startswith(("torch/lib/", "torch.libs/")):
        return variant == "cuda" or not name.split("/", 2)[-1].startswith(CUDA_ONLY)
    if name.startswith("torch/include/"):
        return True
    if name.startswith("nvidia/"):
        return base in RUNTIME if variant == "cpu" else "/lib/" in name and ".so" in base
    # The terms that the libraries are under travel with them.
    return ".dist-info/" in name and base.upper().startswith(("LICENSE", "NOTICE", "LICENCE"))


for wheel in sorted(os.listdir(wheels)):
    if not wheel.endswith(".whl"):
        continue
    with zipfile.ZipFile(os.path.join(wheels, wheel)) as archive:
        for info in archive.infolist():
            name = info.filename
            if not wanted(name):
                continue
            if ".dist-info/" in name:
                folder, rest = name.split(".dist-info/", 1)
                name = "licenses/" + folder + "/" + rest.replace("licenses/", "", 1)
            target = os.path.join(part, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with archive.open(info) as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)

lib = os.path.join(part, "torch", "lib")
needed = ["libtorch_cpu.so", "libc10.so", "libtorch.so"]
for name in needed:
    if not os.path.exists(os.path.join(lib, name)):
        sys.exit(f"the torch wheel holds no torch/lib/{name}")
if variant == "cpu":
    # The wheel's libtorch.so holds nothing but the names of the libraries that make it up, and
    # one of them is libtorch_cuda.so. A linker script takes its place, so that a program linked
    # with -ltorch never comes to depend on a library that is not here.
    with open(os.path.join(lib, "libtorch.so"), "w") as f:
        f.write("/* GNU ld script: the CPU build is libtorch_cpu and libc10. */\n"
                "INPUT ( -ltorch_cpu -lc10 )\n")
# Read by the build of torch-sys, which refuses any other version.
with open(os.path.join(part, "torch", "build-version"), "w") as f:
    f.write("2.13.0+" + ("cpu" if variant == "cpu" else "cu130") + "\n")
PY

# Both libraries that are found by a path relative to torch/lib; a check here names the trouble
# better than the failed start of a program later.
if command -v ldd >/dev/null; then
    missing=$(ldd "$part/torch/lib/libtorch_cpu.so" 2>&1 | grep 'not found' || true)
    [ -z "$missing" ] || die "libraries that libtorch needs are missing on this machine:" "$missing"
fi

printf '%s\n' "$stamp" >"$part/.complete"
# Anything that lies at the final place without a stamp is not whole; the rename makes the new copy
# appear all at once.
rm -rf "$final"
mv -T "$part" "$final"
rm -rf "$wheels"
say "ready in $final"
printf '%s\n' "$final/torch"
