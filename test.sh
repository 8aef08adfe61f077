#!/usr/bin/env bash
# Sets up, builds and runs every test. The last line is 'N passed, N failed'. Arguments go to each suite, such as
# --filter-test-case NAME.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$root"
passed=0
failed=0

"$root/eng/setup.sh" || exit 1

suites=()
for project in tests/*.Tests; do
    suites+=("$(basename "$project")")
done

"$root/eng/build.sh" LocalAttention.Dsl.sln || {
    printf '0 passed, 1 failed\n'
    exit 1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# run SUITE COMMAND…   runs a suite and adds what its last line counts.
run() {
    local suite=$1 status counts good bad errored
    shift
    printf '== %s\n' "$suite"
    "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    # Both providers' closing lines: 'N passed, N failed', and Expecto's '… N passed, N ignored, N failed, N errored'; and
    # that of xUnit and NUnit: '… Failed: N, Passed: N, …'.
    counts=$(sed -E 's/\x1b\[[0-9;]*m//g' "$log" |
        sed -nE -e 's/^(.*[^0-9,])?([0-9,]+) passed, ([0-9,]+ ignored, )?([0-9,]+) failed(, ([0-9,]+) errored)?.*/\2 \4 \6/p' \
            -e 's/^(Passed|Failed)! +- Failed: +([0-9]+), Passed: +([0-9]+),.*/\3 \2/p' | tail -n 1 | tr -d ,)
    read -r good bad errored <<<"${counts:-0 0 0}"
    bad=$((${bad:-0} + ${errored:-0}))
    # A suite that ends without its closing line, or badly without a failed test, has failed as a whole.
    if [ -z "$counts" ] || { [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; }; then
        printf '%s ended with status %s\n' "$suite" "$status"
        bad=$((bad + 1))
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
}

for suite in "${suites[@]}"; do
    # The assembly carries the project's name, with or without LocalAttention before it.
    run "$suite" dotnet artifacts/bin/"$suite"/release/*"$suite".dll "$@"
done
# A user's suites, of three test libraries; they have no part in a search for one test.
if [ $# -eq 0 ]; then
    samples=Samples.Verification
    run $samples.Expecto dotnet artifacts/bin/Expecto/release/$samples.Expecto.dll
    for suite in XUnit NUnit; do
        run $samples.$suite dotnet vstest artifacts/bin/$suite/release/$samples.$suite.dll
    done
fi

printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
