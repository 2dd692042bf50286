#!/usr/bin/env bash
# run.sh on a machine without a device: says so, tries nothing else and exits 77.
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
