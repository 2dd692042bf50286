# shellcheck shell=bash
# Sourced by run.sh of a bundle (as env.sh beside it) or by whoever wants to call its programs: where they find their
# libraries and MPI, wherever the folder lies, and CUDA's libraries, wherever the machine keeps them.
bundle_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH=$bundle_folder/bin:$PATH
export LD_LIBRARY_PATH=$bundle_folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# Open MPI and PMIx look for their plugins and messages where they were built, unless told otherwise.
export OPAL_PREFIX=$bundle_folder OPAL_BINDIR=$bundle_folder/bin OPAL_LIBDIR=$bundle_folder/lib
export OPAL_PKGLIBDIR=$bundle_folder/lib/openmpi3 OPAL_PKGDATADIR=$bundle_folder/share/openmpi OPAL_SYSCONFDIR=$bundle_folder/etc
export PMIX_PREFIX=$bundle_folder PMIX_PKGLIBDIR=$bundle_folder/lib/pmix2 PMIX_INSTALL_PREFIX=$bundle_folder
export OMPI_MCA_mca_base_component_path=$bundle_folder/lib/openmpi3
export PMIX_MCA_mca_base_component_path=$bundle_folder/lib/pmix2

# One machine, perhaps a container, perhaps as root; nothing leaves it.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_btl_tcp_if_include=lo
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=vader,self OMPI_MCA_osc=^ucx OMPI_MCA_btl_vader_single_copy_mechanism=none

# The folder of a library of CUDA: the loader's own, the toolkit's, or that of a Python package.
add_library_folder() {
    local name=$1 found
    ldconfig -p 2>/dev/null | grep -q "$name " && return
    for found in /usr/local/cuda*/lib64 /usr/local/cuda*/lib /usr/local/cuda*/targets/*/lib /opt/cuda*/lib64 \
        /usr/lib/python3*/*-packages/nvidia/*/lib /usr/local/lib/python3*/*-packages/nvidia/*/lib \
        /opt/*/lib/python3*/site-packages/nvidia/*/lib "$HOME"/.local/lib/python3*/site-packages/nvidia/*/lib; do
        [ -e "$found/$name" ] || continue
        export LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$found
        return
    done
    echo "env.sh: $name is nowhere to be found; set LD_LIBRARY_PATH to its folder" >&2
}
add_library_folder libcublasLt.so.13
add_library_folder libnccl.so.2
