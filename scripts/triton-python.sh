#!/usr/bin/env bash
# Makes sure tritonclient is in the cache and prints a Python that has it.
#
#   export LATENTD_TRITON_PYTHON="$(scripts/triton-python.sh)"
#
# The tests in tests/it/tritonclient.rs run under it. LATENTD_CACHE says where the cache is, as for
# scripts/libtorch.sh; the copy is apart for each version of tritonclient and of Python.
set -euo pipefail

VERSION=2.73.0

here=$(cd "$(dirname "$0")" && pwd)
dir=$("$here/python-tool.sh" 'tritonclient[http]' "$VERSION")
python=$dir/python
if [ ! -x "$python" ]; then
    # Under another name until it is whole: two at once write the same.
    printf '#!/bin/sh\nPYTHONPATH="%s" exec python3 "$@"\n' "$dir" >"$python.$$"
    chmod +x "$python.$$"
    mv "$python.$$" "$python"
fi
# A wheel for another machine is found out here, not in the middle of a test.
"$python" -c 'import tritonclient.http, tritonclient.http.aio' >&2
printf '%s\n' "$python"
