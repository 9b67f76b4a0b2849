#!/bin/bash
# resume.sh - runs that are interrupted or killed at any moment, and go on with another number of ranks
#
# SPDX-License-Identifier: BSD-3-Clause
#
# After USR1 or TERM a run ends with status 75 and can be resumed; after KILL it can be, too. Results are those of a run that was left
# alone, and no file has an output's name before all of it is there.
# PRECIS_RESUME_ROUNDS (default 1) repeats it, PRECIS_RESUME_SEED takes other moments.

[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
set -u
here=$(cd "$(dirname "$0")" && pwd)
export top_srcdir=${top_srcdir-$here/..} top_builddir=${top_builddir-$here/../build}
# shellcheck source=jobs/one-machine.sh
. "$top_srcdir/jobs/one-machine.sh"
precis=$(cd "$top_builddir" && pwd)/precis
machine=$(cd "$top_srcdir" && pwd)/tests/fast-summaries.machine
seed=${PRECIS_RESUME_SEED-$$}
RANDOM=$seed
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
limit=$((${TEST_TIMEOUT-60} * $(sh "$top_srcdir/tests/pace")))
# Sanitizers take ten times as long for the same.
tokens=6000
[ -z "${ASAN_OPTIONS-}" ] || tokens=1500
batch=$((tokens / 31))

if [ -z "${MPIEXEC-}" ]; then
  echo "resume.sh: skipped: configure found no mpiexec or mpirun"
  exit 77
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$folder/work" && cd "$folder/work" || exit 1
export OMPI_MCA_orte_tmpdir_base="$folder" OMPI_MCA_ess_singleton_isolated="${OMPI_MCA_ess_singleton_isolated-1}"
failures=0 stops=0 kills=0 too_late=0 what=

complain()
{
  echo "resume.sh: FAILED: $what: $*" >&2
  sed 's/^/    /' ../out ../err >&2
  failures=$((failures + 1))
}

# Each process leaves its number and becomes the program: ranks theirs, the launcher its own.
cat >../rank.sh <<'END'
echo $$ >"$1/pid.${OMPI_COMM_WORLD_RANK-${PMI_RANK-launcher}}"
shift
exec "$@"
END

# What differs from test to test. Many batches, and a checkpoint after each.
options=() input=in
every=(--batch-rows "$batch" --checkpoint-every 0.001)

# begin RANKS [OPTION...]: starts a run in the background and waits until its ranks are there.
begin()
{
  local ranks=$1 tries=0
  shift
  rm -f ../pid.*
  # shellcheck disable=SC2086
  timeout -k 2 "$limit" sh ../rank.sh .. $MPIEXEC ${MPIEXEC_FLAGS-} -n "$ranks" sh ../rank.sh .. "$precis" run \
    --input ../$input.safetensors --machine "$machine" --out out.npy --lse lse.npy --quiet "${options[@]}" "$@" \
    </dev/null >../out 2>../err &
  job=$!
  until heeding "$ranks" || ! kill -0 $job 2>/dev/null; do
    sleep 0.01
    [ $((tries += 1)) -le 2000 ] || break
  done
}

# heeding RANKS: all of them have handlers for USR1. Before that it ends them, as it ends any program.
heeding()
{
  local rank mask
  for ((rank = 0; rank < $1; rank++)); do
    mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$(cat "../pid.$rank" 2>/dev/null)/status" 2>/dev/null)
    (((16#${mask:-0} & 0x200) != 0)) || return 1
  done
}

# end: waits for it; sets $status.
end()
{
  status=0
  wait $job || status=$?
}

on()
{
  begin "$@"
  end
}

# rows_done: by the checkpoint, 0 without one.
rows_done()
{
  sed -n 's/.*"rows": \([0-9][0-9]*\),*/\1/p' out.npy.progress.json 2>/dev/null | grep . || echo 0
}

# hurt SIGNAL WHOM: sends a signal to the launcher or a rank, at some moment before the work is done.
hurt()
{
  local goal tries=0
  goal=$(($(rows_done) + RANDOM % (tokens / 4)))
  until [ "$(rows_done)" -ge "$goal" ] || ! kill -0 $job 2>/dev/null; do
    [ $((tries += 1)) -le 2000 ] || break
  done
  kill -"$1" "$(cat "../pid.$2")" 2>/dev/null
}

# compare NAME TOLERANCE: NAME.npy with what a run that was left alone makes of it.
compare()
{
  "$precis" check "$1.npy" "../$right.$1.npy" --tol "$2" --quiet >../checked 2>&1 || complain "another $1: $(cat ../checked)"
}

# proved: all outputs, of summaries, are within the tolerance: that is in units of the values' range, which is larger than that of
# outputs. Those of lse are narrow, so that there is little to compare.
proved()
{
  "$precis" check --input ../in.safetensors --out out.npy --rows 500 --tol 1e-2 --quiet >../checked 2>&1 ||
    complain "beyond the tolerance: $(cat ../checked)"
}

# judge: the outputs are there, nothing else is, and they are right.
judge()
{
  [ "$status" = 0 ] || complain "status $status at the end"
  [ "$(ls)" = "lse.npy
out.npy" ] || complain "other files than the outputs: $(ls)"
  compare out "$near"
  compare lse "$near_lse"
  [ "$right" != summaries ] || proved
  rm -f ./*
}

# interrupted SIGNAL WHOM RANKS: starts or goes on, and is told to stop. Returns 1 if it was done before.
interrupted()
{
  what="${options[*]}, $3 ranks, $1 to $2"
  begin "$3" "${every[@]}"
  hurt "$1" "$2"
  end
  if [ $status = 0 ]; then
    too_late=$((too_late + 1))
    return 1
  fi
  if [ "$1" = KILL ]; then
    # It may have died with outputs in place.
    if [ $input = in ]; then
      [ ! -e lse.npy ] || compare lse "$near_lse"
      [ ! -e out.npy ] || compare out "$near"
    fi
    kills=$((kills + 1))
    # Of what was being written when it died nobody knows any more.
    rm -f out.npy.progress.json.*.part
    [ -e out.npy.progress.json ] || rm -f ./*.part
    return
  fi
  stops=$((stops + 1))
  if [ -e out.npy ] || [ -e lse.npy ]; then
    complain "outputs of a run that is not done"
  fi
  [ $status = 75 ] || complain "status $status, not 75"
  [ "$(grep -c '^precis: ' ../err)" = 1 ] || complain "not exactly one line of message"
  grep -q "^precis: interrupted by SIG$1 after $(rows_done) of $tokens queries; the same command resumes\$" ../err ||
    complain "the message does not say so"
}

# whole: interrupted time and again, in all ways, with all numbers of ranks.
whole()
{
  local ranks=(1 2 3 5) n=$((RANDOM % 4)) done=false step
  for step in USR1:launcher KILL:0 TERM:0 USR1:0; do
    if ! interrupted "${step%:*}" "${step#*:}" "${ranks[$((n++ % 4))]}"; then
      done=true
      break
    fi
  done
  if ! $done; then
    what="${options[*]}, resumed"
    on "${ranks[$((n % 4))]}"
  fi
  judge
}

echo "resume.sh: seed $seed"
"$precis" gen --tokens $tokens --heads 4 --kv-heads 2 --dim 16 --kind gauss --spread 0.1 -o ../in.safetensors --quiet || exit 1

# alone NAME OPTION...: what is right.
alone()
{
  local name=$1
  shift
  options=("$@")
  on 2
  what="uninterrupted ${options[*]}"
  [ $status = 0 ] || complain "status $status"
  mv out.npy "../$name.out.npy"
  mv lse.npy "../$name.lse.npy"
}
alone exact --exact
alone causal --exact --causal
alone summaries --tol 1e-2

for ((round = 0; round < ${PRECIS_RESUME_ROUNDS-1}; round++)); do
  # Rounding. The range of lse is little where every query sees all keys.
  right=exact near=1e-5 near_lse=1e-3 options=(--exact)
  whole
  right=causal options=(--exact --causal)
  whole
  right=causal near=1e-2 near_lse=1e-2 options=(--tol 1e-2 --causal)
  whole
  # Rows are measured whoever computed them.
  right=summaries near=0.5 near_lse=3 options=(--tol 1e-2 --verify 30)
  whole
done

# unit FROM TO [OPTION...]: queries that are FROM times as long at the beginning and TO times at the end, so that what batches rely
# on is not what all rows are worth. In batches, interrupted and not, every row keeps the tolerance as it is defined for all rows.
unit()
{
  local step ranks=(1 2 3 5) n=$((RANDOM % 4)) rows=("$here/rows.py" judge ../scaled.safetensors ../scaled.npy out.npy bounds.npy 1e-2)
  python3 "$here/rows.py" scale ../in.safetensors ../scaled.safetensors "$1" "$2" || exit 1
  shift 2
  input=scaled
  [ $# = 0 ] || rows+=(causal)
  "$precis" run --input ../scaled.safetensors --exact --out ../scaled.npy --quiet "$@" </dev/null || exit 1
  for step in 0 1; do
    options=(--tol 1e-2 --bounds bounds.npy "$@")
    what="${options[*]}, in batches, interrupted $step"
    if [ $step = 1 ]; then
      for step in USR1:0 KILL:0; do
        interrupted "${step%:*}" "${step#*:}" "${ranks[$((n++ % 4))]}" || break
      done
    fi
    on "${ranks[$((n++ % 4))]}" "${every[@]}" --json ../unit.json
    [ $status = 0 ] || complain "status $status"
    python3 "${rows[@]}" >../out 2>../err || complain "rows beyond the tolerance"
    rm -f ./*
  done
  input=in
}
if command -v python3 >/dev/null && [ -z "${ASAN_OPTIONS-}" ]; then
  unit 4 0.1
  grep -q '"again": [1-9]' ../unit.json || complain "no batch relied on more than there is"
  unit 0.1 4
  unit 2 0.1 --causal
fi
right=exact near=1e-5 near_lse=1e-3

# stopped: leaves what a run leaves that was told to stop.
stopped()
{
  rm -f ./*
  until interrupted USR1 0 2; do
    rm -f ./*
  done
}

# refuses TEXT [OPTION...]: the run does not begin, says why, and leaves all as it was.
refuses()
{
  local text=$1 before
  shift
  before=$(cksum ./*)
  on 2 "$@"
  [ $status = 2 ] || complain "status $status, not 2, with $*"
  grep '^precis: ' ../err | grep -qF -e "$text" || complain "the message does not say '$text'"
  grep '^precis: ' ../err | grep -q -e '--restart' || complain "the message does not say what to do"
  [ "$(cksum ./*)" = "$before" ] || complain "files have changed with $*"
}

right=exact near=1e-5 near_lse=1e-3 options=(--exact)
stopped
what="another run than the one that was interrupted"
refuses "--causal was not given and is given" --causal
refuses "--scale was 0.25 and is 0.5" --scale 0.5
refuses "--move was auto and is tiles" --move tiles
refuses "k was " --k-name v
touch ../in.safetensors
refuses "q was "
cp out.npy.progress.json ../kept.json
head -c 100 ../kept.json >out.npy.progress.json
refuses "out.npy.progress.json: line "
: >out.npy.progress.json
refuses "it is empty"
sed 's|"out": "|"out": "../|' ../kept.json >out.npy.progress.json
refuses "--restart"
cp ../kept.json out.npy.progress.json
what="start over"
on 3 --restart --json ../report.json
grep -q '"resumed_rows": 0' ../report.json || complain "rows were resumed"
judge

what="the report of a resumed run"
stopped
rows=$(rows_done)
on 3 "${every[@]}" --json ../report.json --verify 20
grep -q "\"resumed_rows\": $rows" ../report.json || complain "not $rows rows were resumed"
grep -q "\"queries\": $tokens," ../report.json || complain "not all queries in the report"
grep -q "\"count\": $(((tokens - rows + batch - 1) / batch))," ../report.json || complain "another number of batches"
judge

what="a part that is gone"
stopped
rm -f lse.npy.*.part
on 2
grep -q 'starts over' ../err || complain "starting over is kept secret"
judge

# Batches are for seconds, too, by rates that say this takes several; and without --out a signal ends a run as ever.
what="batches by the clock"
on 2 --checkpoint-every 0.5 --json ../report.json
# Of the fewer tokens with sanitizers it does not take several.
[ -n "${ASAN_OPTIONS-}" ] || ! grep -q '"count": 1,' ../report.json || complain "not several batches: $(grep '"count"' ../report.json)"
judge
what="TERM without --out"
timeout -k 2 "$limit" "$precis" run --input ../in.safetensors --batch-rows 1 </dev/null >../out 2>../err &
job=$!
sleep 0.3
kill "$job"
end
[ $status = 143 ] || [ $status = 124 ] || complain "status $status, not 143"

echo "resume.sh: $stops interruptions, $kills kills, $too_late runs done before"
if [ $((stops + kills)) -lt 12 ]; then
  echo "resume.sh: FAILED: too many runs were done before they were interrupted" >&2
  exit 1
fi
[ $failures -eq 0 ] || exit 1
echo "resume.sh: all good, in $SECONDS s"
