#!/bin/bash
# slurm.sh - job scripts and studies in a real Slurm: states, outputs, arrays, requeues after signals and a node's death
#
# SPDX-License-Identifier: BSD-3-Clause
#
# Needs what tests/slurm needs; skipped elsewhere. Jobs are small, and as many at once as the four nodes hold.

here=$(cd "$(dirname "$0")" && pwd)
top=${top_srcdir-$here/..}
top=$(cd "$top" && pwd)
if [ -z "${SLURM_TEST_FOLDER-}" ]; then
  if [ -n "${ASAN_OPTIONS-}" ]; then
    echo "skipped: the scripts are the same without sanitizers"
    exit 77
  fi
  if ! command -v python3 >/dev/null; then
    echo "skipped: python3 was not found, which studies are made with"
    exit 77
  fi
  exec bash "$top/tests/slurm" -n 4 bash "$0" "$@"
fi

PRECIS=${PRECIS-${top_builddir-.}/precis}
PRECIS=$(cd "$(dirname "$PRECIS")" && pwd)/precis
export PRECIS PRECIS_HOME="$top" OMP_WAIT_POLICY=passive
# All four nodes are this machine.
# shellcheck source=jobs/one-machine.sh
. "$top/jobs/one-machine.sh"
# What shapes a scaling job: small.
export TOKENS=512 HEADS=1 DIMS=8 REPEATS=2 ROOFS=no
cd "$SLURM_TEST_FOLDER" && mkdir work && cd work || exit 1
failures=0

complain()
{
  echo "slurm.sh: FAILED: $*" >&2
  failures=$((failures + 1))
}

# submit [SBATCH-OPTION...] SCRIPT [ARGUMENT...]: sets $job.
submit()
{
  job=$(sbatch --parsable "$@") || complain "sbatch $*"
}

state()
{
  scontrol -o show job "$1" 2>/dev/null | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p' | sort -u | tr '\n' ' '
}

# A job that queues again waits two minutes. Less will do, but not none: what started in the second in which its credential was
# revoked would be revoked as well.
hurried=' '
hurry()
{
  case $hurried in *" $1 "*) return ;; esac
  if scontrol -o show job "$1" 2>/dev/null | grep -q 'JobState=PENDING .*Restarts=[1-9]'; then
    scontrol update JobId="$1" StartTime=now+2 && hurried="$hurried$1 "
  fi
}

# until_ SECONDS TEXT COMMAND...: waits until the command succeeds, or complains.
until_()
{
  local end=$((SECONDS + $1)) text=$2
  shift 2
  until "$@"; do
    if [ $SECONDS -ge $end ]; then
      complain "$text"
      return 1
    fi
    sleep 0.2
  done
}

ended()
{
  case $(state "$1") in
    *PENDING* | *RUNNING* | *COMPLETING* | *REQUEUED* | *CONFIGURING*) hurry "$1"; false ;;
  esac
}

