# shellcheck shell=bash
# Sourced by the scripts of this folder: messages, the build, and what mpirun needs on this machine.

# Where the repository is; scripts may be called from any folder.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=${MUSTER_JOBS:-$(nproc)}

say() { printf '==> %s\n' "$*"; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# usage: print the comment at the top of the calling script.
usage() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"; }

# build PRESET [TARGET...]: configure and compile into build/<preset>; ninja shows its progress.
build() {
    local preset=$1 log status=0
    shift
    cd "$root" || die "cannot enter $root"
    log=$(mktemp)
    say "configuring preset $preset"
    cmake --preset "$preset" >"$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        cat "$log" >&2
        rm -f "$log"
        die "cmake --preset $preset failed (above)"
    fi
    rm -f "$log"
    say "building with $jobs jobs"
    cmake --build --preset "$preset" --parallel "$jobs" ${1:+--target "$@"} || die "the build failed (above)"
}

# mpi_settings: Open MPI refuses root and more ranks than cores unless told otherwise. Exported, so that
# tests and mpirun alike see them; other MPI libraries ignore them.
mpi_settings() {
    if [ "$(id -u)" -eq 0 ]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    export OMPI_MCA_rmaps_base_oversubscribe=1      # --oversubscribe
    export OMPI_MCA_hwloc_base_binding_policy=none  # --bind-to none
    export OMPI_MCA_btl_vader_single_copy_mechanism=none  # containers forbid reading another rank's memory
    if [ "$(nproc)" -lt 4 ]; then
        export OMPI_MCA_mpi_yield_when_idle=1       # a waiting rank gives its core away
    fi
}
