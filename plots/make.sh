#!/bin/sh
# Remakes the gallery: sh plots/make.sh [FOLDER]. The bytes are the same every time, and a test
# compares them with the files here. IOVASIM names the program; without it, it is built. Takes a
# few seconds.
set -eu
cd "$(dirname "$0")/.."
folder=${1:-plots}

iovasim() {
    if [ -n "${IOVASIM:-}" ]; then
        "$IOVASIM" --quiet "$@"
    else
        cargo run --release --locked --quiet -- --quiet "$@"
    fi
}

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# The bug report that started the project, event by event: old and new.
iovasim run scenarios/mediatek-report.json --sample -o "$results/report.json" >/dev/null
iovasim plot "$results/report.json" --chart max32 --chart address-map -o "$folder"

# The same as a stress with seeds: how often, and since when.
iovasim run scenarios/founding-stress.json --seeds 5 -o "$results/stress.json" >/dev/null
iovasim plot "$results/stress.json" --chart failure-rate -o "$folder"
iovasim run scenarios/founding-stress.json --seeds 5 -o "$results/history.json" --allocator \
    linux-4.15,linux-4.20,linux-5.1,linux-5.3,linux-5.11,linux-5.13,linux-5.17,linux-5.18,linux-6.0,linux-6.2,linux-6.6,linux-6.7 \
    >/dev/null
iovasim plot "$results/history.json" --chart releases -o "$folder"

# A day of a camera: the newest release, and best fit instead.
iovasim run scenarios/camera.json --seeds 1 --sample=1s --allocator linux-7.2,best-fit \
    -o "$results/camera.json" >/dev/null
iovasim plot "$results/camera.json" --chart address-map --chart fragmentation \
    --chart search-cost --chart workload -o "$folder"
