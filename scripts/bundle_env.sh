# shellcheck shell=bash
# Sourced by run.sh of a bundle (as env.sh beside it) or by whoever wants to call its programs: where they find their
# libraries and MPI, wherever the folder lies, and CUDA's libraries, wherever the machine keeps them.
bundle_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH=$bundle_folder/bin:$PATH:/usr/local/nvidia/bin:/usr/local/cuda/bin
# For programs of the machine, such as its Python: what the bundle brings may be older than what they expect.
export MUSTER_OUTER_LIBRARY_PATH=${MUSTER_OUTER_LIBRARY_PATH-${LD_LIBRARY_PATH:-}}
export LD_LIBRARY_PATH=$bundle_folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# Open MPI and PMIx look for their plugins and messages where they were built, unless told otherwise.
export OPAL_PREFIX=$bundle_folder OPAL_BINDIR=$bundle_folder/bin OPAL_LIBDIR=$bundle_folder/lib
export OPAL_PKGLIBDIR=$bundle_folder/lib/openmpi3 OPAL_PKGDATADIR=$bundle_folder/share/openmpi OPAL_SYSCONFDIR=$bundle_folder/etc
export PMIX_PREFIX=$bundle_folder PMIX_PKGLIBDIR=$bundle_folder/lib/pmix2 PMIX_INSTALL_PREFIX=$bundle_folder
export OMPI_MCA_mca_base_component_path=$bundle_folder/lib/openmpi3
export PMIX_MCA_mca_base_component_path=$bundle_folder/lib/pmix2

# One machine, perhaps a container, perhaps as root, perhaps without ssh, for which Open MPI asks even to start a process
# here; nothing leaves it.
export OMPI_MCA_plm=isolated
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_btl_tcp_if_include=lo
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=vader,self OMPI_MCA_osc=^ucx OMPI_MCA_btl_vader_single_copy_mechanism=none

# Where CUDA's libraries are, if the loader does not find them by itself. MUSTER_SEARCH_ROOT is in front of every path
# that is looked at, for tests.
search_root=${MUSTER_SEARCH_ROOT:-}

# loader_has NAME: it is in a folder of LD_LIBRARY_PATH, or in the loader's cache.
loader_has() {
    local folder
    local -a folders
    IFS=: read -r -a folders <<<"$LD_LIBRARY_PATH"
    for folder in "${folders[@]}"; do
        [ -n "$folder" ] && [ -e "$folder/$1" ] && return 0
    done
    { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | awk -v name="$1" '$1 == name { found = 1 } END { exit !found }'
}
# add_if_there NAME FOLDER...: the first of the folders that has it.
add_if_there() {
    local name=$1 folder
    shift
    for folder in "$@"; do
        [ -e "$folder/$name" ] || continue
        export LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$folder
        return 0
    done
    return 1
}
# The folders of NVIDIA's Python packages, as the machine's own Python knows them, and those of PyTorch, which may bring
# its own libraries.
python_folders() {
    local package
    LD_LIBRARY_PATH=$MUSTER_OUTER_LIBRARY_PATH timeout 20 python3 -c '
import importlib.util
for name in ("nvidia", "torch"):
    found = importlib.util.find_spec(name)
    for path in (found.submodule_search_locations if found else ()) or ():
        print(path)' 2>/dev/null | while read -r package; do
        printf '%s\n' "$package"/lib "$package"/*/lib
    done
}
# add_library_folder NAME: the toolkit's folder, that of a Python package, or whatever else has it.
add_library_folder() {
    local name=$1 folder
    local -a asked
    loader_has "$name" && return
    # The globs of folders that begin with a dot name the dot.
    add_if_there "$name" "$search_root"/usr/local/cuda*/lib64 "$search_root"/usr/local/cuda*/lib \
        "$search_root"/usr/local/cuda*/targets/*/lib "$search_root"/opt/cuda*/lib64 \
        ${VIRTUAL_ENV:+"$VIRTUAL_ENV"/lib/python3*/site-packages/nvidia/*/lib} \
        ${CONDA_PREFIX:+"$CONDA_PREFIX"/lib "$CONDA_PREFIX"/lib/python3*/site-packages/nvidia/*/lib} \
        "$search_root"/{opt,opt/*,root,home/*,workspace,venv,srv}/{,.}{venv,env}/lib/python3*/site-packages/nvidia/*/lib \
        "$search_root"/usr/lib/python3*/*-packages/nvidia/*/lib \
        "$search_root"/usr/local/lib/python3*/*-packages/nvidia/*/lib \
        "$search_root"/opt/*/lib/python3*/site-packages/nvidia/*/lib \
        "$HOME"/.local/lib/python3*/site-packages/nvidia/*/lib && return
    mapfile -t asked < <(python_folders)
    add_if_there "$name" "${asked[@]}" && return
    folder=$(timeout 20 find "$search_root"/{usr,opt,home,root,srv,mnt,venv,workspace} -name "$name" -print -quit 2>/dev/null)
    [ -n "$folder" ] && add_if_there "$name" "$(dirname "$folder")" && return
    echo "env.sh: $name is nowhere to be found; set LD_LIBRARY_PATH to its folder" >&2
}
# The driver's libraries are mounted into containers, not always where the loader looks.
loader_has libcuda.so.1 || add_if_there libcuda.so.1 "$search_root"/usr/local/nvidia/lib64 "$search_root"/usr/local/nvidia/lib \
    "$search_root"/usr/lib/x86_64-linux-gnu "$search_root"/usr/lib64 "$search_root"/usr/lib/wsl/lib \
    "$search_root"/run/opengl-driver/lib "$search_root"/usr/lib/x86_64-linux-gnu/nvidia/current ||
    echo "env.sh: libcuda.so.1, the driver's library, is nowhere to be found" >&2
for library in libcudart.so.13 libcublasLt.so.13 libnccl.so.2; do
    add_library_folder "$library"
done
unset library
