#!/bin/sh
# The gate of this repository: the scenario library against the baseline that is checked in.
#
#   ci/gate.sh                exit 1 if something got worse, or an expectation does not hold
#   ci/gate.sh --update       make the baseline anew, which a reviewer then sees in the diff
#
# IOVASIM names the program; without it, cargo builds and runs it.
set -eu
cd "$(dirname "$0")/.."
run() {
    if [ -n "${IOVASIM:-}" ]; then "$IOVASIM" "$@"; else cargo run --release --quiet -- "$@"; fi
}
library() {
    for file in scenarios/*.json; do
        case $file in */schema.json) ;; *) echo "$file" ;; esac
    done
}
result=$(mktemp)
trap 'rm -f "$result"' EXIT
status=0
# shellcheck disable=SC2046 # no name in the library has a blank
run run --format json $(library) >"$result" || status=$?
# 1: an expectation of a scenario does not hold, which the run has said.
[ "$status" -le 1 ] || exit "$status"
if [ "${1:-}" = --update ]; then
    cp "$result" ci/baseline.json
else
    run compare ci/baseline.json "$result" --policy ci/policy.json "$@" || status=$?
fi
exit "$status"
