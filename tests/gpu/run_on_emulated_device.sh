#!/usr/bin/env bash
# All of run.sh, from a bundle as scripts/bundle.sh makes it, with the emulated device (tests/cuda_emulator) in place of a
# real one: every step that needs no library of NVIDIA passes, and each leaves what it should.
#   run_on_emulated_device.sh SOURCE BUILD
set -u
source_folder=$1 build=$2
command -v ompi_info >/dev/null || { echo "not run: a bundle needs Open MPI"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER MUSTER_DATA
failures=0
fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

bundle=$work/bundle
"$source_folder/scripts/bundle.sh" --build "$build" --output "$bundle" --limit 400 >"$work/bundled" 2>&1 ||
    { cat "$work/bundled"; exit 1; }
mkdir -p "$bundle/lib/muster"
cp "${EMULATED_MODULE:?}/libmuster_cuda.so" "$bundle/lib/muster/" || exit 1
cp "$build/emulated_gpu_tests" "$bundle/tests/gpu_tests" || exit 1
rm -f "$bundle/tests/cuda_products_bench"  # asks cuBLASLt
cp "$build/mpi_group_copies_tests" "$bundle/tests/gpu_group_tests" || exit 1
cp "${EMULATED_NCCL:?}/libnccl.so.2" "${FAKE_DRIVER:?}"/*.so.1 "$bundle/lib/" || exit 1
touch "$bundle/lib/libcublasLt.so.13" "$bundle/lib/libcudart.so.13"

cat >"$work/small.json" <<'EOF'
{"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16", "vocab_size": 640, "hidden_size": 64, "intermediate_size": 96,
 "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024}
EOF
export MUSTER_FAKE_DEVICES='Emulated,11000000-0000-4000-8000-000000000000,0000:17:00.0,90,1000,950'
export MUSTER_GPU_RUN='--limit 1 --max-gen-toks 8 --bootstrap-iterations 10 --kv-tokens 2048 --step-tokens 64'
export MUSTER_GPU_BENCH="--shape $work/small.json --batch 1,3 --runs 1 --prompt 20 --context 10 --new 4 --step-tokens 64 --questions 4"
export MUSTER_GPU_TESTS='--test-case=*record*,*arena*,*ceilings*,*norm*,*mixture*'
export OMPI_MCA_plm_rsh_agent=no-such-program  # as on a machine without ssh
export MUSTER_GPU_SECONDS=850 MUSTER_GPU_PATIENCE=3
code=0
"$bundle/run.sh" "$work/out" >"$work/said" 2>&1 || code=$?
cat "$work/out/table.txt"
[ "$code" -eq 0 ] || { fail "exit code $code"; cat "$work/said"; }
while read -r line; do
    case $line in
    step* | *" passed "*) ;;
    driver* | *torch* | compute-sanitizer*) grep -q ' skipped ' <<<"$line" || fail "not skipped: $line" ;;
    *) fail "$line" ;;
    esac
done <"$work/out/table.txt"
for name in llama-3-8b llama-3-8b-decode llama-3-8b-kernels qwen2.5-7b llama-3-70b mixtral-8x7b; do
    [ -s "$work/out/bench-$name.json" ] || fail "no bench-$name.json"
done
for pattern in 'NCCL 2.28.9: 1.0 MiB of every rank' 'MPI through host memory: 1.0 MiB of every rank' '7 scores as expected'; do
    grep -q "$pattern" "$work/out/log.txt" || fail "the log has no \"$pattern\""
done
[ "$failures" -eq 0 ] && echo "all passed"
exit "$((failures > 0))"
