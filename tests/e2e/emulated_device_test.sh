#!/usr/bin/env bash
# Whole runs on the emulated device (tests/cuda_emulator), which the program takes for a real one: its module comes from
# EMULATED_MODULE, its driver from FAKE_DRIVER and its NCCL from EMULATED_NCCL. Few documents: a device of fibers is slow.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
unset CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER
export LD_LIBRARY_PATH=${FAKE_DRIVER:?}:${EMULATED_NCCL:?}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export MUSTER_MODULE_DIR=${EMULATED_MODULE:?}
one='Emulated,11000000-0000-4000-8000-000000000000,0000:17:00.0,90,2048,2000'
two="$one;Emulated,22000000-0000-4000-8000-000000000000,0000:2a:00.0,90,2048,2000"
options=(run "$source_folder/configs/quickstart/eval.json" --limit 2 --bootstrap-iterations 10 --max-gen-toks 12
    --kv-tokens 2048 --step-tokens 64)

# on_device NAME RANKS OPTIONS…: the run on devices, its result in NAME.h5.
on_device() {
    local name=$1 ranks=$2
    shift 2
    succeeds "$name" on "$ranks" "${options[@]}" --device cuda --output "$name.h5" "$@"
}

# close_scores A B: the same documents, texts, counts and choices; log-likelihoods and what is made of them within 1e-3.
# (Checksums, which are attributes, may differ.)
close_scores() {
    h5diff --delta=1e-3 "$1" "$2" /tasks /tasks >diff.log 2>&1
    if grep -Eq '^(dataset|group): |not comparable|[Ee]rror|unable|Only in' diff.log; then
        fail "$2 is not close to $1"
        grep -v '^attribute' diff.log | head -n 10
    fi
}

# column FILE NAME TEXT: what h5dump prints of /run/topology/NAME matches TEXT.
column() {
    h5dump -d "/run/topology/$2" "$1" >column.log 2>&1
    grep -Eq -- "$3" column.log || { fail "$1: /run/topology/$2: nothing matches $3"; head -n 12 column.log; }
}

succeeds cpu on 1 "${options[@]}" --device cpu --output cpu.h5
export MUSTER_FAKE_DEVICES=$one
on_device one 1
close_scores cpu.h5 one.h5
column one.h5 device '"cuda"'
column one.h5 ordinal '\(0\): 0$'
column one.h5 uuid 'GPU-11000000-0000-4000-8000-000000000000'
column one.h5 pci_bus_id '0000:17:00.0'
column one.h5 device_name 'Emulated'

# Ranks that share the device, as replicas and as a tensor-parallel group by copies through host memory.
on_device replicas 2 --allow-device-sharing --step-tokens 50
same_scores one.h5 replicas.h5
on_device staged2 2 --allow-device-sharing --tp 2
close_scores cpu.h5 staged2.h5
h5dump -a /run/device_transport staged2.h5 | grep -q '"staged"' || fail "staged2: another transport"
on_device staged4 4 --allow-device-sharing --tp 4
close_scores cpu.h5 staged4.h5
# By NCCL, which takes ranks of one device only if they say that they are on different nodes: the same bits.
# shellcheck disable=SC2016
printf '#!/bin/sh\nNCCL_HOSTID=$OMPI_COMM_WORLD_RANK exec "$@"\n' >own_node.sh
chmod +x own_node.sh
for tp in 2 4; do
    succeeds "nccl$tp" mpirun --timeout 240 -np "$tp" ./own_node.sh "$muster" "${options[@]}" --device cuda --tp "$tp" \
        --allow-device-sharing --device-transport nccl --verbose --output "nccl$tp.h5"
    same_scores "staged$tp.h5" "nccl$tp.h5"
    grep -q "NCCL 2.28.9: .*libnccl.so.2" "nccl$tp.log" || fail "nccl$tp: does not say which library"
