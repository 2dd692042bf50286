#!/usr/bin/env bash
# A device that hangs under one rank of a run: the job ends within seconds, whatever the other ranks are waiting for, by
# one line that names rank, node and device, and leaves no result. On the emulated device, whose streams run nothing from
# a rank's EMULATED_HANG-th kernel on.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
unset CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER
export LD_LIBRARY_PATH=${FAKE_DRIVER:?}:${EMULATED_NCCL:?}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export MUSTER_MODULE_DIR=${EMULATED_MODULE:?}
export MUSTER_FAKE_DEVICES='Emulated,11000000-0000-4000-8000-000000000000,0000:17:00.0,90,2048,2000'
# rank.sh RANK LAUNCH COMMAND…: the device of that rank hangs from that launch on.
cat >rank.sh <<'EOF'
#!/bin/sh
[ "$OMPI_COMM_WORLD_RANK" = "$1" ] && export EMULATED_HANG=$2
export NCCL_HOSTID=$OMPI_COMM_WORLD_RANK
shift 2
exec "$@"
EOF
chmod +x rank.sh
hung='did not end within 3(\.0*)? s; (a peer or )?device 0 \(PCI 0000:01:00.0\) hangs: .*Xid.*--device-timeout'

# hangs NAME RANKS RANK LAUNCH PATTERN OPTIONS…: how the run ends.
hangs() {
    local name=$1 ranks=$2 rank=$3 launch=$4 pattern=$5 code=0 start=$SECONDS lines
    shift 5
    mpirun --timeout 200 -np "$ranks" ./rank.sh "$rank" "$launch" "$muster" run \
        "$source_folder/configs/quickstart/eval.json" --limit 2 --bootstrap-iterations 10 --max-gen-toks 12 \
        --kv-tokens 2048 --step-tokens 64 --device cuda --device-timeout 3 --allow-device-sharing \
        --output "$name.h5" "$@" >"$name.log" 2>&1 || code=$?
    [ "$code" -eq 3 ] || fail "$name: exit code $code instead of 3"
    [ $((SECONDS - start)) -lt 60 ] || fail "$name: ended after $((SECONDS - start)) s"
    # Ranks of a group wait for each other and may run out of patience together.
    lines=$(grep -c 'error: ' "$name.log")
    [ "$lines" -eq 1 ] || [[ $lines -eq 2 && "$*" == *--tp* ]] || fail "$name: $lines error lines"
    grep -Eq "error: .*$pattern" "$name.log" || { fail "$name: no error that matches: $pattern"; tail -n 12 "$name.log"; }
    grep -Eq "rank $rank .*error: " "$name.log" || [ "$ranks" -eq 1 ] || [ "$name" = nccl ] || fail "$name: the error does not name rank $rank"
    [ ! -e "$name.h5" ] || fail "$name: left a result file"
}
# Alone; beside a replica that waits in MPI for what rank 0 hands out and gathers, and the other way round; in a group.
hangs alone 1 0 60 "$hung"
hangs replica 2 1 60 "$hung"
hangs root 2 0 60 "$hung"
hangs nccl 2 1 60 "rank [01] of 2 of its tensor-parallel group: .*$hung" --tp 2 --device-transport nccl
finish
