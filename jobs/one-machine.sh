# one-machine.sh - sourced: lets Open MPI run any number of ranks on this one machine, as any user
#
# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
#
# What is set already stays. Other MPIs take no notice.

if [ "$(id -u)" = 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# More ranks than cores: allowed, and waiting ranks give way to working ones.
export OMPI_MCA_rmaps_base_oversubscribe="${OMPI_MCA_rmaps_base_oversubscribe-1}"
export OMPI_MCA_mpi_yield_when_idle="${OMPI_MCA_mpi_yield_when_idle-1}"

# After a rank has failed, Open MPI would wait a second for ranks that have long ended.
export OMPI_MCA_odls_base_sigkill_timeout="${OMPI_MCA_odls_base_sigkill_timeout-0}"

# Nothing leaves the machine.
export OMPI_MCA_btl_tcp_if_include="${OMPI_MCA_btl_tcp_if_include-lo}"
export OMPI_MCA_oob_tcp_if_include="${OMPI_MCA_oob_tcp_if_include-lo}"