done
code=0
on 2 "${options[@]}" --device cuda --tp 2 --allow-device-sharing --device-transport nccl --output no.h5 >no.log 2>&1 || code=$?
[ "$code" -eq 3 ] || fail "duplicates: exit code $code instead of 3"
grep -q 'Duplicate GPU detected.*--device-transport staged' no.log || { fail "duplicates: another error"; tail -n 5 no.log; }
# With the CPU's virtual shards, every degree has the same bits.
on_device invariant1 1 --tp-invariant --verbose
grep -Eq '^[1-9][0-9]* steps were replayed' invariant1.log || fail "no step was recorded"
on_device unrecorded 1 --tp-invariant --no-step-recording --verbose
same_scores invariant1.h5 unrecorded.h5
grep -q '^0 steps were replayed' unrecorded.log || fail "--no-step-recording records"
on_device invariant2 2 --tp-invariant --allow-device-sharing --tp 2 --step-tokens 40
same_scores invariant1.h5 invariant2.h5
# Sampled text, from the best logits.
sampled=(--tasks '["quickstart_sums"]' --temperature 0.8 --top-k 20 --top-p 0.95)
succeeds sampled_cpu on 1 "${options[@]}" "${sampled[@]}" --device cpu --output sampled_cpu.h5
on_device sampled1 1 "${sampled[@]}" --tp-invariant
on_device sampled2 2 "${sampled[@]}" --allow-device-sharing --step-tokens 30 --tp-invariant
on_device sampled_tp2 2 "${sampled[@]}" --allow-device-sharing --tp 2 --tp-invariant
same_scores sampled1.h5 sampled2.h5
same_scores sampled1.h5 sampled_tp2.h5
close_scores sampled_cpu.h5 sampled1.h5
[ "$(sum_of sampled1.h5 /run/timing/rows_of_logits)" -eq 0 ] || fail "sampled1: rows of logits went to the host"
# From all tokens: the model draws them on the device, in the blocks of a CPU.
warm=(--tasks '["quickstart_sums"]' --temperature 0.8 --top-k 0)
on_device warm1 1 "${warm[@]}" --tp-invariant
on_device warm_tp2 2 "${warm[@]}" --allow-device-sharing --tp 2 --tp-invariant --step-tokens 30
succeeds warm_cpu on 1 "${options[@]}" "${warm[@]}" --device cpu --output warm_cpu.h5
same_scores warm1.h5 warm_tp2.h5
close_scores warm_cpu.h5 warm1.h5
[ "$(sum_of warm1.h5 /run/timing/rows_of_logits)" -eq 0 ] || fail "warm1: rows of logits went to the host"
# Two devices, each rank seeing one, which for both is the first: auto takes them. (A process has one emulated device.)
export MUSTER_FAKE_DEVICES=$two
# shellcheck disable=SC2016
printf '#!/bin/sh\nCUDA_VISIBLE_DEVICES=$OMPI_COMM_WORLD_LOCAL_RANK exec "$@"\n' >own_device.sh
chmod +x own_device.sh
succeeds auto mpirun --timeout 240 -np 2 ./own_device.sh "$muster" "${options[@]}" --output auto.h5
same_scores one.h5 auto.h5
column auto.h5 uuid '\(0\): "GPU-11000000'
column auto.h5 uuid '\(1\): "GPU-22000000'
column auto.h5 ordinal '\(0\): 0, 0$'
# A group whose ranks have a GPU each takes NCCL, and without it says so once and goes through the hosts' memory.
together=(mpirun --timeout 240 -np 2 ./own_device.sh "$muster" "${options[@]}" --device cuda --tp 2)
transport() { h5dump -a /run/device_transport "$1.h5" | grep -q "\"$2\"" || fail "$1: the transport is not $2"; }
succeeds apart "${together[@]}" --output apart.h5
same_scores nccl2.h5 apart.h5
transport apart nccl
MUSTER_NCCL_LIBRARY=/nowhere/libnccl.so.2 succeeds without "${together[@]}" --output without.h5
same_scores nccl2.h5 without.h5
transport without staged
[ "$(grep -c 'host memory, which is slow: .*NCCL cannot be loaded: .*/nowhere/libnccl.so.2' without.log)" -eq 1 ] ||
    { fail "without NCCL: not one warning"; tail -n 10 without.log; }
code=0
MUSTER_NCCL_LIBRARY=/nowhere/libnccl.so.2 "${together[@]}" --device-transport nccl --output no.h5 >no.log 2>&1 || code=$?
[ "$code" -eq 2 ] || fail "nccl without NCCL: exit code $code instead of 2"
[ "$(grep -c 'error: --device-transport nccl: .*NCCL cannot be loaded: .*expected NCCL 2.18' no.log)" -eq 1 ] ||
    { fail "nccl without NCCL: not one error"; tail -n 10 no.log; }
# One device needs none.
MUSTER_NCCL_LIBRARY=/nowhere/libnccl.so.2 succeeds alone on 1 "${options[@]}" --device cuda --output alone.h5
grep -q NCCL alone.log && fail "one device: looks for NCCL"
same_scores one.h5 alone.h5
for name in one replicas staged2 nccl2 auto; do
    succeeds "verify_$name" "$muster" verify "$name.h5"
done
finish
