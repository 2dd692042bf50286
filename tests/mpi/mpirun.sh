#!/usr/bin/env bash
# Runs a program on N ranks of this machine, as tests need it: as root in a container, with more ranks than
# cores, with nothing leaving the machine, and never for longer than a limit.
#
#   tests/mpi/mpirun.sh N PROGRAM [ARGUMENTS...]
#
# MUSTER_MPIRUN: the launcher (default: mpirun). MPIEXEC_TIMEOUT: seconds (default 100; Open MPI then ends with 110).
# Other launchers than Open MPI's ignore the OMPI_ variables. What is set already is kept.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,8p' "$0"; exit 2; }
ranks=$1
shift

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1                     # --oversubscribe
export OMPI_MCA_hwloc_base_binding_policy=none                 # --bind-to none
export OMPI_MCA_mpi_yield_when_idle=${OMPI_MCA_mpi_yield_when_idle-1}
export OMPI_MCA_oob_tcp_if_include=${OMPI_MCA_oob_tcp_if_include-lo}
export OMPI_MCA_btl_tcp_if_include=${OMPI_MCA_btl_tcp_if_include-lo}
export OMPI_MCA_pml=${OMPI_MCA_pml-ob1} OMPI_MCA_btl=${OMPI_MCA_btl-vader,self} OMPI_MCA_osc=${OMPI_MCA_osc-^ucx}
export OMPI_MCA_btl_vader_single_copy_mechanism=none           # containers forbid process_vm_readv
export MPIEXEC_TIMEOUT=${MPIEXEC_TIMEOUT-100}

exec "${MUSTER_MPIRUN:-mpirun}" -n "$ranks" "$@"
