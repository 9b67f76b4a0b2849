#!/bin/sh
# room.sh - precis where /dev/shm is small, full or cannot be written, as in containers
#
# SPDX-License-Identifier: BSD-3-Clause
#
# Each case has a mount namespace of its own with a tmpfs at /dev/shm. Results are right; nothing hangs; reports,
# plans and "precis topo" say that messages went in place of shared memory, and no input file is blamed. MPI's own complaints
# about its own files there are none of ours.

here=$(cd "$(dirname "$0")" && pwd)
precis=${top_builddir:-build}/precis
[ -n "$MPIEXEC" ] || { echo "skipped: there is no mpiexec"; exit 77; }
unshare -m true 2>/dev/null || { echo "skipped: no rights to make a mount namespace"; exit 77; }
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
case $precis in /*) ;; *) precis=$OLDPWD/$precis ;; esac
export precis OMP_NUM_THREADS=1
pace=$(sh "$here/pace") || exit 1

fail() { echo "FAILED: $*"; cat said 2>/dev/null; exit 1; }

# with SIZE COMMAND...: SIZE of a tmpfs, full or readonly.
cat >with <<'END'
#!/bin/sh
size=$1
shift
case $size in
  full | readonly) mount -t tmpfs -o size=16m none /dev/shm ;;
  *) mount -t tmpfs -o "size=$size" none /dev/shm ;;
esac || exit 99
[ "$size" != full ] || head -c 17000000 /dev/zero >/dev/shm/filler 2>/dev/null
[ "$size" != readonly ] || mount -o remount,ro /dev/shm
"$@"
status=$?
if ls /dev/shm/precis-* >/dev/null 2>&1; then
  echo "something was left in /dev/shm"
  exit 98
fi
exit $status
END
chmod +x with

# run SIZE RANKS ARGUMENT...
run()
{
  size=$1 np=$2
  shift 2
  # shellcheck disable=SC2086
  timeout -k 5 "$((${TEST_TIMEOUT:-120} * pace))" unshare -m ./with "$size" $MPIEXEC $MPIEXEC_FLAGS -n "$np" "$precis" "$@" \
    </dev/null >said 2>&1
}

"$precis" gen --kind gauss --spread .1 --tokens 4000 --heads 8 --dim 64 -o in.safetensors >said 2>&1 || fail gen

# 2 parcels of 8 MB a rank, or tiles of a summary.
for size in 1m 16m 64m full readonly; do
  for np in 2 4; do
    for move in tiles heads queries summaries; do
      tol=0
      [ $move = summaries ] && tol=.05
      rm -f out.npy
      run $size $np run --input in.safetensors --move $move --tol $tol --tol-of range --out out.npy --json report.json
      status=$?
      [ $status = 0 ] || fail "$size, $np ranks, $move: exit status $status"
      "$precis" check --input in.safetensors --out out.npy --tol .05 --tol-of range --rows 32 >said 2>&1 || fail "$size, $np ranks, $move: wrong"
      case $move:$size in
        tiles:1m | tiles:16m | tiles:full | tiles:readonly | summaries:full | summaries:readonly)
          grep -q 'by messages inside nodes, as /dev/shm has' report.json || fail "$size, $np ranks, $move: not said" ;;
        *:64m | heads:* | queries:*)
          ! grep -q 'by messages inside nodes' report.json || fail "$size, $np ranks, $move: by messages though there was room" ;;
      esac
    done
  done
done

run 16m 2 topo || fail topo
grep -q 'memory that ranks share: /dev/shm, 1[0-9.]* MiB free' said || fail "topo does not say how much there is"
grep -q 'warning: .*/dev/shm has .* MB free for 2 ranks to share' said || fail "topo does not warn"
run readonly 2 topo --json - || fail topo
grep -q '"shared_memory_bytes": 0' said || fail "topo: read-only is not none"

# On paper.
paper="plan --tokens 20000 --heads 8 --dim 64 --ranks 4 --ranks-per-node 2 --move tiles --schedule 0"
# shellcheck disable=SC2086
"$precis" $paper --shared-memory 64M >said 2>&1 || fail "$paper"
grep -q 'by messages inside nodes, as they have 64 MB to share' said || fail "the plan on paper does not say so"
grep -q 'send.* node ' said || fail "the schedule on paper has no messages inside nodes"
# shellcheck disable=SC2086
"$precis" $paper --shared-memory 1G >said 2>&1 || fail "$paper"
! grep -q 'by messages' said || fail "the plan on paper goes by messages though there is room"

echo "passed: results are right in every /dev/shm, and reports, plans and topo say what went by messages"
