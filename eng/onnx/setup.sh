#!/usr/bin/env bash
# Installs ONNX Runtime for Node.js into artifacts/onnx, and Node.js where it is missing; quick when nothing is missing. None
# of the packages' install scripts is run. The tests of exported models call it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/eng/onnx
target=$root/artifacts/onnx

fail() {
    printf 'onnx: %s\n' "$1" >&2
    exit 1
}

packages=()
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
[ ${#packages[@]} -eq 0 ] || "$root/eng/setup.sh" "${packages[@]}" ||
    fail "exported models are checked in ONNX Runtime, which needs Node.js and npm; install ${packages[*]} and try again"

# The copy of the lock file is made last, so that it stands only beside what is complete.
if ! cmp -s "$here/package-lock.json" "$target/installed.json"; then
    mkdir -p "$target"
    cp "$here/package.json" "$here/package-lock.json" "$target"
    npm ci --prefix "$target" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 ||
        fail "npm could not install onnxruntime-node, in which exported models are checked; see its message above"
    cp "$here/package-lock.json" "$target/installed.json"
fi
