#!/usr/bin/env bash
# eng/gpu/ptx.sh            compiles every CUDA kernel, with all constants that check launches, and says what does not compile:
#                           by NVRTC where its library is found, else by clang for NVIDIA's processors, else not at all
# eng/gpu/ptx.sh --quick    with the constants of check --quick alone
# Other arguments of check --list (--only slide, --element float16) select too. The program is built where it is not yet, or
# is what GPU_PROGRAM says. CLANG names clang 14 or later.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
if [ -n "${GPU_PROGRAM:-}" ]; then
    read -ra program <<<"$GPU_PROGRAM"
elif [ -x LocalAttention.Gpu ]; then
    program=(./LocalAttention.Gpu)
else
    eng/build.sh eng/gpu >&2 || exit 1
    program=(dotnet artifacts/bin/Gpu/release/LocalAttention.Gpu.dll)
fi

compiled=$("${program[@]}" check --compile "$@" 2>&1)
status=$?
if [ $status -ne 3 ]; then
    printf '%s\n' "$compiled"
    exit $status
fi

clang=${CLANG:-}
for candidate in clang-19 clang-18 clang-17 clang-16 clang-15 clang-14 clang; do
    [ -n "$clang" ] || clang=$(command -v "$candidate" || true)
done
if [ -z "$clang" ] || ! "$clang" --print-targets 2>/dev/null | grep -q nvptx64 || ! [ -d src/Core.CSharp/Kernels/Cuda ]; then
    printf 'ptx: neither NVRTC nor a clang that compiles for NVIDIA'\''s processors is here: kernels were not compiled\n'
    exit 0
fi
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
"${program[@]}" check --list "$@" | cut -f1,3 | sort -u >"$logs/units" || exit 1
export clang logs
# shellcheck disable=SC2016
tr '\t' ' ' <"$logs/units" | xargs -P "$(nproc)" -I{} bash -c '
    read -ra words <<<"$1"
    macros=("${words[@]:1}")
    "$clang" -x cuda --cuda-device-only -nocudainc -nocudalib --cuda-gpu-arch=sm_80 -Xclang -target-feature -Xclang +ptx75 \
        -std=c++17 -fdeclspec -O3 -Wall -Werror -Wno-unknown-cuda-version -Wno-unused-function -include eng/gpu/Clang.h \
        "${macros[@]/#/-D}" -S -o /dev/null "src/Core.CSharp/Kernels/Cuda/${words[0]}" >"$logs/$$" 2>&1 || {
        printf "== %s\n" "$1" | cat - "$logs/$$"
        touch "$logs/failed-$$"
    }' _ {}
all=$(wc -l <"$logs/units")
failed=$(find "$logs" -name 'failed-*' | wc -l)
printf '%s, sm_80: %s passed, %s failed\n' "$("$clang" --version | head -n 1)" $((all - failed)) "$failed"
[ "$all" -gt 0 ] && [ "$failed" -eq 0 ]
