#!/usr/bin/env bash
# eng/build.sh PROJECT…   builds the projects in Release; does nothing when no source is newer than the last build.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
stamps=artifacts/stamps
mkdir -p "$stamps"
for project in "$@"; do
    stamp=$stamps/${project//\//-}-$(printf '%s' "${TorchProvider:-}${TestProvider:-}${OracleProvider:-}${LIBTORCH_HOME:-}" | cksum | cut -d' ' -f1)
    if [ -e "$stamp" ] && [ -z "$(find src tests samples eng bench/*/*.cs bench/*.cs* ./*.props -newer "$stamp" -type f -print -quit)" ]; then
        continue
    fi
    started=$(mktemp)
    log=$(mktemp)
    if ! dotnet build "$project" -c Release -v q -nologo >"$log" 2>&1; then
        grep -E 'error|warning' "$log" | sort -u >&2 || cat "$log" >&2
        printf 'build: %s failed\n' "$project" >&2
        rm -f "$started" "$log"
        exit 1
    fi
    # The stamp carries the time before the build, so that a file changed meanwhile is seen next time.
    mv "$started" "$stamp"
    rm -f "$log"
done
