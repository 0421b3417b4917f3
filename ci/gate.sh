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
baseline=ci/baseline.json.zst
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
result=$folder/result.json.zst
status=0
# shellcheck disable=SC2046 # no name in the library has a blank
run run --output "$result" $(library) >/dev/null || status=$?
# 1: an expectation of a scenario does not hold, which the run has said.
[ "$status" -le 1 ] || exit "$status"
if [ "${1:-}" = --update ]; then
    cp "$result" "$baseline"
else
    run compare "$baseline" "$result" --policy ci/policy.json "$@" || status=$?
fi
exit "$status"
