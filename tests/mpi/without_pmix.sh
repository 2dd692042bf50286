#!/usr/bin/env bash
# Runs a command as a launcher of another MPI library would start it: nothing tells it of its partners but the
# number of processes.
for name in $(compgen -e); do
    case $name in
    OMPI_COMM_WORLD_SIZE) ;;
    PMIX_* | OMPI_* | PMI_* | ORTE_*) unset "$name" ;;
    esac
done
exec "$@"
