#!/bin/sh
# weaken.sh - the suite of promises notices when a bound is too small, whichever bound it is
#
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the library once more, with -DPRECIS_TEST_WEAKEN (src/base/weaken.h), in the folder "weakened", which stays for the next time, and
# runs tests/mpi_test_promises with each bound that the sources pass through precis_weaken(): ENVELOPE, OUTPUT_ROUNDING, DELTA and RADIUS
# are halved, bounds of rounding are 0. PRECIS_WEAKEN_BOUNDS="ENVELOPE DELTA" takes only these, PRECIS_WEAKEN_NP other numbers of ranks
# than 1.

source=$(cd "${top_srcdir-.}" && pwd) || exit 1
build=$(cd "${top_builddir-.}" && pwd) || exit 1
bounds=${PRECIS_WEAKEN_BOUNDS-$(grep -rhoE 'precis_weaken\(PRECIS_BOUND_[A-Z_]+' "$source/src" "$source/mpi" |
  sed 's/.*BOUND_//' | sort -u)}
if [ -z "$bounds" ]; then
  echo "weaken.sh skipped: no bound passes through precis_weaken()"
  exit 77
fi
if [ -z "${MPIEXEC-}" ]; then
  echo "weaken.sh skipped: configure found no mpiexec or mpirun"
  exit 77
fi

mkdir -p "$build/weakened" && cd "$build/weakened" || exit 1
[ -f Makefile ] || "$source/configure" CPPFLAGS="${CPPFLAGS-} -DPRECIS_TEST_WEAKEN" >configure.log 2>&1 || exit 1
make -j2 tests/mpi_test_promises >make.log 2>&1 || { tail make.log; exit 1; }

# suite NAME: runs it with that bound weakened; its output is in NAME.log. Problems come in pieces: the first that fails will do.
suite()
{
  for piece in 0 1 2 3; do
    # shellcheck disable=SC2086
    PRECIS_WEAKEN=$1 PRECIS_PROMISES_FIRST=$((piece * 300)) PRECIS_PROMISES_PROBLEMS=300 PRECIS_PROMISES_SEQUENCES=60 \
      timeout -k 5 "${TEST_TIMEOUT-1800}" $MPIEXEC ${MPIEXEC_FLAGS-} -n "${PRECIS_WEAKEN_NP-1}" tests/mpi_test_promises \
      </dev/null >"$1.log" 2>&1 || return 1
  done
}

failed=
if ! suite NONE; then
  echo "weaken.sh: the suite fails with whole bounds: weakened/NONE.log"
  exit 1
fi
for bound in $bounds; do
  # A suite that only crashed or ran out of time has noticed nothing.
  if ! suite "$bound" && grep -q ': beyond ' "$bound.log"; then
    echo "weaken.sh: $bound is weaker: $(grep -h ': beyond ' "$bound.log" | head -1)"
  else
    echo "weaken.sh: $bound is weaker, and no row is found beyond its bound (weakened/$bound.log)"
    failed="$failed $bound"
  fi
done
[ -z "$failed" ]
