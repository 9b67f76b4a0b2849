#!/bin/sh
# serve.sh - precis serve from the outside: what it answers, what it refuses, how it ends
#
# SPDX-License-Identifier: BSD-3-Clause
#
# The tests are tests/serve/test_*.py; serve.sh test_limits runs one of them. Some are left out where Chromium, OpenSSL or NumPy
# are not there (jobs/setup --all). tests/serve/load.py is ten minutes of 64 clients.

here=$(cd "$(dirname "$0")" && pwd)
top_srcdir=${top_srcdir-$here/..}
# shellcheck source=jobs/one-machine.sh
. "$top_srcdir/jobs/one-machine.sh"
PRECIS=${PRECIS-${top_builddir-$here/../build}/precis}
# Small problems are worth a summary on this machine.
PRECIS_TEST_MACHINE=$here/fast-summaries.machine
export PRECIS PRECIS_TEST_MACHINE PYTHONDONTWRITEBYTECODE=1
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
if ! command -v python3 >/dev/null; then
  echo "serve.sh: skipped: there is no python3 (jobs/setup --all installs it)"
  exit 77
fi
cd "$here/serve" || exit 1
if [ $# -gt 0 ]; then
  exec python3 -m unittest "$@"
fi
exec python3 -m unittest discover
