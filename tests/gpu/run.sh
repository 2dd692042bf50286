#!/usr/bin/env bash
# Everything that only a GPU can show, on a machine with a driver, cuBLAS and NCCL and nothing else: no compiler, no
# network. Runs from the folder that scripts/bundle.sh makes, within 8 minutes, and ends with a table, also if it is
# interrupted. What tells most comes first.
#
#   run.sh [OUTPUT]     folder for log.txt (all output), table.txt and bench-*.json (default: muster-gpu-results)
#
# Exit code: 0 if every step passed or said why it was skipped, 1 if one failed, 77 if there is no device.
#
# Environment, for a part of it or a slower device:
#   MUSTER_GPU_SECONDS   time for all steps (default 470)
#   MUSTER_GPU_STEPS     only steps whose names match this regular expression (grep -E), and the first
#   MUSTER_GPU_QUICK=1   no benchmarks and no compute-sanitizer
#   MUSTER_GPU_RUN       more options of muster run, such as "--limit 2"; scores are then compared with those of the CPU
#   MUSTER_GPU_TESTS     more options of gpu_tests, such as "--test-case=*record*"
#   MUSTER_GPU_BENCH     shape and sizes of benchmarks instead of their own, such as "--shape small.json --batch 1,3"
#   MUSTER_GPU_PATIENCE  factor of the steps' limits (default 1)
# shellcheck disable=SC2016,SC2317  # words and functions are for the shells of steps
set -u
bundle=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-muster-gpu-results}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
log=$out/log.txt
: >"$log"
budget=${MUSTER_GPU_SECONDS:-470}
patience=${MUSTER_GPU_PATIENCE:-1}
# shellcheck source=scripts/bundle_env.sh
source "$bundle/env.sh"
work=$(mktemp -d)

steps=()  # "name|result|seconds|note" of each step
failed=0
running=
current=

table() {
    local line name result seconds note
    printf '%-40s %-8s %5s  %s\n' step result "s" note
    for line in "${steps[@]}"; do
        IFS='|' read -r name result seconds note <<<"$line"
        printf '%-40s %-8s %5s  %s\n' "$name" "$result" "$seconds" "$note"
    done
}
# However this ends, there is a table.
end() {
    trap - EXIT TERM INT HUP
    if [ -n "$running" ]; then
        kill "$running" 2>/dev/null
        steps+=("$current|FAILED|-|interrupted")
        failed=1
    fi
    echo
    table | tee "$out/table.txt" | tee -a "$log"
    echo "whole run: $SECONDS s"
    rm -rf "$work"
    exit "${1:-$failed}"
}
trap end EXIT
trap 'end 1' TERM INT HUP

# step NAME SECONDS COMMAND...: runs a command under a limit; its last line is its note in the table.
step() {
    local name=$1 limit=$(($2 * patience)) start=$SECONDS code=0 cut='' result note
    shift 2
    if [ -n "${MUSTER_GPU_STEPS:-}" ] && [ "$name" != device ] && ! grep -Eq -- "$MUSTER_GPU_STEPS" <<<"$name"; then
        return 0
    fi
    if [ "$SECONDS" -ge $((budget - 5)) ]; then
        steps+=("$name|skipped|0|no time left")
        return 0
    fi
    if [ "$limit" -gt $((budget - SECONDS)) ]; then
        limit=$((budget - SECONDS))
        [ "$name" = device ] || cut=yes
    fi
    printf '\n=== %s\n' "$name" | tee -a "$log"
    # mpirun ends its ranks more gently than a signal does. In the background, since a trap waits for what is not.
    current=$name
    MPIEXEC_TIMEOUT=$limit timeout -k 5 $((limit + 3)) "$@" >"$work/step" 2>&1 </dev/null &
    running=$!
    wait "$running" || code=$?
    running=
    tee -a "$log" <"$work/step" | tail -n 25
    # An error line says more than what mpirun prints after it.
    note=$({ grep -m 1 'error: ' "$work/step" || grep -v '^[[:space:]-]*$' "$work/step" | tail -n 1; } | tr '|' '/' | cut -c1-90)
    case $code in
    0) result=passed ;;
    77) result=skipped ;;
    110 | 124 | 137)
        result=FAILED note="not done after $limit s"
        # Less than it was to have says nothing against it.
        [ -n "$cut" ] && result=skipped note="not done in the $limit s that were left"
        ;;
    *) result=FAILED note="exit code $code: $note" ;;
    esac
    [ "$result" = FAILED ] && failed=1
    steps+=("$name|$result|$((SECONDS - start))|$note")
    [ "$result" = passed ]
}

