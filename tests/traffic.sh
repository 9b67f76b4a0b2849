#!/bin/sh
# traffic.sh - kernels move no more through fast memory than the formulas say, in a small cache
#
# SPDX-License-Identifier: BSD-3-Clause

here=$(dirname "$0")
if ! command -v valgrind >/dev/null; then
  echo "skipped: valgrind is not installed (Debian: valgrind)"
  exit 77
fi
if [ -n "${ASAN_OPTIONS-}" ]; then
  echo "skipped: valgrind and the sanitizers exclude each other"
  exit 77
fi
PROGRAM=${top_builddir-.}/tests/traffic sh "${top_srcdir-$here/..}/jobs/traffic" --quick
