#!/usr/bin/env bash
# eng/gpu/bench.sh               measures ours and the peers on a CUDA device, in turns; prints a table, writes
#                                eng/gpu/results/DATE-DEVICE.json
# eng/gpu/bench.sh --quick       few repetitions
# eng/gpu/bench.sh --only NAME   some works; * stands for any letters
# eng/gpu/bench.sh --cpu         a rehearsal of the whole on the processor, on small maps: its times mean nothing
# Status: 0 measured, 1 results differ, 2 the arguments, 3 no CUDA device, 4 something is not installed (prepare.sh).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
source "$here/prepare.sh"
exec "${program[@]}" bench --python "$python" --peers "$here/peers.py" --results "$here/results" "$@"
