#!/bin/bash
#SBATCH --job-name=iovasim
#SBATCH --array=1-7
#SBATCH --cpus-per-task=1
#SBATCH --output=iovasim-%A-%a.log
#
# A run as a Slurm job array, a shard a task:
#
#   sbatch --export=ALL,OUT=results,SCENARIOS="scenarios/founding-stress.json" ci/slurm-array.sh
#   sbatch --dependency=afterok:JOB --wrap "iovasim merge results/shard-*.json -o result.json"
#
# OUT is a folder that all nodes see, SCENARIOS the scenario files, IOVASIM the program.
# More shards: sbatch --array=1-40. A task that failed is done again with --array=K, given
# SHARDS=N, because Slurm then counts only what is left.
set -euo pipefail
shards=${SHARDS:-$SLURM_ARRAY_TASK_COUNT}
# shellcheck disable=SC2086 # scenario files are separated by blanks
exec "${IOVASIM:-iovasim}" run --quiet $SCENARIOS --jobs "${SLURM_CPUS_PER_TASK:-1}" \
    --shard "$SLURM_ARRAY_TASK_ID/$shards" --output "$OUT/shard-$SLURM_ARRAY_TASK_ID.json"
