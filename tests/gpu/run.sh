#!/usr/bin/env bash
# Everything that only a GPU can show, on a machine with a driver, cuBLAS and NCCL and nothing else: no compiler, no
# network. Runs from the folder that scripts/bundle.sh makes, within 8 minutes, and ends with a table.
#
#   run.sh [OUTPUT]     folder for log.txt (all output), table.txt and bench.json (default: muster-gpu-results)
#
# Exit code: 0 if every step passed or said why it was skipped, 1 if one failed, 77 if there is no device.
# MUSTER_GPU_SECONDS: the time for all steps (default 470). MUSTER_GPU_QUICK=1: no benchmarks.
# shellcheck disable=SC2317  # functions are called by the shells of steps
set -u
bundle=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-muster-gpu-results}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
log=$out/log.txt
: >"$log"
budget=${MUSTER_GPU_SECONDS:-470}
# shellcheck source=scripts/bundle_env.sh
source "$bundle/env.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

steps=()  # "name|result|seconds|note" of each step
failed=0

# step NAME SECONDS COMMAND...: runs a command under a limit; its last line is its note in the table.
step() {
    local name=$1 limit=$2 start=$SECONDS code=0 result note
    shift 2
    if [ "$SECONDS" -ge $((budget - 5)) ]; then
        steps+=("$name|skipped|0|no time left")
        return 0
    fi
    [ "$limit" -gt $((budget - SECONDS)) ] && limit=$((budget - SECONDS))
    printf '\n=== %s\n' "$name" | tee -a "$log"
    # mpirun ends its ranks more gently than a signal does.
    MPIEXEC_TIMEOUT=$limit timeout -k 5 $((limit + 3)) "$@" >"$work/step" 2>&1 </dev/null || code=$?
    tee -a "$log" <"$work/step" | tail -n 25
    # An error line says more than what mpirun prints after it.
    note=$({ grep -m 1 'error: ' "$work/step" || grep -v '^[[:space:]-]*$' "$work/step" | tail -n 1; } | tr '|' '/' | cut -c1-90)
    case $code in
    0) result=passed ;;
    77) result=skipped ;;
    110 | 124 | 137) result=FAILED note="not done after $limit s" ;;
    *) result=FAILED note="exit code $code: $note" ;;
    esac
    [ "$result" = FAILED ] && failed=1
    steps+=("$name|$result|$((SECONDS - start))|$note")
    [ "$result" = passed ]
}

table() {
    local line name result seconds note
    printf '%-34s %-8s %5s  %s\n' step result "s" note
    for line in "${steps[@]}"; do
        IFS='|' read -r name result seconds note <<<"$line"
        printf '%-34s %-8s %5s  %s\n' "$name" "$result" "$seconds" "$note"
    done
}

# on RANKS COMMAND...: on that many ranks of this machine; 0 is no launcher.
on() {
    local ranks=$1
    shift
    if [ "$ranks" -eq 0 ]; then "$@"; else mpirun -np "$ranks" bash -c 'one_rank "$@"' one_rank "$@"; fi
}
# NCCL refuses two ranks of one node on one device, unless each says that it is a node of its own; they then meet by
# sockets. Without NCCL these variables do nothing.
one_rank() { NCCL_HOSTID=rank-$OMPI_COMM_WORLD_RANK exec "$@"; }
export NCCL_SOCKET_IFNAME=lo NCCL_IB_DISABLE=1 NCCL_P2P_DISABLE=1 NCCL_SHM_DISABLE=1 NCCL_MAX_CTAS=1
export -f on one_rank

# quick_start NAME RANKS OPTIONS...: the embedded model on its tasks; scores as lm-evaluation-harness has them.
quick_start() {
    local name=$1 ranks=$2 problems=0
    shift 2
    on "$ranks" "$bundle/bin/muster" run "$bundle/share/muster/quickstart/eval.json" --output "$work/$name.h5" "$@" || return
    "$bundle/bin/muster" verify "$work/$name.h5" || return
    "$bundle/bin/muster" report "$work/$name.h5" --format csv >"$work/$name.csv" || return
    "$bundle/bin/muster" show "$work/$name.h5" --task quickstart_sums --limit 1000 >"$work/$name.txt" || return
    while IFS=, read -r task metric filter want tolerance; do
        case $task in '' | \#*) continue ;; esac
        awk -F, -v t="$task" -v m="$metric" -v f="$filter" -v want="$want" -v eps="$tolerance" '
            $1 == t && $2 == m && $3 == f { d = $4 - want; found = d <= eps && -d <= eps }
            END { exit !found }' "$work/$name.csv" || { problems=1; echo "$task $metric,$filter is not $want"; }
    done <"$bundle/share/muster-tests/scores.csv"
    [ "$problems" -eq 0 ] && echo "scores as expected"
}
# same NAME NAME: two runs gave the same answers and scores, to the last digit shown.
same() {
    cmp "$work/$1.csv" "$work/$2.csv" && cmp "$work/$1.txt" "$work/$2.txt" && echo "$1 = $2"
}
# bench NAME OPTIONS...: its tables, and its JSON in the output folder.
bench() {
    local name=$1
    shift
    "$bundle/bin/muster" bench --device cuda --json "$out/bench-$name.json" --quiet "$@"
}
# Some machines (gVisor) refuse compute-sanitizer the device.
sanitized() {
    command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed"; return 77; }
    local code=0
    compute-sanitizer --error-exitcode 9 --target-processes all "$@" >"$work/sanitizer" 2>&1 || code=$?
    cat "$work/sanitizer"
    grep -q 'Device not supported' "$work/sanitizer" && { echo "compute-sanitizer: device not supported"; return 77; }
    return "$code"
}
export -f quick_start same bench sanitized
export bundle work out

