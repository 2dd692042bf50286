#!/usr/bin/env bash
# Devices without a device: the program on 1 to 4 ranks with a made-up driver in front of it (tests/fake_driver), whose
# devices come from MUSTER_FAKE_DEVICES. FAKE_DRIVER is its folder.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
eval_file=$source_folder/configs/quickstart/eval.json
modules=$(dirname "${FAKE_DRIVER:?}")
unset CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER MUSTER_MODULE_DIR
# Open MPI passes these on to ranks of this machine.
export LD_LIBRARY_PATH=$FAKE_DRIVER${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
small=(--limit 2 --tasks quickstart_creatures --bootstrap-iterations 10 --step-tokens 64)

# with "NAME=VALUE …" COMMAND…: the command with these variables.
with() {
    local variables=$1
    shift
    local -a list
    read -r -a list <<<"$variables"
    ( for variable in "${list[@]}"; do export "${variable?}"; done; "$@" )
}

# refuses NAME PATTERN COMMAND…: exit code 2 and one error line, which matches.
refuses() {
    local name=$1 pattern=$2 code=0
    shift 2
    "$@" >"$name.log" 2>&1 || code=$?
    [ "$code" -eq 2 ] || fail "$name: exit code $code instead of 2"
    [ "$(grep -c 'error: ' "$name.log")" -eq 1 ] || fail "$name: not one error line"
    grep -Eq "error: .*$pattern" "$name.log" || { fail "$name: no error that matches: $pattern"; tail -n 5 "$name.log"; }
    [ ! -e out.h5 ] || fail "$name: left a result file"
}

# says NAME PATTERN: what the command of that name printed.
says() {
    grep -Eq -- "$2" "$1.log" || { fail "$1: nothing matches: $2"; tail -n 25 "$1.log"; }
}

cuda=(run "$eval_file" "${small[@]}" --device cuda --output out.h5)
for ranks in 1 2 3 4; do
    # What is missing, each by name: driver, a driver that is new enough, module, a module of this build, devices.
    refuses "no_driver$ranks" 'no NVIDIA driver on this node: .*libcuda' \
        with "LD_LIBRARY_PATH=$modules/no_driver" on "$ranks" "${cuda[@]}"
    refuses "old_driver$ranks" 'CUDA up to 12.2; expected 13.0' \
        with "MUSTER_FAKE_DEVICES=4 MUSTER_FAKE_CUDA=12020 MUSTER_MODULE_DIR=$modules/for_plans" on "$ranks" "${cuda[@]}"
    refuses "no_module$ranks" "libmuster_cuda.so: not in $modules/nowhere; .*MUSTER_WITH_CUDA" \
        with "MUSTER_FAKE_DEVICES=4 MUSTER_MODULE_DIR=$modules/nowhere" on "$ranks" "${cuda[@]}"
    refuses "other_module$ranks" 'wrong_build/libmuster_cuda.so: built from muster 0.0.1 cafe' \
        with "MUSTER_FAKE_DEVICES=4 MUSTER_MODULE_DIR=$modules/wrong_build" on "$ranks" "${cuda[@]}"
    refuses "no_device$ranks" 'see(s)? no CUDA device' \
        with "MUSTER_FAKE_DEVICES=4 CUDA_VISIBLE_DEVICES=-1" on "$ranks" "${cuda[@]}"
done
export MUSTER_MODULE_DIR=$modules/for_plans
refuses too_few 'ranks 0, 1, 2, 3 see only 2 devices, GPU-a0.*, GPU-a1.*--allow-device-sharing' \
    with "MUSTER_FAKE_DEVICES=2" on 4 "${cuda[@]}"
refuses too_little 'not enough memory on a device: a rank needs .*weights .*--gpu-memory-fraction' \
    with "MUSTER_FAKE_DEVICES=Tiny,11000000-0000-4000-8000-000000000000,0000:17:00.0,90,64,1" on 1 "${cuda[@]}"

# Compute modes of devices: a second process cannot open an exclusive one, unless MPS stands between.
refuses exclusive 'ranks 0, 1 are to share device GPU-a0.*EXCLUSIVE_PROCESS.*nvidia-smi -c DEFAULT' \
    with "MUSTER_FAKE_DEVICES=1 MUSTER_FAKE_COMPUTE_MODE=3" on 2 "${cuda[@]}" --allow-device-sharing
refuses prohibited 'device GPU-a0.* is in compute mode PROHIBITED' \
    with "MUSTER_FAKE_DEVICES=1 MUSTER_FAKE_COMPUTE_MODE=2" on 1 "${cuda[@]}"
for mps in 0 1; do
    # A device each, or MPS: on to the backend, which this module has not.
    with "MUSTER_FAKE_DEVICES=$((2 - mps)) MUSTER_FAKE_COMPUTE_MODE=3 MUSTER_FAKE_MPS=$mps" \
        on 2 "${cuda[@]}" --allow-device-sharing >mode.log 2>&1
    says mode 'no backend in this module'
done
# NCCL: who asks for it by name has it or an error; otherwise the hosts' memory does, and a plan says so.
refuses no_nccl '--device-transport nccl: .*nobody_installed_it' \
    with "MUSTER_FAKE_DEVICES=2 MUSTER_FAKE_NCCL_PROBLEM=nobody_installed_it" on 2 "${cuda[@]}" --tp 2 --device-transport nccl

# auto: CPUs where a device is missing anywhere, with the reason.
auto=(run "$eval_file" "${small[@]}" --overwrite)
succeeds auto_none with "LD_LIBRARY_PATH=$modules/no_driver" on 2 "${auto[@]}" --output auto.h5
says auto_none 'computing on CPUs: (\[rank 0 on .*\] )?no NVIDIA driver'
succeeds auto_few with "MUSTER_FAKE_DEVICES=1" on 2 "${auto[@]}" --output auto.h5
says auto_few 'computing on CPUs: .*ranks 0, 1 see only one device'
succeeds cpu on 2 "${auto[@]}" --device cpu --output cpu.h5
grep -q 'computing on' cpu.log && fail "--device cpu looks for devices"
same_scores cpu.h5 auto.h5
for column in ordinal uuid device_name pci_bus_id; do
    h5dump -d "/run/topology/$column" cpu.h5 >/dev/null 2>&1 || fail "/run/topology/$column is missing"
done

# The table of a plan: what each rank takes, however the launcher shows devices.
plan=(plan "$eval_file" --device cuda)
row() { says "$1" "^ *$2 .* cuda .* $3  GPU-$4"; }  # NAME RANK ORDINAL UUID
succeeds all_visible with "MUSTER_FAKE_DEVICES=4" on 4 "${plan[@]}"
for rank in 0 1 2 3; do row all_visible "$rank" "$rank" "a$rank"; done
succeeds reversed with "MUSTER_FAKE_DEVICES=4 CUDA_VISIBLE_DEVICES=3,1" on 2 "${plan[@]}"
row reversed 0 0 a3
row reversed 1 1 a1
says reversed 'Memory of each device: weights'
succeeds gaps with "MUSTER_FAKE_DEVICES=8 CUDA_VISIBLE_DEVICES=4,5,6,7" on 3 "${plan[@]}"
row gaps 2 2 a6
says gaps '1 of 4 devices stay unused \(GPU-a7'
# One device for each rank, as --gpus-per-task=1 does; by UUID, as PBS does.
# shellcheck disable=SC2016
printf '#!/bin/sh\nCUDA_VISIBLE_DEVICES=GPU-a$OMPI_COMM_WORLD_LOCAL_RANK exec "$@"\n' >own_device.sh
chmod +x own_device.sh
succeeds own_device with "MUSTER_FAKE_DEVICES=4" mpirun --timeout 240 -np 3 ./own_device.sh "$muster" "${plan[@]}"
for rank in 0 1 2; do row own_device "$rank" 0 "a$rank"; done
succeeds shared with "MUSTER_FAKE_DEVICES=1" on 4 "${plan[@]}" --tp 2 --allow-device-sharing
says shared 'ranks 0, 1, 2, 3 share device GPU-a0'
says shared 'devices exchange by staged'
succeeds apart with "MUSTER_FAKE_DEVICES=4" on 4 "${plan[@]}" --tp 2
says apart 'devices exchange by nccl'
succeeds apart_without with "MUSTER_FAKE_DEVICES=4 MUSTER_FAKE_NCCL_PROBLEM=nobody_installed_it" on 4 "${plan[@]}" --tp 2
says apart_without 'host memory, which is slow: .*nobody_installed_it'
says apart_without 'devices exchange by staged'
# The arena that a run asks for is what the plan says, on every rank.
with "MUSTER_FAKE_DEVICES=1" on 2 "${cuda[@]}" --allow-device-sharing --tp 2 --kv-tokens 640 >arena.log 2>&1 &&
    fail "arena: a module without a backend ran"
says arena 'no backend in this module: ordinal 0, [0-9]+ bytes, staged'

# Plans for what is not here.
export LD_LIBRARY_PATH=$modules/no_driver
succeeds elsewhere on 0 plan "$eval_file" --ranks 8 --ranks-per-node 4 --device-memory 141GiB
says elsewhere '^ *7  node1 .* cuda .*planned-7'
succeeds tp_auto on 0 plan "$eval_file" --ranks 4 --device-memory 32MiB --tp auto --step-tokens 64
says tp_auto '^ *[124] .*  taken'
refuses not_here 'expected --device-memory' on 0 plan "$eval_file" --ranks 4 --device cuda
refuses no_size 'expected a size such as 141GiB' on 0 plan "$eval_file" --device-memory lots
# --tp auto on CPUs: what fits is taken, and the result is the same.
succeeds cpu_auto on 2 "${auto[@]}" --device cpu --tp auto --output cpu_auto.h5
says cpu_auto '^ *1 .*  taken'
same_scores cpu.h5 cpu_auto.h5
finish
