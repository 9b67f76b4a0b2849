#!/bin/sh
# fuzz.sh - what fuzzing has found, and where it begins: entry points on the files in tests/corpus
#
# SPDX-License-Identifier: BSD-3-Clause
#
# jobs/fuzz looks for more.

here=$(cd "$(dirname "$0")" && pwd)
builddir=${top_builddir-$here/../build}
for name in body text http numbers; do
  program=$builddir/tests/fuzz_$name
  [ -x "$program" ] || { echo "fuzz.sh: no $program: make check builds it" >&2; exit 1; }
  timeout -k 5 "$((${TEST_TIMEOUT-120} * $(sh "$here/pace")))" "$program" "$here/corpus/$name"/* </dev/null || {
    echo "fuzz.sh: FAILED: $name" >&2
    exit 1
  }
done
