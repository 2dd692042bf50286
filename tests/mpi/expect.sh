#!/usr/bin/env bash
# Runs a command and checks its exit code and its output (both streams).
#
#   tests/mpi/expect.sh CODE LINES REGEX COMMAND [ARGUMENTS...]
#
# CODE: the exit code it must have. REGEX (grep -E) must match exactly LINES lines; + means one or more.
set -uo pipefail
[ $# -ge 4 ] || { sed -n '2,6p' "$0"; exit 2; }
code=$1 lines=$2 regex=$3
shift 3
output=$("$@" 2>&1)
got=$?
printf '%s\n' "$output"
matches=$(grep -cE -- "$regex" <<<"$output")
status=0
[ "$got" -eq "$code" ] || { echo "expect.sh: exit code $got, expected $code"; status=1; }
if [ "$lines" = + ] && [ "$matches" -gt 0 ]; then lines=$matches; fi
[ "$matches" = "$lines" ] ||
    { echo "expect.sh: $matches lines match '$regex', expected $lines"; status=1; }
exit $status
