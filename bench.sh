#!/usr/bin/env bash
# ./bench.sh              sets up, builds, and measures ours and the peers in turns; prints a table, writes bench/results/
# ./bench.sh --quick      in about two minutes
# ./bench.sh --only NAME  only that work; more names, and * for any letters, are taken too; --list has the names
# ./bench.sh --json       one JSON array on standard output, and nothing else
# ./bench.sh --kernels    our own kernels alone, by BenchmarkDotNet
# The peers run in the Python that BENCH_PYTHON names, /usr/bin/python3 by default.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${BENCH_PYTHON:-/usr/bin/python3}
if "$python" -c 'import numpy, torch' 2>/dev/null; then
    "$root/eng/setup.sh" >&2
else
    "$root/eng/setup.sh" python3-numpy python3-torch >&2
fi
"$root/eng/build.sh" bench >&2

case " $* " in
*' --help '* | *' -h '* | *' --list '* | *' --kernels '*) ;;
*) "$python" -B "$root/bench/peers/check.py" >&2 ;;
esac
exec dotnet "$root/artifacts/bin/Bench/release/LocalAttention.Bench.dll" "$@"
