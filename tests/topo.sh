#!/bin/sh
# topo.sh - what precis topo says of machines that need not exist, and of ranks that are in each other's way
#
# SPDX-License-Identifier: BSD-3-Clause

here=$(dirname "$0")
# shellcheck source=jobs/one-machine.sh
. "${top_srcdir-$here/..}/jobs/one-machine.sh"
precis=${top_builddir-$here/../build}/precis
failures=0
output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT
unset OMP_NUM_THREADS OPENBLAS_NUM_THREADS SLURM_CPUS_PER_TASK
# An old OpenBLAS may not know this processor, which is a warning of its own.
export OPENBLAS_CORETYPE=Haswell

complain()
{
  echo "topo.sh: FAILED: $*" >&2
  sed 's/^/    /' "$output" >&2
  failures=$((failures + 1))
}

# topo [VARIABLE=VALUE]... COMMAND...: leaves the output.
topo()
{
  timeout -k 5 60 env OMPI_MCA_ess_singleton_isolated=1 "$@" </dev/null >"$output" 2>&1 ||
    complain "exit status $?: $*"
}

says()
{
  grep -qF -e "$1" "$output" || complain "it does not say '$1'"
}

never_says()
{
  ! grep -qF -e "$1" "$output" || complain "it says '$1'"
}

server='Package:2 NUMANode:1 L3:4(size=33554432) L2:16(size=1048576) L1d:1(size=32768) Core:1 PU:2'
topo OMP_NUM_THREADS=128 HWLOC_SYNTHETIC="$server" "$precis" topo
says '2 packages, 2 NUMA nodes, 128 cores, 256 processing units, 8 x 32 MiB L3, 128 x 1 MiB L2'
says '384.0 MiB  128.0 MiB  256.0 MiB'
never_says warning
topo OMP_NUM_THREADS=129 HWLOC_SYNTHETIC="$server" "$precis" topo
says '1 ranks with 129 threads together on 128 cores'
says 'more threads than cores to run them on'
says 'more threads than the system allows'
topo OMP_NUM_THREADS=1 HWLOC_SYNTHETIC='Package:1 L2:4(size=2097152) Core:1 PU:1' "$precis" topo
says '4 x 2 MiB L2'
says '8.0 MiB    8.0 MiB    0.0 MiB'
never_says warning
topo OMP_NUM_THREADS=1 HWLOC_SYNTHETIC='Package:1 Core:4 PU:1' "$precis" topo
says 'cannot tell their caches'
topo OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=4 SLURM_CPUS_PER_TASK=4 HWLOC_SYNTHETIC='Core:2 PU:1' "$precis" topo
says 'OPENBLAS_NUM_THREADS over 1'
says 'fewer processing units than --cpus-per-task'
topo OMP_NUM_THREADS=1 HWLOC_SYNTHETIC="$server" "$precis" topo --json -
says '"fast_memory_bytes": 402653184'
says '"numa_nodes": 2'
says '"overlaps": 0'
says '"warnings": []'

if grep -qw avx2 /proc/cpuinfo 2>/dev/null; then
  topo OPENBLAS_CORETYPE=Prescott OMP_NUM_THREADS=1 HWLOC_SYNTHETIC="$server" "$precis" topo
  says 'takes it for Prescott'
  says 'set OPENBLAS_CORETYPE='
fi

# The first processing unit that this process may run on.
first=$(taskset -cp $$ 2>/dev/null | sed 's/.*: //; s/[-,].*//')
if [ -n "${MPIEXEC-}" ] && [ -n "$first" ] && [ "$(nproc)" -gt 1 ]; then
  # shellcheck disable=SC2086,SC2016
  topo OMP_NUM_THREADS=1 $MPIEXEC ${MPIEXEC_FLAGS-} -n 2 sh -c 'exec taskset -c "$1" "$2" topo' topo "$first" "$precis"
  says 'with 1 other'
  says '2 of 2 ranks are bound to processing units that other ranks are bound to'
  says '2 ranks with 2 threads together on 1 cores'
  all=$(taskset -cp $$ | sed 's/.*: //')
  # shellcheck disable=SC2086,SC2016
  topo OMP_NUM_THREADS=1 $MPIEXEC ${MPIEXEC_FLAGS-} -n 2 sh -c 'exec taskset -c "$1" "$2" topo' topo "$all" "$precis"
  says '2 of 2 ranks are not bound'
else
  echo "topo.sh: no test of bindings: no launcher, no taskset, or one processor"
fi

[ $failures -eq 0 ] || exit 1
echo "topo.sh: all good"
