#!/bin/bash
# ctrl_c.sh - a run that is ended by Ctrl-C, or killed, before anything of it can be resumed leaves no file behind
#
# SPDX-License-Identifier: BSD-3-Clause
#
# A .part file of the size of the output stayed for ever. With a checkpoint it has to stay: tests/resume.sh.

[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
top=${top_builddir:-build}
case $top in /*) ;; *) top=$PWD/$top ;; esac
precis=$top/precis
[ -n "${MPIEXEC-}" ] || { echo "skipped: there is no mpiexec"; exit 77; }
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
mkdir work
export OMP_NUM_THREADS=1
fail() { echo "FAILED: $*"; ls -la work; cat said; exit 1; }

"$precis" gen --kind gauss --tokens 60000 --heads 2 --dim 64 -o in.safetensors >said 2>&1 || fail gen

# until_part: there is one, within a minute. Looks often: the moment after it was made is the one that matters.
until_part()
{
  for _ in $(seq 6000); do
    ls work/*.part* >/dev/null 2>&1 && return
    sleep .005
  done
  fail "$what: no file aside"
}

# end SIGNAL COMMAND...: sends it to the process group when the run has begun to write, as a terminal does.
end()
{
  signal=$1
  shift
  what="$signal to $*"
  set -m
  # Whoever runs the tests may have made them deaf to it.
  exec env --default-signal=INT,TERM "$@" </dev/null >said 2>&1 &
  process=$!
  set +m
  until_part
  kill "-$signal" -- "-$process"
  wait "$process"
  status=$?
  [ $status -gt 128 ] || [ $status = 1 ] || [ $status = 2 ] || [ $status = 137 ] || fail "$what: exit status $status"
  for _ in $(seq 100); do
    [ -z "$(ls work)" ] && return
    sleep .1
  done
  fail "$what: something was left"
}

run="run --input in.safetensors --out work/out.npy --json work/report.json --checkpoint-every 1000"
# shellcheck disable=SC2086
{
  end INT "$precis" $run
  end KILL "$precis" $run
  end INT $MPIEXEC $MPIEXEC_FLAGS -n 2 "$precis" $run
  end TERM $MPIEXEC $MPIEXEC_FLAGS -n 2 "$precis" $run
}
end INT "$precis" gen --kind gauss --tokens 2000000 --heads 4 --dim 64 -o work/g.safetensors

# What is finished stays, and nothing else.
"$precis" gen --kind gauss --tokens 100 --heads 2 --dim 8 -o small.safetensors >said 2>&1 || fail gen
"$precis" run --input small.safetensors --out work/out.npy --json work/report.json >said 2>&1 || fail run
sleep .3
[ "$(ls work | tr '\n' ' ')" = "out.npy report.json " ] || fail "after a run that ended well"
echo "passed: nothing is left of runs that were ended early"
