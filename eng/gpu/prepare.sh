# Sourced by check.sh and bench.sh: finds Python's PyTorch, builds Torch.Native against it, and finds this program. Sets
# python, root and program (an array). What is missing ends the script with status 4.
#
# GPU_PYTHON names another Python than python3 on PATH, LIBTORCH_HOME another libtorch than that Python's, CUDA_HOME the
# folder of a CUDA toolkit.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

missing() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 4
}

# Python, and where its packages and its PyTorch are.
python=
for candidate in ${GPU_PYTHON:-python3 /usr/bin/python3}; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import torch, numpy' 2>/dev/null; then
        python=$(command -v "$candidate")
        break
    fi
done
[ -n "$python" ] ||
    missing "no Python with PyTorch and NumPy (${GPU_PYTHON:-python3, /usr/bin/python3}); name one by GPU_PYTHON"
torch=$("$python" -c 'import os, torch; print(os.path.dirname(torch.__file__))')
packages=$(dirname "$torch")

# libtorch: PyTorch's own, or the system's where that is what Python has.
if [ -z "${LIBTORCH_HOME:-}" ]; then
    if [ -e "$torch/lib/libtorch_cpu.so" ] && [ -e "$torch/include/torch/library.h" ]; then
        export LIBTORCH_HOME=$torch
    elif ! [ -e /usr/include/torch/library.h ]; then
        missing "PyTorch in $torch has no libraries and headers, and the system has none; set LIBTORCH_HOME"
    fi
fi

# CUDA's headers: of a toolkit, or of the packages that PyTorch's wheels need.
if [ -e "${LIBTORCH_HOME:-/nowhere}/lib/libtorch_cuda.so" ]; then
    toolkit=$(command -v nvcc || true)
    [ -z "$toolkit" ] || toolkit=$(dirname "$(dirname "$(readlink -f "$toolkit")")")
    for candidate in ${CUDA_HOME:+"$CUDA_HOME"} ${toolkit:+"$toolkit"} /usr/local/cuda "$packages"/nvidia/cu[0-9]* \
        "$packages"/nvidia/cuda_runtime; do
        if [ -e "$candidate/include/cuda_runtime_api.h" ]; then
            export CUDA_HOME=$candidate
            headers=$candidate/include
            break
        fi
    done
    [ -n "${headers:-}" ] || missing "no cuda_runtime_api.h in a CUDA toolkit or in $packages/nvidia; set CUDA_HOME"
fi

# NVRTC, which compiles the kernels. The program looks in more places where none is named.
if [ -z "${LOCALATTENTION_NVRTC:-}" ]; then
    for candidate in "$packages"/nvidia/cu[0-9]*/lib/libnvrtc.so.* "$packages"/nvidia/cuda_nvrtc/lib/libnvrtc.so.* \
        "${CUDA_HOME:-/nowhere}"/lib64/libnvrtc.so; do
        case $candidate in
        *builtins* | *.alt.*) ;;
        *)
            if [ -e "$candidate" ]; then
                export LOCALATTENTION_NVRTC=$candidate
                break
            fi
            ;;
        esac
    done
fi

# The program: published, or built here.
if [ -x "$root/LocalAttention.Gpu" ]; then
    program=("$root/LocalAttention.Gpu")
elif command -v dotnet >/dev/null; then
    "$root/eng/build.sh" eng/gpu >&2
    program=(dotnet "$root/artifacts/bin/Gpu/release/LocalAttention.Gpu.dll")
elif [ -x "$root/artifacts/gpu/LocalAttention.Gpu" ]; then
    program=("$root/artifacts/gpu/LocalAttention.Gpu")
else
    missing "there is neither a published program nor a .NET SDK; run eng/gpu/publish.sh where there is one"
fi

# Torch.Native.
for tool in cmake g++; do
    command -v "$tool" >/dev/null || missing "'$tool' is not on PATH; Torch.Native is built by cmake and g++"
done
native=$root/artifacts/gpu-native
mkdir -p "$native"
{
    cmake -S "$root/src/Torch.Native" -B "$native/build" -DCMAKE_BUILD_TYPE=Release -DNATIVE_OUTPUT="$native" &&
        cmake --build "$native/build" --parallel
} >"$native/log" 2>&1 || {
    tail -n 30 "$native/log" >&2
    missing "Torch.Native does not build against libtorch in ${LIBTORCH_HOME:-the system}; $native/log says more"
}
export LOCALATTENTION_TORCH_NATIVE=$native/libTorchNative.so
