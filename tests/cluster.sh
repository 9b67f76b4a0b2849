#!/bin/bash
# cluster.sh - moves between emulated hosts: results, bytes on the wire, a delayed network
#
# SPDX-License-Identifier: BSD-3-Clause
#
# The results of 4 hosts with 1 and with 2 ranks each equal those of one process, and the bytes that the report says went over
# the network are those that the hosts' interfaces counted. With 2 ranks a host, what the network carries is compared with the
# same moves where every rank keeps to itself, by the interfaces' counters. Skipped without root.

[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"
set -u
here=$(cd "$(dirname "$0")" && pwd)
export top_srcdir=${top_srcdir-$here/..} top_builddir=${top_builddir-$here/../build}
# shellcheck source=jobs/one-machine.sh
. "$top_srcdir/jobs/one-machine.sh"
cluster=$here/cluster
precis=$top_builddir/precis
failures=0
export OMP_NUM_THREADS=1

folder=$(mktemp -d) || exit 1
name=
finish()
{
  [ -z "$name" ] || "$cluster" down "$name"
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

complain()
{
  echo "cluster.sh: FAILED: $*" >&2
  failures=$((failures + 1))
}

# start OPTION...: the hosts.
start()
{
  name=$("$cluster" up --owner $$ --share "$folder" "$@")
  case $? in
    0) ;;
    77) exit 77 ;;
    *) exit 1 ;;
  esac
}

# The bytes that all hosts together have sent.
sent()
{
  "$cluster" counters "$name" | awk '{ for (i = 1; i < NF; i++) if ($i == "sent") sum += $(i + 1) } END { printf "%d", sum }'
}

# number PART KEY: its value in that part of the report.
number()
{
  sed -n "/^ *\"$1\": {/,/}/s/^ *\"$2\": \([^,]*\),\{0,1\}\$/\1/p" "$folder/report.json" | tail -n 1
}

# holds CONDITION: of numbers.
holds()
{
  awk "BEGIN { exit !($1) }" || complain "$what: $1 does not hold"
}

# attend RANKS OPTION...: on so many ranks of each host, with what is in launch before it.
launch=()
attend()
{
  timeout -k 5 40 "$cluster" run "$name" "$1" "${launch[@]}" "$precis" run --input "$folder/in.safetensors" --out "$folder/out.npy" \
    --json "$folder/report.json" --quiet --timeout 30 "${@:2}" </dev/null || complain "$what: exit status $?"
}

# alone FILE OPTION...: in one process, without a network.
alone()
{
  "$precis" run --input "$folder/in.safetensors" --out "$folder/$1" --quiet "${@:2}" ||
    complain "one process: exit status $?"
}

# agrees FILE: the results with those of one process. Sums in float32 in another order differ by some epsilons.
agrees()
{
  "$precis" check "$folder/out.npy" "$folder/$1" --tol 1e-4 >/dev/null || complain "$what: another result"
}

# counted: the report's bytes were on the wire. Headers take up to 4.6% more, what ranks agree on some KB.
counted()
{
  local moved
  moved=$(number moved network_bytes)
  wire=$(($(sent) - before))
  holds "$moved > 1e5 && $moved <= $wire && $wire <= 1.1 * $moved"
  holds "$moved == $(number predicted network_bytes)"
  echo "cluster.sh: $what: $moved bytes by the report, $wire on the wire"
}

start --hosts 4 --rate 1000
"$precis" gen --tokens 16k --queries 4k --heads 8 --kv-heads 4 --dim 16 --kind gauss --spread 0.1 --seed 5 \
  -o "$folder/in.safetensors" --quiet || exit 1

alone exact.npy
alone near.npy --tol 1e-2 --move summaries --degree 5

declare -A together
for ranks in 1 2; do
  for move in tiles heads queries summaries; do
    what="$move, 4 hosts x $ranks"
    options=(--move "$move") want=exact.npy
    # Of a degree at which what ranks agree on is little beside the sums.
    [ "$move" != summaries ] || options+=(--tol 1e-2 --tol-of range --degree 5) want=near.npy
    before=$(sent)
    attend $ranks "${options[@]}"
    agrees $want
    holds "$(number machine nodes) == 4 && $(number machine ranks) == 4 * $ranks"
    counted
    [ $ranks != 2 ] || together[$move]=$wire
  done
done

# The same 8 ranks as if each had a node of its own: what its host's memory could tell it goes by messages, too. In the order
# of ranks a ring crosses from host to host with one rank's parcels only, so that little can be saved; out of order, much.
apart()
{
  before=$(sent)
  attend 2 "${options[@]}"
  agrees "$want"
  wire=$(($(sent) - before))
  echo "cluster.sh: $what: ${together[$move]} bytes on the wire, $wire if ranks keep to themselves"
}
launch=(env PRECIS_NODES=0,1,2,3,4,5,6,7)
what="tiles, together or apart" move=tiles options=(--move tiles) want=exact.npy
apart
holds "${together[tiles]} <= .9 * $wire"
holds "${together[tiles]} <= 1.1 * 3 * 16000 * 4 * 32 * 4" # every host gets once what the others have
what="queries, together or apart" move=queries options=(--move queries)
apart
holds "${together[queries]} <= .7 * $wire"
what="summaries, together or apart" move=summaries options=(--move summaries --tol 1e-2 --tol-of range --degree 5) want=near.npy
apart
holds "${together[summaries]} <= .55 * $wire"
launch=()
"$cluster" down "$name"
name=

if [ -c /dev/net/tun ] && [ -x "$top_builddir/tests/switch" ]; then
  start --hosts 3 --rate 200 --delay 2000
  what="tiles, 3 hosts, 2 ms"
  before=$(sent)
  attend 1 --move tiles
  agrees exact.npy
  holds "$(number machine nodes) == 3"
  counted
else
  echo "cluster.sh: no test of delays: no /dev/net/tun or no tests/switch"
fi

[ $failures -eq 0 ] || exit 1
echo "cluster.sh: all good"
