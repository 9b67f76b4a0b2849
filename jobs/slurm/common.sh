# common.sh - sourced by the job scripts beside it: says where a job runs, passes signals on, requeues
#
# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# $PRECIS_HOME is the checkout; by default the folder from which sbatch was called.

PRECIS=${PRECIS:-$PRECIS_HOME/build/precis}
LAUNCHER=${LAUNCHER:-srun}
# Some sites set neither.
SLURM_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
OPENBLAS_NUM_THREADS=1 # Precis calls OpenBLAS from each of its own threads
export PRECIS_HOME PRECIS LAUNCHER SLURM_CPUS_PER_TASK SRUN_CPUS_PER_TASK OMP_NUM_THREADS OPENBLAS_NUM_THREADS

# Machine, versions and commit, for whoever reads the output in a year.
describe()
{
  local launcher
  launcher=$("$LAUNCHER" --version 2>&1 | head -n 1)
  echo "job: $SLURM_JOB_NAME $SLURM_JOB_ID, start number $((${SLURM_RESTART_COUNT:-0} + 1)), $(date -u +%FT%TZ)"
  echo "job: ${SLURM_JOB_NUM_NODES:-1} nodes ($SLURM_JOB_NODELIST), ${SLURM_NTASKS:-1} ranks of" \
    "$SLURM_CPUS_PER_TASK cores, launched by $LAUNCHER ($launcher)"
  echo "job: $(lscpu | sed -n 's/^Model name: *//p' | head -n 1), $(uname -sr)"
  echo "job: $("$PRECIS" --version 2>&1 | head -n 1)," \
    "commit $(git -C "$PRECIS_HOME" rev-parse --short HEAD 2>/dev/null || echo unknown)"
}

child='' caught=false
pass_on()
{
  caught=true
  echo "job: signal USR1, passed on"
  [ -z "$child" ] || kill -USR1 "$child"
}
# sbatch --signal=B:USR1@60 sends this 60 seconds before the time limit.
trap pass_on USR1

# run COMMAND [ARGUMENT...]: shows and runs it; sets $status. A trap interrupts wait, so wait again.
run()
{
  local got
  printf 'job:'
  printf ' %q' "$@"
  echo
  "$@" </dev/null &
  child=$!
  status=0
  while true; do
    caught=false
    got=0
    wait "$child" || got=$?
    [ "$got" = 127 ] || status=$got
    $caught || break
  done
  child=''
}

# finish: ends the job with $status. 75 says that the work can be resumed, so the job queues again.
finish()
{
  echo "job: exit status $status, $(date -u +%FT%TZ)"
  if [ "$status" = 75 ]; then
    if [ "${SLURM_RESTART_COUNT:-0}" -ge "${MAX_RESTARTS:-20}" ]; then
      echo "job: started ${SLURM_RESTART_COUNT} times over (MAX_RESTARTS): gives up"
    elif scontrol requeue "$SLURM_JOB_ID"; then
      echo "job: queued again, to be resumed"
      # Slurm ends this shell; to leave before would end the job.
      sleep 60
    fi
  fi
  exit "$status"
}

# needs PROGRAM...: what a script cannot do without.
needs()
{
  local program
  for program; do
    if ! command -v "$program" >/dev/null; then
      echo "job: $program was not found; jobs/build makes build/precis, \$PRECIS names another" >&2
      exit 2
    fi
  done
}
