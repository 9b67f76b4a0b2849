#!/bin/sh
# alone.sh - what one process does works where MPI cannot start
#
# SPDX-License-Identifier: BSD-3-Clause
#
# Commands that need no MPI are run with tests/noinit.c loaded, which ends whoever starts it; the others in the environment of an
# interactive step of Slurm, in which Open MPI takes itself for launched and dies.

here=$(cd "$(dirname "$0")" && pwd)
top=${top_builddir:-build}
case $top in /*) ;; *) top=$PWD/$top ;; esac
precis=$top/precis shim=$top/tests/.libs/noinit.so
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
limit=$((120 * $(sh "$here/pace")))
unset OMPI_COMM_WORLD_RANK PMIX_RANK PMI_RANK
[ -f "$shim" ] || { echo "FAILED: there is no $shim"; exit 1; }

fail() { echo "FAILED: $*"; cat said; exit 1; }

# is STATUS COMMAND...
is()
{
  wanted=$1
  shift
  timeout -k 5 "$limit" "$@" </dev/null >said 2>&1
  got=$?
  [ $got = "$wanted" ] || fail "exit status $got, not $wanted: $*"
}
# without STATUS ARGUMENT...: no MPI, by itself and in a step of Slurm.
without()
{
  wanted=$1
  shift
  # Sanitizers want to come first.
  is "$wanted" env LD_PRELOAD="$shim" ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0" "$precis" "$@"
  is "$wanted" env SLURM_JOB_ID=7 SLURM_JOBID=7 SLURM_NODELIST=n1 SLURM_STEP_ID=0 SLURM_PROCID=0 "$precis" "$@"
}

without 0 --version
without 0 help
without 0 help run
without 0 plan --help
without 2 nonsense
without 2 run --tol rubbish
without 0 plan --tokens 100000 --heads 8 --dim 64 --ranks 64 --tol .1 --timeout 60
without 0 gen --kind gauss --tokens 300 --heads 2 --dim 8 -o in.safetensors
without 0 plan --input in.safetensors --ranks 4
without 1 remote list --url http://127.0.0.1:1
without 2 check --input missing.safetensors --out out.npy

# The others fall back to one rank.
step() { is "$1" env SLURM_JOB_ID=7 SLURM_JOBID=7 SLURM_NODELIST=n1 SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS="$2" "$precis" "$3" $4; }
step 0 1 run "--input in.safetensors --out out.npy"
step 0 1 topo ''
# What several tasks without each other would do is nothing good.
step 1 4 run "--input in.safetensors --out out.npy"
grep -q 'Slurm started 4 tasks that cannot find each other.*srun --mpi=pmix' said || fail "it is not explained"
[ "$(wc -l <said)" = 1 ] || fail "more than one line"

without 0 check out.npy out.npy
without 0 check --input in.safetensors --out out.npy
without 3 check --input in.safetensors --out out.npy --tol 1e-30

# A rank of several speaks for all.
if [ -n "$MPIEXEC" ]; then
  for arguments in --version "plan --tokens 1000 --heads 2 --dim 8 --ranks 2" "gen --kind gauss --tokens 30 --heads 2 --dim 8 -o g.npz"; do
    # shellcheck disable=SC2086
    timeout -k 5 120 $MPIEXEC $MPIEXEC_FLAGS -n 3 "$precis" $arguments </dev/null >said 2>&1
    [ "$(grep -c '^precis \|^problem\|^precis:' said)" = 1 ] || fail "three ranks say: $arguments"
  done
fi
# What MPI does as it ends changes no exit status. Sanitizers have to speak up instead.
case ${ASAN_OPTIONS-} in
  '')
    for how in call thread abort exit; do
      for wanted in 0 2; do
        input=in.safetensors
        [ $wanted = 0 ] || input=missing.safetensors
        is $wanted env LD_PRELOAD="$top/tests/.libs/badend.so" BADEND=$how "$precis" run --input $input --out ended.npy
        [ $wanted = 0 ] || [ "$(wc -l <said)" = 1 ] || fail "more than one line: $how"
      done
      is 2 env LD_PRELOAD="$top/tests/.libs/badend.so" BADEND=$how "$precis" run --input in.safetensors --scale 0x
    done
    ;;
esac

# A launcher that stays when its ranks are gone, which had not come out of MPI_Init(), as mpiexec did once: --timeout ends it, too.
mkdir fake
cat >fake/mpirun <<'END'
#!/bin/sh
env OMPI_COMM_WORLD_RANK=0 "$@" &
wait
while :; do sleep 1; done
END
chmod +x fake/mpirun
: >said
LD_PRELOAD='' timeout -k 5 60 fake/mpirun env LD_PRELOAD="$shim" ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0" "$precis" run \
  --input nothing.safetensors --timeout 1 </dev/null >>said 2>&1
got=$?
grep -q 'noinit: MPI was started' said || fail "the fake launcher's rank did not come to MPI_Init()"
[ $got = 143 ] || [ $got = 137 ] || fail "a launcher that stays: exit status $got"
grep -q '^precis: mpirun (process [0-9]*) does not end though it is out of time (--timeout): killed' said || fail "it is not said"
echo "passed: commands that need no MPI start none, others explain or go on with one rank"
