#!/bin/bash
# faults.sh - ranks that die or stall, hosts that lose their network: the job ends in time and says where
#
# SPDX-License-Identifier: BSD-3-Clause
#
# A random rank is killed (KILL) or stopped (STOP) at a random moment of `precis run --timeout`, with 2, 4 and 7 ranks and every
# move. Then the job ends within its time and some seconds, with an exit status other than 0 and a message that names a rank,
# no process remains, and no output but a complete and right one. The same where the link of an emulated host goes down (as root).
# PRECIS_FAULT_ROUNDS (default 1) repeats it, PRECIS_FAULT_SEED takes other moments.

[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
set -u
here=$(cd "$(dirname "$0")" && pwd)
export top_srcdir=${top_srcdir-$here/..} top_builddir=${top_builddir-$here/../build}
# shellcheck source=jobs/one-machine.sh
. "$top_srcdir/jobs/one-machine.sh"
precis=$top_builddir/precis
cluster=$here/cluster
failures=0 rounds_done=0 too_late=0
give_up=2 # --timeout; more where a move is slow
slack=9   # seconds that the job may take to end after that, on a busy machine
seed=${PRECIS_FAULT_SEED-$$}
RANDOM=$seed
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive

if [ -z "${MPIEXEC-}" ]; then
  echo "faults.sh: skipped: configure found no mpiexec or mpirun"
  exit 77
fi
folder=$(mktemp -d) || exit 1
name=
finish()
{
  [ -z "$name" ] || "$cluster" down "$name"
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP
cd "$folder" || exit 1

complain()
{
  echo "faults.sh: FAILED: $what: $*" >&2
  sed 's/^/    /' err >&2
  failures=$((failures + 1))
}

# Each rank leaves its process number and becomes the program.
cat >rank.sh <<'END'
echo $$ >"$1/pid.${OMPI_COMM_WORLD_RANK-${PMI_RANK-$$}}"
shift
exec "$@"
END

# What only they have on their command line.
echo "$folder/in.safetensors" >mark

# options MOVE: of precis run.
options()
{
  echo --move "$1"
  [ "$1" != summaries ] || echo --tol 1e-2 --tol-of range --degree 5
}

# begin RANKS LAUNCHER...: starts a job in the background and waits until its ranks are there.
begin()
{
  local ranks=$1 tries=0
  shift
  rm -f pid.* out.npy* err
  give_up=${patience[$move]}
  started=$EPOCHREALTIME
  # shellcheck disable=SC2046
  timeout -k 2 $((give_up + slack + 3)) "$@" sh "$folder/rank.sh" "$folder" "$precis" run --input "$folder/in.safetensors" \
    --out "$folder/out.npy" $(options "$move") --quiet --timeout "$give_up" </dev/null >out 2>err &
  job=$!
  until [ "$(find . -name 'pid.*' -size +0 | wc -l)" -ge "$ranks" ] || ! kill -0 $job 2>/dev/null; do
    sleep 0.02
    [ $((tries += 1)) -le 500 ] || break
  done
}

seconds_since()
{
  awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'
}

# A random moment of a normal run, in seconds. Before the program has begun, what becomes of a job is the launcher's own affair.
moment()
{
  awk -v r="$RANDOM" -v most="${normal[$move]}" 'BEGIN { printf "%.3f", 0.05 + r / 32768 * 0.7 * most }'
}

# Processes that still work on the job; those that are dead and forgotten have no command line.
dwellers()
{
  grep -lzFf "$folder/mark" /proc/[0-9]*/cmdline 2>/dev/null | sed 's|^/proc/||; s|/cmdline$||'
}

# judge NAMES: whatever was done to the job, it ends as it should, and its messages say who.
judge()
{
  local names=$1 status took pid
  wait $job
  status=$?
  took=$(seconds_since "$started")
  rounds_done=$((rounds_done + 1))
  # Daemons on other hosts end theirs when they hear of it.
  for _ in $(seq 20); do
    sleep 0.1
    [ -n "$(dwellers)" ] || break
  done
  for pid in $(dwellers); do
    complain "process $pid remains"
    kill -KILL "$pid"
  done
  awk "BEGIN { exit !($took <= $give_up + $slack) }" || complain "took $took s"
  if [ -e out.npy ] && ! "$precis" check out.npy "want.$move.npy" --tol 1e-4 >/dev/null; then
    complain "left a wrong output"
  fi
  if [ $status -eq 0 ]; then
    too_late=$((too_late + 1))
    [ -e out.npy ] || complain "exit status 0 without output"
  else
    grep -qE "$names" err || complain "the messages do not name it"
  fi
  echo "faults.sh: $what: status $status after $took s: $(grep -oE 'precis: .*|process rank .*' err | head -n 1)"
}

# hurt RANKS SIGNAL: one rank, at some moment.
hurt()
{
  local ranks=$1 signal=$2 victim at
  victim=$((RANDOM % ranks))
  at=$(moment)
  what="$move, $ranks ranks, $signal of rank $victim after $at s"
  # shellcheck disable=SC2086
  begin "$ranks" $MPIEXEC ${MPIEXEC_FLAGS-} -n "$ranks"
  sleep "$at"
  kill -"$signal" "$(cat "pid.$victim")" 2>/dev/null
  judge "rank $victim( |:|,|\$)"
}

echo "faults.sh: seed $seed"
declare -A normal patience
# Fewer tokens where the machine is slow.
for tokens in 16k 8k; do
  "$precis" gen --tokens $tokens --heads 4 --dim 16 --kind gauss --spread 0.1 -o in.safetensors --quiet || exit 1
  for move in tiles heads queries summaries; do
    started=$EPOCHREALTIME
    # shellcheck disable=SC2046
    "$precis" run --input in.safetensors --out want.$move.npy $(options $move) --quiet || exit 1
    normal[$move]=$(seconds_since "$started")
    patience[$move]=$(awk -v a="$give_up" -v b="${normal[$move]}" 'BEGIN { print int(2 * b < a - 1 ? a : 2 * b + 2) }')
  done
  awk -v a="${normal[tiles]}" 'BEGIN { exit !(a < 2) }' && break
done

for ((round = 0; round < ${PRECIS_FAULT_ROUNDS-1}; round++)); do
  for ranks in 2 4 7; do
    for move in tiles heads queries summaries; do
      for signal in KILL STOP; do
        hurt "$ranks" $signal
      done
    done
  done
done

# A link that goes down before anything was computed is never made up for.
name=$("$cluster" up --owner $$ --hosts 3 --rate 200 --share "$folder")
case $? in
  0)
    for move in tiles heads; do
      host=$((RANDOM % 3 + 1))
      what="$move, 3 hosts, link of host $host down"
      begin 3 "$cluster" run "$name" 1
      sleep "$(awk -v r="$RANDOM" 'BEGIN { printf "%.3f", r / 32768 * 0.3 }')"
      "$cluster" link "$name" $host down
      # While it starts and connections are made, MPI itself says which hosts.
      judge 'precis: .*rank [0-9]|from [^ ]+ to: [^ ]+ Unable to connect|Local host: +[^ ]'
      "$cluster" link "$name" $host up
    done
    ;;
  77) echo "faults.sh: no test of links" ;;
  *) failures=$((failures + 1)) ;;
esac

echo "faults.sh: $rounds_done jobs, $too_late of them done before they were hurt"
if [ $too_late -gt $((rounds_done / 2)) ]; then
  echo "faults.sh: FAILED: too many jobs were done before they were hurt" >&2
  exit 1
fi
[ $failures -eq 0 ] || exit 1
echo "faults.sh: all good"