# on RANKS COMMAND...: on that many ranks of this machine; 0 is no launcher. Where there are too few devices, they share.
on() {
    local ranks=$1
    shift
    if [ "$ranks" -eq 0 ]; then "$@"; elif [ "$ranks" -le "$devices" ]; then mpirun -np "$ranks" "$@"; else shared "$ranks" "$@"; fi
}
# shared RANKS COMMAND...: on ranks that may share a device. NCCL refuses two ranks of one node on one device, unless each
# says that it is a node of its own; they then meet by sockets. Without NCCL these variables do nothing.
shared() {
    local ranks=$1
    shift
    NCCL_SOCKET_IFNAME=lo NCCL_IB_DISABLE=1 NCCL_P2P_DISABLE=1 NCCL_SHM_DISABLE=1 NCCL_MAX_CTAS=1 \
        mpirun -np "$ranks" bash -c 'one_rank "$@"' one_rank "$@"
}
one_rank() { NCCL_HOSTID=rank-$OMPI_COMM_WORLD_RANK exec "$@"; }
export -f on shared one_rank

# expected_scores: task,metric,filter,value,tolerance. Of whole runs those of lm-evaluation-harness, else the CPU's.
expected_scores() {
    if [ -z "${MUSTER_GPU_RUN:-}" ]; then
        cat "$bundle/share/muster-tests/scores.csv"
    else
        awk -F, 'NR > 1 && $4 ~ /^[-0-9.e]+$/ { print $1 "," $2 "," $3 "," $4 ",1e-3" }' "$work/cpu.csv"
    fi
}
# quick_start NAME RANKS OPTIONS...: the embedded model on its tasks, with the scores that are expected.
quick_start() {
    local name=$1 ranks=$2 problems=0 checked=0
    shift 2
    # shellcheck disable=SC2086  # options are words
    on "$ranks" "$bundle/bin/muster" run "$bundle/share/muster/quickstart/eval.json" --output "$work/$name.h5" "$@" \
        ${MUSTER_GPU_RUN:-} || return
    "$bundle/bin/muster" verify "$work/$name.h5" || return
    "$bundle/bin/muster" report "$work/$name.h5" --format csv >"$work/$name.csv" || return
    "$bundle/bin/muster" show "$work/$name.h5" --task quickstart_sums --limit 1000 >"$work/$name.txt" || return
    while IFS=, read -r task metric filter want tolerance; do
        case $task in '' | \#*) continue ;; esac
        checked=$((checked + 1))
        awk -F, -v t="$task" -v m="$metric" -v f="$filter" -v want="$want" -v eps="$tolerance" '
            $1 == t && $2 == m && $3 == f { d = $4 - want; found = d <= eps && -d <= eps }
            END { exit !found }' "$work/$name.csv" || { problems=1; echo "$task $metric,$filter is not $want"; }
    done < <(expected_scores)
    [ "$problems" -eq 0 ] && [ "$checked" -gt 0 ] && echo "$checked scores as expected"
}
# same NAME NAME: two runs gave the same answers and scores, to the last digit shown.
same() {
    cmp "$work/$1.csv" "$work/$2.csv" && cmp "$work/$1.txt" "$work/$2.txt" && echo "$1 = $2"
}
# bench NAME PHASES OPTIONS...: its tables, and its JSON in the output folder. On $bench_ranks ranks.
bench() {
    local name=$1 phases=$2
    shift 2
    # shellcheck disable=SC2046,SC2086  # options are words
    on "${bench_ranks:-0}" "$bundle/bin/muster" bench --device cuda --json "$out/bench-$name.json" --quiet --phase "$phases" \
        ${MUSTER_GPU_BENCH:-$*}
}
# Some machines (gVisor) refuse compute-sanitizer the device.
sanitized() {
    command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed"; return 77; }
    local code=0
    # Some tests mean calls to fail.
    timeout 100 compute-sanitizer --report-api-errors no --error-exitcode 9 --target-processes all "$@" >"$work/sanitizer" 2>&1 || code=$?
    cat "$work/sanitizer"
    if [ "$code" -eq 124 ]; then
        grep -q '^========= Invalid' "$work/sanitizer" && return 1
        echo "compute-sanitizer: nothing found in 100 s, which were not enough for all"
        return 77
    fi
    grep -q 'Device not supported' "$work/sanitizer" && { echo "compute-sanitizer: device not supported"; return 77; }
    return "$code"
}
# Another library of CUDA than the machine's own may be in the bundle's way.
outside() { LD_LIBRARY_PATH=$MUSTER_OUTER_LIBRARY_PATH "$@"; }
export -f quick_start expected_scores same bench sanitized outside
devices=0
export bundle work out devices

if ! step "device" 30 "$bundle/tests/device_info"; then
    [ "$failed" -eq 1 ] && end 1
    echo "run.sh: no device on this machine; nothing was tried"
    end 77
