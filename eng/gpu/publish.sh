#!/usr/bin/env bash
# eng/gpu/publish.sh   puts into artifacts/gpu all that check.sh and bench.sh need on a machine with a GPU and without a .NET
# SDK: the program for linux-x64 in one file, the sources of Torch.Native, the peers and the scripts, laid out as they are
# here. Fails where it is more than 64 MiB.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
most=$((64 << 20))
target=artifacts/gpu

rm -rf "$target"
mkdir -p "$target"
published=$(mktemp -d)
trap 'rm -rf "$published"' EXIT
dotnet publish eng/gpu/Gpu.csproj -c Release -r linux-x64 -v q -nologo -o "$published" "$@" >&2
cp "$published/LocalAttention.Gpu" "$target/"

# Torch.Native is built there, against the libtorch that is there.
mkdir -p "$target"/{eng/gpu,bench,src,eng}
cp -r src/Torch.Native "$target/src/"
cp -r bench/peers "$target/bench/"
rm -rf "$target/bench/peers/__pycache__"
cp eng/gpu/*.sh eng/gpu/*.py "$target/eng/gpu/"

size=$(du -sb "$target" | cut -f1)
printf '%s: %s MiB of at most %s\n' "$target" "$(((size + 1048575) >> 20))" "$((most >> 20))"
[ "$size" -le "$most" ] || {
    printf 'publish: more than fits\n' >&2
    exit 1
}
