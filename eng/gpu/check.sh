#!/usr/bin/env bash
# eng/gpu/check.sh             every CUDA kernel on a device against the composite, there and in float64 on the processor;
#                              whole models and their CUDA graphs; then compute-sanitizer, where it is on PATH
# eng/gpu/check.sh --quick     a few small cases of each kernel, without the sanitizer
# eng/gpu/check.sh --sanitize  compute-sanitizer's memcheck and racecheck alone, on those cases
# Other arguments, such as --only slide or --emulated, go to the program as they are, without the sanitizer too.
# Status: 0 all is right, 1 something is not, 2 the arguments, 3 no CUDA device, 4 something is not installed (prepare.sh).
set -uo pipefail

# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/prepare.sh"

sanitize() {
    local tool failed=0
    for tool in memcheck racecheck; do
        printf '\n== compute-sanitizer %s\n' "$tool"
        # Ways are not measured under a tool that slows them all.
        LOCALATTENTION_TUNING=off compute-sanitizer --tool "$tool" --error-exitcode 9 --target-processes all \
            "${program[@]}" check --quick || failed=1
    done
    return $failed
}

case $* in
'') ;;
--sanitize)
    command -v compute-sanitizer >/dev/null || missing "compute-sanitizer is not on PATH"
    sanitize
    exit
    ;;
*) exec "${program[@]}" check "$@" ;;
esac

# Is there a device at all? The quick check says so, and compiles some of what follows.
"${program[@]}" check --quick
status=$?
[ $status -eq 0 ] || exit $status

# Compiling takes most of the time: each family and element type has a process of its own, or several where it has more.
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
parts=()
for kernel in slide:4 qna:4 neighbourhood:2 window:1; do
    for element in float32 float16 bfloat16; do
        count=${kernel#*:}
        for ((part = 1; part <= count; part++)); do
            parts+=("--only ${kernel%:*} --element $element --part $part/$count")
        done
    done
done
parts+=("--only models")
part_of() { tr -d ' /' <<<"$1"; }
export -f part_of
# As many at a time as there are cores, and 4 GiB of the device's memory for each.
processes=$(nproc)
memory=$(nvidia-smi --query-gpu=memory.total --format=csv,noheader,nounits 2>/dev/null | head -n 1)
case $memory in
'' | *[!0-9]*) ;;
*) [ "$((memory / 4096))" -ge "$processes" ] || processes=$((memory / 4096 + 1)) ;;
esac
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
printf '%s\n' "${parts[@]}" | xargs -P "$processes" -I{} bash -c '
    logs=$1 part=$2
    shift 2
    "$@" check $part >"$logs/$(part_of "$part")" 2>&1
    echo $? >"$logs/$(part_of "$part").status"' _ "$logs" {} "${program[@]}"
failed=0
for part in "${parts[@]}"; do
    name=$(part_of "$part")
    printf '\n== check %s\n' "$part"
    cat "$logs/$name"
    [ "$(cat "$logs/$name.status" 2>/dev/null)" = 0 ] || failed=1
done

if command -v compute-sanitizer >/dev/null; then
    sanitize || failed=1
else
    printf '\ncompute-sanitizer is not on PATH: its checks are left out\n'
fi
printf '\n%s\n' "$([ $failed -eq 0 ] && echo 'all is right' || echo 'something FAILED')"
exit $failed
