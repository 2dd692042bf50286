#!/usr/bin/env bash
# `muster bench --device cuda` on the emulated device: MODULE is the folder of its module, FAKE_DRIVER that of a made-up
# driver. Counts are exact; how fast it is says nothing.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
unset CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER
export LD_LIBRARY_PATH=${FAKE_DRIVER:?}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export MUSTER_MODULE_DIR=${MODULE:?} MUSTER_FAKE_DEVICES=1
nccl=${EMULATED_NCCL:?}/libnccl.so.2

cat >small.json <<'EOF'
{"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16", "vocab_size": 640, "hidden_size": 64, "intermediate_size": 96,
 "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024}
EOF
small=(bench --shape small.json --device cuda --phase "prefill,decode" --runs 1 --prompt 20 --context 10 --new 4 --step-tokens 64)

succeeds alone on 0 "${small[@]}" --batch 1,3 --json alone.json
grep -Eq '^bfloat16 products +GFLOP/s ' alone.log || fail "alone: no ceiling of products"
grep -Eq '^memory copied, in and out +GB/s ' alone.log || fail "alone: no ceiling of copies"
grep -q 'Emulated device' alone.log || fail "alone: does not say what it ran on"
[ "$(grep -c '"phase": ' alone.json)" -eq 4 ] || fail "alone: not two phases at two batches"
for batch in 1 3; do
    [ "$(grep -c "\"batch\": $batch," alone.json)" -eq 2 ] || fail "alone: batch $batch is not measured in both phases"
done
grep -q '"tokens_computed": 60,' alone.json || fail "alone: prefill of 3 × 20 tokens computed another number"
grep -q '"tokens_generated": 9,' alone.json || fail "alone: 3 sequences in 3 counted steps drew another number"
grep -q '"copy_bytes": {' alone.json || fail "alone: no ceilings in the JSON"

succeeds shared on 2 "${small[@]}" --tp 2 --allow-device-sharing --device-transport staged --batch 2
grep -q '1 replica(s) × 2 tensor-parallel' shared.log || fail "shared: not one replica of two ranks"

# A device for each rank, as which each sees the first: without NCCL one warning, and one that does not connect is missed
# after --device-timeout.
# shellcheck disable=SC2016
printf '#!/bin/sh\nCUDA_VISIBLE_DEVICES=$OMPI_COMM_WORLD_LOCAL_RANK NCCL_HOSTID=$OMPI_COMM_WORLD_RANK exec "$@"\n' >own_device.sh
chmod +x own_device.sh
together=(mpirun --timeout 240 -np 2 ./own_device.sh "$muster" "${small[@]}" --tp 2 --batch 2)
MUSTER_FAKE_DEVICES=2 MUSTER_NCCL_LIBRARY=/nowhere/libnccl.so.2 succeeds without "${together[@]}"
[ "$(grep -c 'warning: devices exchange through host memory, which is slow: .*/nowhere/libnccl.so.2' without.log)" -eq 1 ] ||
    { fail "without NCCL: not one warning"; tail -n 10 without.log; }
code=0
MUSTER_FAKE_DEVICES=2 MUSTER_NCCL_LIBRARY=$nccl EMULATED_NCCL=absent "${together[@]}" \
    --device-timeout 2 >absent.log 2>&1 || code=$?
[ "$code" -eq 3 ] || fail "NCCL that does not connect: exit code $code instead of 3"
grep -q 'no connection to its peers within 2.0 s' absent.log || { fail "NCCL that does not connect"; tail -n 10 absent.log; }

# A mixture of experts, alone and over two ranks.
cat >mixture.json <<'EOF'
{"architectures": ["MixtralForCausalLM"], "dtype": "bfloat16", "vocab_size": 640, "hidden_size": 64, "intermediate_size": 48,
 "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
 "num_local_experts": 5, "num_experts_per_tok": 2}
EOF
mixture=(bench --shape mixture.json --device cuda --phase "prefill,decode" --runs 1 --prompt 20 --context 10 --new 4
    --step-tokens 64 --batch 3 --profile)
succeeds mixture on 0 "${mixture[@]}" --json mixture.json.out
grep -q 'experts_add' mixture.log || fail "mixture: no experts in the profile"
grep -q '"tokens_computed": 60,' mixture.json.out || fail "mixture: prefill of 3 × 20 tokens computed another number"
succeeds mixture2 on 2 "${mixture[@]}" --tp 2 --allow-device-sharing --device-transport staged

# Heads without kernels: one error that lists those there are, before weights are made.
sed 's/"hidden_size": 64/"hidden_size": 64, "head_dim": 24/' small.json >odd.json
on 0 "${small[@]/small.json/odd.json}" --batch 1 >odd.log 2>&1
[ $? -eq 2 ] || fail "odd: a head size without kernels: another exit code"
grep -q 'head_dim is 24; on a device expected one of 8, 16, 32, 64, 80, 96, 128, 256: take --device cpu' odd.log ||
    fail "odd: $(tail -n 3 odd.log)"
[ "$(grep -c 'error' odd.log)" -eq 1 ] || fail "odd: not one error"
finish
