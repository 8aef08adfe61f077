#!/usr/bin/env bash
# Installs what the build needs and this machine lacks; quick when nothing is missing. Arguments: more Debian packages.
# Needs the .NET SDK, g++ and cmake; on Debian the rest comes from its packages, as root or with sudo.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

for tool in dotnet g++ cmake; do
    command -v "$tool" >/dev/null || fail "'$tool' is not on PATH; install the .NET SDK 10, g++ and cmake first"
done
sdk=$(cd "$root" && dotnet --version 2>/dev/null) || fail "no .NET SDK here satisfies global.json; install the .NET SDK 10"
[ "${sdk%%.*}" -ge 10 ] || fail "the .NET SDK is $sdk; version 10 or later is needed"

packages=("$@")
if [ -z "${LIBTORCH_HOME:-}" ]; then
    [ -e /usr/include/torch/library.h ] || packages+=(libtorch-dev)
    compgen -G '/usr/lib/*/libopenblas.so.0' >/dev/null || packages+=(libopenblas0-pthread)
fi
[ -e /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz ] || packages+=(dataset-fashion-mnist)

if [ ${#packages[@]} -gt 0 ]; then
    command -v apt-get >/dev/null ||
        fail "missing: ${packages[*]}; without apt-get, install libtorch yourself and set LIBTORCH_HOME to its folder"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "missing: ${packages[*]}; run this as root or with sudo"
        as_root=(sudo)
    fi
    printf 'setup: installing %s\n' "${packages[*]}" >&2
    "${as_root[@]}" apt-get update -qq >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null || fail "apt-get could not install ${packages[*]}"
fi
