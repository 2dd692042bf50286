#!/usr/bin/env bash
# Whole runs on the emulated device (tests/cuda_emulator), which the program takes for a real one: its module comes from
# EMULATED_MODULE, its driver from FAKE_DRIVER. Few documents: a device of fibers is slow.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
unset CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER
export LD_LIBRARY_PATH=${FAKE_DRIVER:?}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} MUSTER_MODULE_DIR=${EMULATED_MODULE:?}
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
# With the CPU's virtual shards, every degree has the same bits.
on_device invariant1 1 --tp-invariant
on_device invariant2 2 --tp-invariant --allow-device-sharing --tp 2 --step-tokens 40
same_scores invariant1.h5 invariant2.h5
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
for name in one replicas staged2 auto; do
    succeeds "verify_$name" "$muster" verify "$name.h5"
done
finish
