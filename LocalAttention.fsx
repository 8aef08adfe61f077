// Everything of LocalAttention.Dsl for a script or a prompt: `#load "LocalAttention.fsx"`, then `open LocalAttention.Dsl`.
// What is referred to here is built by `./run.sh`, or by `dotnet build src/Dsl.FSharp -c Release`.
#load "artifacts/bin/Dsl.FSharp/release/References.fsx"

open LocalAttention.Dsl

// F# Interactive indents the first line of a value only: text of several lines begins below it.
let private below (print: 'value -> string) (value: 'value) = "\n" + print value

fsi.AddPrinter(below Printing.architecture)
fsi.AddPrinter(below Printing.stage)
fsi.AddPrinter(below Printing.problems)
fsi.AddPrinter(below Printing.difference)
fsi.AddPrinter(below Printing.backbone)
fsi.AddPrinter(below Printing.training)
fsi.AddPrinter(below Printing.zooEntry)
fsi.AddPrinter(below Printing.receptiveField)
fsi.AddPrinter(below Printing.equivariance)
fsi.AddPrinter Printing.block
fsi.AddPrinter Printing.attention
fsi.AddPrinter Printing.transition
fsi.AddPrinter Printing.dataset
fsi.AddPrinter Printing.tensor
fsi.AddPrinter Printing.layer
fsi.AddPrinter Printing.evaluation
fsi.AddPrinter Printing.options
fsi.AddPrinter(fun (problem: LocalAttention.Core.Specification.Problem) -> problem.ToString())
