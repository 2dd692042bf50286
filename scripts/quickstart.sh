#!/usr/bin/env bash
# From a fresh clone to a result: installs what is missing, builds muster and evaluates the embedded model
# on the three embedded tasks with four MPI ranks, and verifies the result. The result is quickstart.h5 in the current folder.
#
#   scripts/quickstart.sh [options] [-- options of muster run]
#
#   --ranks N         MPI ranks (default 4)
#   --launch "CMD"    how to start the ranks instead of mpirun, for instance "srun --mpi=pmix -n 4"
#   --output FILE     result file (default quickstart.h5); an existing one is replaced
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ranks=4
launch=
output=quickstart.h5
while [ $# -gt 0 ]; do
    case $1 in
    --ranks | --launch | --output)
        [ $# -ge 2 ] || die "$1 needs a value"
        declare "${1#--}=$2"
        shift 2
        ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    *) die "unknown option $1; see --help" ;;
    esac
done
case $ranks in '' | *[!0-9]* | 0) die "--ranks $ranks: expected a number of at least 1" ;; esac
case $output in /*) ;; *) output=$PWD/$output ;; esac

"$root/scripts/install-deps.sh"
build release muster
muster=$root/build/release/muster

mpi_settings
if [ -n "$launch" ]; then
    read -r -a launcher <<<"$launch"
else
    launcher=(mpirun -np "$ranks")
fi
say "${launcher[*]} muster run configs/quickstart/eval.json"
"${launcher[@]}" "$muster" run "$root/configs/quickstart/eval.json" --output "$output" --overwrite "$@" ||
    die "the evaluation failed (above)"

say "muster verify ${output##*/}: every score again from the stored records"
"$muster" verify "$output"
say "done: $output"
