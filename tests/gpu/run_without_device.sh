#!/usr/bin/env bash
# run.sh on a machine without a device: says so, tries nothing else and exits 77. Interrupted, or with a step that hangs,
# it ends with its table all the same.
#   run_without_device.sh SOURCE DEVICE_INFO
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bundle/tests"
cp "$1/tests/gpu/run.sh" "$work/bundle/run.sh"
cp "$1/scripts/bundle_env.sh" "$work/bundle/env.sh"
cp "$2" "$work/bundle/tests/device_info"
code=0
CUDA_VISIBLE_DEVICES=-1 "$work/bundle/run.sh" "$work/out" >"$work/said" 2>&1 || code=$?
cat "$work/said"
[ "$code" -eq 77 ] || { echo "FAILED: exit code $code, expected 77"; exit 1; }
grep -q '^no device: ' "$work/said" || { echo "FAILED: the reason is not given"; exit 1; }
[ "$(grep -c -E '(passed|FAILED|skipped)' "$work/out/table.txt")" -eq 1 ] || { echo "FAILED: more than one step"; exit 1; }
[ -s "$work/out/log.txt" ] || { echo "FAILED: no log"; exit 1; }

# A device that takes for ever to say what it is: the step's limit, a lost patience, an interruption.
printf '#!/bin/sh\nexec sleep 300\n' >"$work/bundle/tests/device_info"
code=0
start=$SECONDS
MUSTER_GPU_SECONDS=7 "$work/bundle/run.sh" "$work/late" >"$work/said" 2>&1 || code=$?
[ "$code" -eq 1 ] || { echo "FAILED: exit code $code of a step that hangs, expected 1"; exit 1; }
[ $((SECONDS - start)) -lt 40 ] || { echo "FAILED: it took $((SECONDS - start)) s"; exit 1; }
grep -Eq '^device +FAILED .*not done after' "$work/late/table.txt" || { cat "$work/late/table.txt"; echo "FAILED: no such step"; exit 1; }
"$work/bundle/run.sh" "$work/stopped" >"$work/said" 2>&1 &
run=$!
for _ in $(seq 100); do
    grep -q '^=== device' "$work/stopped/log.txt" 2>/dev/null && break
    sleep 0.1
done
kill -TERM "$run"
code=0
wait "$run" || code=$?
[ "$code" -eq 1 ] || { echo "FAILED: exit code $code of an interrupted run, expected 1"; exit 1; }
grep -Eq '^device +FAILED .*interrupted' "$work/stopped/table.txt" || { cat "$work/said"; echo "FAILED: no table of an interrupted run"; exit 1; }