if ! step "device" 30 "$bundle/tests/device_info"; then
    table | tee "$out/table.txt"
    [ "$failed" -eq 1 ] && exit 1
    echo "run.sh: no device on this machine; nothing was tried"
    exit 77
fi
step "driver" 30 bash -c 'nvidia-smi || { echo "no nvidia-smi"; exit 77; }'

# --- kernels and backend ---
program() { [ -x "$bundle/tests/$1" ]; }
program gpu_tests && step "tests of the backend" 150 "$bundle/tests/gpu_tests"
program gpu_group_tests && {
    for ranks in 1 2 4; do
        step "copies between $ranks ranks, staged" 60 bash -c "on $ranks '$bundle/tests/gpu_group_tests'"
    done
    for ranks in 2 4; do
        step "copies between $ranks ranks, NCCL" 90 env MUSTER_TEST_TRANSPORT=nccl \
            bash -c "on $ranks '$bundle/tests/gpu_group_tests'"
    done
}

# --- the program ---
step "quick start, CPU" 60 bash -c 'quick_start cpu 2 --device cpu'
step "quick start, 1 device" 60 bash -c 'quick_start cuda 0 --device cuda'
step "quick start, 2 replicas, shared" 60 bash -c 'quick_start replicas 2 --device cuda --allow-device-sharing'
step "replicas have the same answers" 10 bash -c 'same cuda replicas'
for tp in 2 4; do
    step "quick start, tp $tp, staged" 90 bash -c \
        "quick_start staged$tp $tp --device cuda --tp $tp --allow-device-sharing --device-transport staged"
    step "quick start, tp $tp, NCCL" 90 bash -c \
        "quick_start nccl$tp $tp --device cuda --tp $tp --allow-device-sharing --device-transport nccl"
    step "NCCL and staged, tp $tp: same answers" 10 bash -c "same staged$tp nccl$tp"
done
step "tp-invariant: tp 1" 60 bash -c 'quick_start invariant1 0 --device cuda --tp-invariant'
step "tp-invariant: tp 2" 60 bash -c \
    'quick_start invariant2 2 --device cuda --tp 2 --tp-invariant --allow-device-sharing --device-transport staged'
step "tp-invariant: same answers" 10 bash -c 'same invariant1 invariant2'

# --- speed ---
if [ "${MUSTER_GPU_QUICK:-0}" != 1 ]; then
    step "bench: Llama 3 8B, prompts" 75 bash -c \
        'bench llama-3-8b --shape llama-3-8b --phase prefill,score,mmlu-like --batch 1,16 --questions 200 --runs 3 --profile'
    step "bench: Llama 3 8B, decode" 75 bash -c \
        'bench llama-3-8b-decode --shape llama-3-8b --phase decode --batch 1,16,64,256 --runs 3 --profile'
    step "bench: Qwen2.5 7B" 60 bash -c 'bench qwen2.5-7b --shape qwen2.5-7b --phase prefill,decode --batch 1,64 --runs 3'
    step "bench: slice of a 70B" 60 bash -c \
        'bench llama-3-70b --shape llama-3-70b-slice --phase prefill,decode --batch 1,64 --runs 3'
fi
if [ "${MUSTER_GPU_QUICK:-0}" != 1 ]; then
    program cuda_products_bench && step "bench: experts, products of few rows" 40 "$bundle/tests/cuda_products_bench"
fi
program gpu_tests && step "compute-sanitizer" 120 bash -c "sanitized '$bundle/tests/gpu_tests' --test-case-exclude='*ceilings*'"

echo
table | tee "$out/table.txt" | tee -a "$log"
echo "whole run: $SECONDS s"
exit "$failed"
