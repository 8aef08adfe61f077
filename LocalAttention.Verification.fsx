// LocalAttention.fsx, and LocalAttention.Verification beside it: `#load "LocalAttention.Verification.fsx"`, then
// `open LocalAttention.Verification`. Built by `./run.sh`, or by `dotnet build src/Verification.FSharp -c Release`.
#load "LocalAttention.fsx"
#r "artifacts/bin/Verification.FSharp/release/FsCheck.dll"
#r "artifacts/bin/Verification.FSharp/release/LocalAttention.Verification.dll"

open LocalAttention.Verification

fsi.AddPrinter(fun (report: Report) -> "\n" + TextReport.render report)
fsi.AddPrinter(fun (subject: Subject) -> subject.Name)
