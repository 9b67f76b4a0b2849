#!/bin/bash
# many.sh - 64 ranks on few processors, and more ranks than tokens: every move, results those of one process
#
# SPDX-License-Identifier: BSD-3-Clause

[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
set -u
here=$(cd "$(dirname "$0")" && pwd)
export top_srcdir=${top_srcdir-$here/..} top_builddir=${top_builddir-$here/../build}
# shellcheck source=jobs/one-machine.sh
. "$top_srcdir/jobs/one-machine.sh"
precis=$top_builddir/precis
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
failures=0
if [ -z "${MPIEXEC-}" ]; then
  echo "many.sh: skipped: configure found no mpiexec or mpirun"
  exit 77
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM HUP
cd "$folder" || exit 1

complain()
{
  echo "many.sh: FAILED: $*" >&2
  failures=$((failures + 1))
}

# compare RANKS TOKENS MOVE OPTION...
compare()
{
  local ranks=$1 tokens=$2 move=$3 tolerance=5e-6 alike=1e-2 causal=() unit=()
  shift 3
  [ "$move" != summaries ] || tolerance=1e-2 alike=1e-2 unit=(--tol-of range)
  case " $* " in *" --causal "*) causal=(--causal) ;; esac
  "$precis" run --input "$tokens.safetensors" --move "$move" "$@" --out want.npy --quiet ||
    complain "$move, $tokens tokens, one process: exit status $?"
  rm -f out.npy
  # shellcheck disable=SC2086
  timeout -k 5 50 $MPIEXEC ${MPIEXEC_FLAGS-} -n "$ranks" "$precis" run --input "$tokens.safetensors" --move "$move" "$@" \
    --out out.npy --quiet --timeout 45 </dev/null || complain "$move, $tokens tokens, $ranks ranks: exit status $?"
  # Where scores are small, outputs are near the mean of all values, and small: relative to them, an error that is
  # nothing in units of the values' range is something. The reference decides.
  if ! "$precis" check out.npy want.npy --tol "$alike" "${unit[@]}" >/dev/null || ! "$precis" check --input "$tokens.safetensors" \
    --out out.npy --tol "$tolerance" --rows 100 "${causal[@]}" "${unit[@]}" >/dev/null; then
    complain "$move, $tokens tokens, $ranks ranks: another result"
  fi
  echo "many.sh: $move, $tokens tokens, $ranks ranks, $*: done after $SECONDS s"
}

for tokens in 5 3000; do
  "$precis" gen --tokens $tokens --heads 4 --kv-heads 2 --dim 8 --kind gauss --spread 0.1 -o $tokens.safetensors --quiet || exit 1
done
for move in tiles heads queries summaries; do
  options=()
  [ $move != summaries ] || options=(--tol 1e-2 --tol-of range --degree 2)
  compare 16 5 $move "${options[@]}" --causal
  compare 64 3000 $move "${options[@]}"
done
compare 64 3000 tiles --causal
compare 64 3000 summaries --tol 1e-2 --tol-of range --degree 2 --causal
compare 64 5 tiles

[ $failures -eq 0 ] || exit 1
echo "many.sh: all good"
