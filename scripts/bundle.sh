#!/usr/bin/env bash
# Makes a folder that runs on another machine: the program, the CUDA module, the tests that need a device, the quick
# start, Open MPI, and the shared libraries of all of them, except the driver's, cuBLAS, NCCL and the C library.
#
#   scripts/bundle.sh [--build DIR] [--output DIR] [--limit MIB]
#
#   --build DIR     build folder (default build/release); it must be built
#   --output DIR    folder to make (default muster-bundle); an existing one is replaced if an earlier call made it
#   --limit MIB     largest size (default 60)
#
# On the target: run.sh tries everything there (see tests/gpu/run.sh); or `source env.sh` and call muster and mpirun.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

build=$root/build/release
output=$PWD/muster-bundle
limit=60
while [ $# -gt 0 ]; do
    case $1 in
    --build | --output | --limit)
        [ $# -ge 2 ] || die "$1 needs a value"
        declare "${1#--}=$2"
        shift 2
        ;;
    -h | --help) usage; exit 0 ;;
    *) die "unknown option $1; see --help" ;;
    esac
done
[ -x "$build/muster" ] || die "$build/muster is not there; build first, or give the build folder with --build"
# Only a folder that this script made is removed.
if [ -e "$output" ]; then
    if [ ! -e "$output/MANIFEST" ] || [ ! -e "$output/env.sh" ]; then
        die "$output exists and is no bundle; expected another --output"
    fi
    rm -rf "$output"
fi
mkdir -p "$output"/{bin,lib,etc,tests,share/muster-tests}
output=$(cd "$output" && pwd)
: >"$output/MANIFEST"
cp "$root/scripts/bundle_env.sh" "$output/env.sh"

# --- the program, its module, its tests -------------------------------------------------------------------------
cmake --install "$build" --prefix "$output" >/dev/null
for test in device_info gpu_tests gpu_group_tests cuda_products_bench; do
    if [ -x "$build/$test" ]; then cp "$build/$test" "$output/tests/"; else say "without $test, which this build does not have"; fi
done
cp "$root/tests/gpu/torch_bench.py" "$output/tests/"
cp "$root/tests/gpu/run.sh" "$output/run.sh"
cp "$root/tests/golden/quickstart/scores.csv" "$output/share/muster-tests/"
[ -e "$output/lib/muster/libmuster_cuda.so" ] || say "without the CUDA module, which this build does not have"

# --- libraries ----------------------------------------------------------------------------------------------------
# What every machine has, or must have of its own: the C library, the driver, and CUDA's large libraries.
is_left_out() {
    case $1 in
    linux-vdso.* | ld-linux* | libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | libresolv.so.*) ;;
    libutil.so.* | libnss_* | libcuda.so.* | libnvidia-* | libcublas*.so.* | libnccl.so.*) ;;
    *) return 1 ;;
    esac
}
# needed FILE...: "name path" of every library that they need, directly or not; the path is empty if it is not found.
needed() { ldd "$@" 2>/dev/null | awk '/=>/ { print $1, ($3 ~ /^\// ? $3 : "") }' | sort -u; }
copy_libraries() {
    local name path
    while read -r name path; do
        is_left_out "$name" && continue
        [ -n "$path" ] || die "$name is needed and not found on this machine"
        [ -e "$output/lib/$name" ] || cp -L "$path" "$output/lib/$name"
    done < <(needed "$@")
}
# only_has FILE: it needs nothing that is not in the bundle or left out.
only_has() {
    local name path
    while read -r name path; do
        is_left_out "$name" || [ -e "$output/lib/$name" ] || return 1
    done < <(needed "$1")
}
mapfile -t binaries < <(find "$output/bin" "$output/tests" "$output/lib" -type f \( -perm -u+x -o -name '*.so' \))
copy_libraries "${binaries[@]}"

# --- Open MPI: launcher, plugins, messages ------------------------------------------------------------------------
command -v ompi_info >/dev/null || die "ompi_info is not there; expected Open MPI, whose launcher is part of the bundle"
ompi_path() { ompi_info --path "$1" --parsable | sed 's/.*://' | head -n 1; }
for program in mpirun orted; do cp -L "$(command -v "$program")" "$output/bin/$program"; done
copy_libraries "$output/bin/mpirun" "$output/bin/orted"
mkdir -p "$output/lib/openmpi3" "$output/share/openmpi"
plugins=0 left=0
# plugin_folder FROM TO: the plugins that need no library of their own, such as those of a fabric.
plugin_folder() {
    local plugin
    mkdir -p "$2"
    for plugin in "$1"/*.so; do
        if only_has "$plugin"; then cp "$plugin" "$2/"; plugins=$((plugins + 1)); else left=$((left + 1)); fi
    done
}
# Libraries that several plugins share lie beside libmpi.
for common in "$(ompi_path libdir)"/libmca_common_{sm,monitoring,ompio}.so; do
    [ -e "$common" ] && cp -L "$common" "$output/lib/$(objdump -p "$common" | awk '$1 == "SONAME" { print $2 }')"
done
copy_libraries "$(ompi_path pkglibdir)"/mca_pmix_*.so
plugin_folder "$(ompi_path pkglibdir)" "$output/lib/openmpi3"
cp "$(ompi_path pkgdatadir)"/*.txt "$output/share/openmpi/"
pmix=$(needed "$output/lib/openmpi3"/mca_pmix_*.so | awk '$1 ~ /^libpmix/ { print $2 }')
if [ -n "$pmix" ]; then plugin_folder "$(dirname "$(readlink -f "$pmix")")/pmix" "$output/lib/pmix2"; fi

# --- what it took -------------------------------------------------------------------------------------------------
strip --strip-unneeded "$output"/bin/* "$output"/tests/* "$output"/lib/*.so* 2>/dev/null || true
# objdump complains of scripts.
glibc=$({ find "$output" -type f \( -perm -u+x -o -name '*.so*' \) -exec objdump -T {} + 2>/dev/null || true; } |
    grep -o 'GLIBC_2\.[0-9]*' | sort -uV | tail -n 1)
{
    "$output/bin/muster" --version
    echo "made on $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release), needs ${glibc/_/ } or later of the C library"
    (cd "$output" && find . -type f -printf '%s %P\n' | sort -k 2)
} >"$output/MANIFEST"
(cd "$output" && du -k --max-depth=1 --apparent-size . | sort -rn | awk '{ printf "%8.1f MiB  %s\n", $1 / 1024, $2 }')
say "$plugins plugins of Open MPI, $left left out that need other libraries; needs ${glibc/_/ } of the target"
size=$(du -sk --apparent-size "$output" | cut -f 1)
[ "$size" -le $((limit * 1024)) ] || die "$output takes $((size / 1024)) MiB, expected at most $limit"
say "$output: $((size / 1024)) MiB"