# completes NAME ID: waits for a job, which must be done with status 0; shows its output otherwise.
completes()
{
  until_ 120 "$1: job $2 does not end: $(state "$2")" ended "$2"
  if [ "$(state "$2")" != "COMPLETED " ]; then
    complain "$1: job $2 is $(state "$2")"
    cat ./*-"$2".out >&2
  fi
}

# says ID TEXT: in the job's output.
says()
{
  grep -qe "$2" ./*-"$1".out || complain "job $1 does not say '$2': $(tail -n 3 ./*-"$1".out)"
}

# rows FOLDER NUMBER: of the table, that are done.
rows()
{
  [ "$(grep -c ',done,' "$1/table.csv")" = "$2" ] || complain "$1: not $2 rows are done: $(cat "$1/table.csv")"
}

echo "slurm.sh: one attention with srun, one with mpirun, three in an array"
for number in 0 1 2; do
  "$PRECIS" gen --tokens $((300 + number)) --heads 2 --dim 8 --kind gauss --quiet -o part-$number.safetensors
done
submit "$top/jobs/slurm/attention.sbatch"
with_srun=$job
LAUNCHER=mpirun submit "$top/jobs/slurm/attention.sbatch"
with_mpirun=$job
INPUT=part-%a.safetensors OUT=out-%a.npy REPORT=array-%a.json OPTIONS='--tol 1e-2' \
  submit --array=0-2 --nodes=1 "$top/jobs/slurm/attention.sbatch"
array=$job

for job in "$with_srun" "$with_mpirun"; do
  completes "attention" "$job"
  says "$job" "commit"
  says "$job" "promise"
  grep -q '"ranks": 2' "precis-$job.json" || complain "no report of two ranks by job $job"
done
says "$with_srun" "cpu-bind"
says "$with_mpirun" "bound to"
completes "array" "$array"
for number in 0 1 2; do
  "$PRECIS" check --input part-$number.safetensors --out out-$number.npy --tol 1e-2 >/dev/null ||
    complain "element $number of the array"
  grep -q "\"queries\": $((300 + number))," array-$number.json || complain "report $number of the array"
done

echo "slurm.sh: strong and weak scaling"
submit --nodes=2 "$top/jobs/slurm/strong.sbatch"
strong=$job
LAUNCHER=mpirun submit --nodes=2 "$top/jobs/slurm/weak-tokens.sbatch"
weak=$job
completes "strong" "$strong"
completes "weak-tokens" "$weak"
rows precis-strong-results 4
rows precis-weak-tokens-results 4
grep -q '^weak-tokens,weak-tokens,2,2,1,[0-9]*,1024,512,.*several-nodes' precis-weak-tokens-results/table.csv ||
  complain "weak-tokens: no point of 1024 tokens on two nodes"

echo "slurm.sh: a program that can resume"
cat >resumes <<'END'
#!/bin/bash
# Stands for precis: interrupted by USR1, done when started again.
[ "$1" = run ] || exec echo "resumes 1"
[ "${SLURM_RESTART_COUNT:-0}" = 0 ] || exec echo "resumed"
trap 'exit 75' USR1
echo "works"
while true; do sleep 0.1; done
END
chmod +x resumes
resuming=''
for launcher in srun mpirun; do
  LAUNCHER=$launcher PRECIS=$PWD/resumes submit "$top/jobs/slurm/attention.sbatch"
  resuming="$resuming $job"
done
# ready ID: both ranks are at work.
ready()
{
  [ "$(grep -cx works "precis-$1.out" 2>/dev/null)" = 2 ]
}
for job in $resuming; do
  until_ 60 "job $job does not start" ready "$job"
  scancel --batch --signal=USR1 "$job"
done
for job in $resuming; do
  completes "resuming" "$job"
  says "$job" "exit status 75"
  says "$job" "start number 2"
  [ "$(grep -cx resumed "precis-$job.out")" = 2 ] || complain "job $job does not resume: $(cat "precis-$job.out")"
done

echo "slurm.sh: an attention that is interrupted goes on where it was"
"$PRECIS" gen --tokens 12k --heads 4 --dim 32 --kind gauss --quiet -o long.safetensors
interrupted=''
for launcher in srun mpirun; do
  LAUNCHER=$launcher INPUT=long.safetensors OUT=long-$launcher.npy OPTIONS='--batch-rows 100 --checkpoint-every 0.01 --verify 9' \
    submit --nodes=2 "$top/jobs/slurm/attention.sbatch"
  interrupted="$interrupted $job"
  until_ 60 "job $job makes no checkpoint" test -e long-$launcher.npy.progress.json
  [ ! -e long-$launcher.npy ] || complain "job $job has its output already"
  scancel --batch --signal=USR1 "$job"
done
for job in $interrupted; do
  completes "interrupted" "$job"
  says "$job" "precis: interrupted by SIGUSR1 after"
  says "$job" "exit status 75"
  says "$job" "start number 2"
  says "$job" "done before, by a run that was interrupted"
done
"$PRECIS" run --input long.safetensors --out long.npy --quiet || complain "not interrupted"
for launcher in srun mpirun; do
  "$PRECIS" check long-$launcher.npy long.npy --tol 1e-5 --quiet || complain "another output with $launcher"
done
[ -z "$(find . -name 'long*.part' -o -name 'long*.progress.json')" ] || complain "something was left: $(ls)"

echo "slurm.sh: a signal before the time limit, and a node that dies"
REPEATS=3 submit --nodes=2 --exclude=n1,n2 "$top/jobs/slurm/weak-work.sbatch"
signalled=$job
REPEATS=3 OUTPUT=dying submit --nodes=2 --exclude=n3,n4 "$top/jobs/slurm/strong.sbatch"
dying=$job
# kept FOLDER: something in it is finished.
kept()
{
  [ -n "$(find "$1/raw" -name '*.json' 2>/dev/null)" ]
}
until_ 60 "no point of weak-work is done" kept precis-weak-work-results
scancel --batch --signal=USR1 "$signalled"
until_ 60 "no point of the dying job is done" kept dying
for process in /proc/[0-9]*; do
  if [ "$(readlink "$process/ns/mnt" 2>/dev/null)" = "$(cat ../n2.space)" ]; then
    kill -9 "${process#/proc/}"
  fi
done
scontrol update nodename=n2 state=down reason=test
scontrol update JobId="$dying" ExcNodeList= 2>/dev/null
completes "weak-work" "$signalled"
says "$signalled" "signal USR1, passed on"
says "$signalled" "exit status 75"
says "$signalled" "start number 2"
says "$signalled" "kept from before"
rows precis-weak-work-results 6
completes "dying" "$dying"
says "$dying" "start number 2"
says "$dying" "kept from before"
rows dying 6

echo "slurm.sh: a study as jobs that wait for each other"
cat >small.ini <<'END'
[study]
title = small
repeats = 1
roofs = no
ranks_per_node = 1

[strong]
ranks = 1 2
tokens = 512
heads = 1
dims = 8
tol = exact 1e-2
END
"$top/jobs/study" --submit small.ini >submitted || complain "jobs/study --submit: $(cat submitted)"
last=$(sed -n '$s/.*job \([0-9]*\):.*/\1/p' submitted)
[ "$(grep -c 'job [0-9]*:' submitted)" = 4 ] || complain "not four jobs: $(cat submitted)"
completes "the table of a study" "${last:-0}"
rows small 4

if [ "$failures" -gt 0 ]; then
  echo "slurm.sh: $failures checks failed" >&2
  exit 1
fi
echo "slurm.sh: all good, in $SECONDS s"
