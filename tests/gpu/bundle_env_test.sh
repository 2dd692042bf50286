#!/usr/bin/env bash
# env.sh of a bundle on machines that keep CUDA's libraries in different places: made-up trees of empty files, behind a
# ldconfig that knows none and a python3 that says what each test wants.
#   bundle_env_test.sh SOURCE
# shellcheck disable=SC2016  # variables of the programs it writes
set -u
source_folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
mkdir -p "$work/bundle/lib" "$work/programs"
cp "$source_folder/scripts/bundle_env.sh" "$work/bundle/env.sh"
# /sbin/ldconfig is not to be asked either, so this one succeeds.
printf '#!/bin/sh\necho "0 libs found in cache"\n' >"$work/programs/ldconfig"
printf '#!/bin/sh\n[ -z "$LD_LIBRARY_PATH" ] || exit 1\ncat "%s/python_says"\n' "$work" >"$work/programs/python3"
chmod +x "$work/programs"/*

# found TREE LD_LIBRARY_PATH: what env.sh adds behind the bundle's folder, relative to the tree, and what it complains of.
found() {
    env -i PATH="$work/programs:$PATH" HOME="$work/$1/home/somebody" ${2:+LD_LIBRARY_PATH="$2"} MUSTER_SEARCH_ROOT="$work/$1" \
        bash -c "source '$work/bundle/env.sh' 2>'$work/complaints'; printf '%s' \"\${LD_LIBRARY_PATH#'$work/bundle/lib'}\"" |
        sed "s|$work/$1||g"
}
# tree NAME FILE...: a machine with these files.
tree() {
    local name=$1 file
    shift
    : >"$work/python_says"
    mkdir -p "$work/$name"
    for file in "$@"; do
        mkdir -p "$work/$name/$(dirname "$file")"
        : >"$work/$name/$file"
    done
}
# expect NAME GOT WANT
expect() {
    [ "$2" = "$3" ] && return
    printf 'FAILED: %s\n  got      %s\n  expected %s\n' "$1" "$2" "$3"
    failures=$((failures + 1))
}
complains() { # NAME PATTERN COUNT
    expect "$1: complaints" "$(grep -c "$2" "$work/complaints")" "$3"
}

packages=opt/torch/.venv/lib/python3.12/site-packages/nvidia
tree torch "$packages"/cuda_runtime/lib/libcudart.so.13 "$packages"/cublas/lib/libcublasLt.so.13 "$packages"/nccl/lib/libnccl.so.2 \
    usr/local/nvidia/lib64/libcuda.so.1
expect "a virtual environment whose folder begins with a dot" "$(found torch "")" \
    ":/usr/local/nvidia/lib64:/$packages/cuda_runtime/lib:/$packages/cublas/lib:/$packages/nccl/lib"
complains torch . 0

tree cu13 "$packages"/cu13/lib/libcudart.so.13 "$packages"/cu13/lib/libcublasLt.so.13 "$packages"/nccl/lib/libnccl.so.2
expect "packages that share a folder, which is added once; no driver" "$(found cu13 "")" ":/$packages/cu13/lib:/$packages/nccl/lib"
complains cu13 'libcuda.so.1' 1

tree toolkit usr/local/cuda-13.0/lib64/libcudart.so.13 usr/local/cuda-13.0/lib64/libcublasLt.so.13 \
    usr/lib/wsl/lib/libcuda.so.1 elsewhere/nvidia/nccl/lib/libnccl.so.2
echo "$work/toolkit/elsewhere/nvidia" >"$work/python_says"
expect "a toolkit; NCCL where Python says" "$(found toolkit "")" \
    ":/usr/lib/wsl/lib:/usr/local/cuda-13.0/lib64:/elsewhere/nvidia/nccl/lib"

tree odd srv/very/odd/libcublasLt.so.13 opt/somewhere/else/libnccl.so.2 usr/local/nvidia/lib/libcuda.so.1
expect "what only a search finds" "$(found odd "")" ":/usr/local/nvidia/lib:/srv/very/odd:/opt/somewhere/else"
complains odd 'libcudart.so.13 is nowhere' 1

tree given a/libcublasLt.so.13 a/libnccl.so.2 a/libcudart.so.13 a/libcuda.so.1 "$packages"/cublas/lib/libcublasLt.so.13
expect "what the user has set comes first" "$(found given "$work/given/a")" ":/a"

tree nothing
expect "nothing" "$(found nothing "")" ""
complains nothing 'nowhere to be found' 4

[ "$failures" -eq 0 ] && echo "all passed"
exit "$((failures > 0))"