fi
devices=$("$bundle/tests/device_info" | grep -c '^device ')
step "driver" 30 bash -c 'outside nvidia-smi || { echo "no nvidia-smi"; exit 77; }; outside nvidia-smi topo -m; outside nvidia-smi -L'
program() { [ -x "$bundle/tests/$1" ]; }
speed() { [ "${MUSTER_GPU_QUICK:-0}" != 1 ]; }

# --- whether it computes, what it computes, and how fast ---
step "quick start, CPU" 60 bash -c 'quick_start cpu 2 --device cpu'
step "quick start, 1 device" 60 bash -c 'quick_start cuda 0 --device cuda'
# A file of tests at a time: a fault of the device ends all that its process does.
test_files() {
    local files
    files=$("$bundle/tests/gpu_tests" --list-test-cases --reporters=xml | grep -o 'filename="[^"]*"' |
        sed 's|.*/||; s|"$||' | sort -u)
    echo "${files:-none}"
}
program gpu_tests && for file in $(test_files); do
    step "tests: ${file%_test.cpp}" 60 bash -c '"$bundle/tests/gpu_tests" --source-file="*/$1" ${MUSTER_GPU_TESTS:-}' - "$file"
done
speed && {
    step "bench: Llama 3 8B, decode" 75 bash -c \
        'bench llama-3-8b-decode decode --shape llama-3-8b --batch 1,16,64,256 --runs 3'
    step "bench: Llama 3 8B, prompts" 75 bash -c \
        'bench llama-3-8b prefill,score,mmlu-like --shape llama-3-8b --batch 1,16 --questions 200 --runs 3'
    # Kernel by kernel, each waited for: slower as a whole, so these are no figures of a phase.
    step "bench: Llama 3 8B, kernels" 60 bash -c \
        'bench llama-3-8b-kernels prefill,decode --shape llama-3-8b --batch 16 --runs 1 --profile'
    # The machine's own Python, at the same sizes.
    step "bench: torch, Llama 3 8B" 75 bash -c 'outside python3 "$bundle/tests/torch_bench.py" --shape llama-3-8b \
        --prefill 1x512,16x512 --decode 1,16,64,256 --json "$out/bench-torch.json"'
}

# --- several ranks ---
step "quick start, 2 replicas" 60 bash -c 'quick_start replicas 2 --device cuda --allow-device-sharing'
step "replicas have the same answers" 10 bash -c 'same cuda replicas'
for tp in 2 4 8; do
    [ "$tp" -le 4 ] || [ "$tp" -le "$devices" ] || continue
    step "quick start, tp $tp, staged" 60 bash -c \
        "quick_start staged$tp $tp --device cuda --tp $tp --allow-device-sharing --device-transport staged"
    step "quick start, tp $tp, NCCL" 60 bash -c \
        "quick_start nccl$tp $tp --device cuda --tp $tp --allow-device-sharing --device-transport nccl"
    step "NCCL and staged, tp $tp: same answers" 10 bash -c "same staged$tp nccl$tp"
done
step "tp-invariant: tp 1" 60 bash -c 'quick_start invariant1 0 --device cuda --tp-invariant'
step "tp-invariant: tp 2" 60 bash -c \
    'quick_start invariant2 2 --device cuda --tp 2 --tp-invariant --allow-device-sharing --device-transport staged'
step "tp-invariant: same answers" 10 bash -c 'same invariant1 invariant2'
program gpu_group_tests && {
    for ranks in 2 4; do
        step "copies between $ranks ranks, staged" 45 bash -c "shared $ranks '$bundle/tests/gpu_group_tests'"
        step "copies between $ranks ranks, NCCL" 60 env MUSTER_TEST_TRANSPORT=nccl \
            bash -c "shared $ranks '$bundle/tests/gpu_group_tests'"
    done
}

# Several devices: by the way that they are connected.
speed && for tp in 2 4 8; do
    [ "$tp" -le "$devices" ] && step "bench: Llama 3 8B, tp $tp" 75 env "bench_ranks=$tp" bash -c \
        "bench llama-3-8b-tp$tp prefill,decode --shape llama-3-8b --tp $tp --batch 1,16,64 --runs 3"
done

# --- the rest, as long as there is time ---
speed && {
    step "bench: Qwen2.5 7B" 60 bash -c 'bench qwen2.5-7b prefill,decode --shape qwen2.5-7b --batch 1,64 --runs 3'
    step "bench: slice of a 70B" 60 bash -c \
        'bench llama-3-70b prefill,decode --shape llama-3-70b-slice --batch 1,64 --runs 3'
    step "bench: Mixtral 8x7B" 75 bash -c 'bench mixtral-8x7b prefill,decode --shape mixtral-8x7b --batch 1,64 --runs 1'
    program cuda_products_bench && step "bench: experts, products of few rows" 40 "$bundle/tests/cuda_products_bench"
    program gpu_tests && step "compute-sanitizer" 120 bash -c "sanitized '$bundle/tests/gpu_tests' --test-case-exclude='*ceilings*'"
}
