#!/bin/bash
# heads.sh - jobs/heads: heads of several layers, with and without prefixes, and what cannot be read
#
# SPDX-License-Identifier: BSD-3-Clause

[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
top_srcdir=${top_srcdir-$(cd "$(dirname "$0")/.." && pwd)}
export PRECIS=${top_builddir:-build}/precis
case $PRECIS in /*) ;; *) PRECIS=$PWD/$PRECIS ;; esac
python=
for one in python3 /usr/bin/python3; do
  [ -z "$python" ] && "$one" -c 'import numpy' 2>/dev/null && python=$one
done
[ -n "$python" ] || { echo "skipped: there is no python3 with NumPy"; exit 77; }
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
fail() { echo "FAILED: $*"; cat said; exit 1; }
heads() { "$python" "$top_srcdir/jobs/heads" "$@" >said 2>&1; }

"$PRECIS" gen --tokens 3000 --heads 4 --kv-heads 2 --dim 8 --kind gauss --spread 0.15 -o narrow.safetensors >said 2>&1 || fail gen
heads narrow.safetensors --tol 1e-2 || fail "a file of one layer"
[ "$(grep -cE '^ +[0-3] +0\.1[45]' said)" = 4 ] || fail "the deviation of four heads is .15"
awk '$1 == "all" { good = $5 + 0 > 5 && $7 + 0 > $5 + 0 } END { exit !good }' said || fail "narrow heads gain, and more with more tokens"

"$PRECIS" gen --tokens 1000 --heads 2 --dim 8 --kind gauss --spread 4 -o wide.safetensors >said 2>&1 || fail gen
heads wide.safetensors --tol 1e-2 || fail "wide heads"
[ "$(grep -cE '^ +[01] .* - +- +-$' said)" = 2 ] || fail "wide heads are exact"

# Two layers in one file, the second in bfloat16.
"$python" - <<'PYTHON' || fail "two layers"
import json
import numpy
rng = numpy.random.default_rng(1)
header, blobs, at = {}, [], 0
for layer in range(2):
    for name in "qkv":
        x = (.4 * rng.standard_normal((300, 2, 4))).astype("<f4")
        blob = x.tobytes() if layer == 0 else (x.view("<u4") >> 16).astype("<u2").tobytes()
        header[f"layers.{layer}.{name}"] = {"dtype": "BF16" if layer else "F32", "shape": [300, 2, 4],
                                            "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
text = json.dumps(header).encode()
open("two.safetensors", "wb").write(len(text).to_bytes(8, "little") + text + b"".join(blobs))
PYTHON
heads two.safetensors --tol 1e-1 || fail "two layers"
[ "$(grep -c '^layers\.[01]\.: 2 heads' said)" = 2 ] || fail "both layers are shown"
heads two.safetensors --tol 1e-1 --prefix layers.1 || fail "one of two layers"
[ "$(grep -c ': 2 heads' said)" = 1 ] || fail "one layer is shown"

echo 'no tensors' >text.safetensors
heads text.safetensors && fail "a text file"
[ "$(wc -l <said)" = 1 ] || fail "one line for a file that cannot be read"
heads two.safetensors --prefix other. && fail "a prefix that is not there"
grep -q 'layers.0.q, layers.0.k' said || fail "names that are there"
echo "passed: heads of a model are shown"
