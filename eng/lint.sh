#!/usr/bin/env bash
# Formatting and analyzers: dotnet format for C#, Fantomas for F#. Says what is not clean; changes nothing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
dotnet tool restore >/dev/null
for project in src/Torch.CSharp src/Core.CSharp samples/CSharpConsumer bench eng/gpu; do
    dotnet format "$project" --no-restore --verify-no-changes
done
# These refer to F#, which the analyzers' workspace cannot load.
dotnet format whitespace samples/verification --folder --verify-no-changes
dotnet fantomas --check LocalAttention.fsx LocalAttention.Verification.fsx src samples tests eng
