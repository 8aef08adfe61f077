#!/usr/bin/env bash
# ./run.sh                      sets up, builds, and runs the main job, samples/quickstart.fsx
# ./run.sh SCRIPT.fsx [ARGS]    the same for another script
# ./run.sh --interactive        an F# Interactive prompt with everything loaded
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# The standard output is the script's alone.
"$root/eng/setup.sh" >&2
"$root/eng/build.sh" src/Verification.FSharp >&2

if [ "${1:-}" = --interactive ]; then
    shift
    exec dotnet fsi --nologo --use:"$root/LocalAttention.fsx" "$@"
fi
script=${1:-$root/samples/quickstart.fsx}
[ -f "$script" ] || {
    printf "run.sh: there is no script '%s'; give the path of an .fsx file, or --interactive\n" "$script" >&2
    exit 2
}
exec dotnet fsi --quiet "$script" "${@:2}"
