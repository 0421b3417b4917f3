#!/bin/sh
# The gate of this repository: the scenario library against the baseline that is checked in.
#
#   ci/gate.sh                fail if something got worse (exit 1)
#   ci/gate.sh --update       make the baseline anew, which a reviewer then sees in the diff
#
# IOVASIM names the program; without it, cargo builds and runs it.
set -eu
cd "$(dirname "$0")/.."
run() {
    if [ -n "${IOVASIM:-}" ]; then "$IOVASIM" "$@"; else cargo run --release --quiet -- "$@"; fi
}
result=$(mktemp)
trap 'rm -f "$result"' EXIT
# What scenarios expect is checked by their own tests; here only what changed counts.
run run --format json scenarios/*.json >"$result" || [ $? -eq 1 ]
if [ "${1:-}" = --update ]; then
    cp "$result" ci/baseline.json
else
    run compare ci/baseline.json "$result" --policy ci/policy.json "$@"
fi
