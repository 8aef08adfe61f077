// The zoo: every model that both papers compare, computed from its declaration. With --json: an array of numbers, and
// nothing else.
#load "../LocalAttention.fsx"

open System.Text.Json
open LocalAttention.Core.Analysis
open LocalAttention.Core.Specification
open LocalAttention.Dsl

/// What an entry of the zoo has at 224×224, merged: with the two convolutions of each Slide layer as one.
type Row =
    { name: string
      family: string
      parameters: int64
      trainable_parameters: int64
      macs_224: int64
      macs_224_merged: int64 }

let image = ImageSize.Square 224

let row (entry: ZooEntry) =
    { name = entry.Name
      family = entry.Family.Name
      parameters = parameters entry.Architecture
      trainable_parameters = trainableParameters entry.Architecture
      macs_224 = MultiplyAccumulates.Of(entry.Architecture, image).Total
      macs_224_merged = MultiplyAccumulates.Of(entry.Architecture, image, mergedShifts = true).Total }

if Array.contains "--json" fsi.CommandLineArgs then
    let options = JsonSerializerOptions(WriteIndented = true)
    printfn "%s" (JsonSerializer.Serialize([| for entry in Zoo.all -> row entry |], options))
else
    printfn
        "Computed from the declarations: parameters, and multiply-accumulates of one image of 224×224 in thousand"

    printfn
        "millions, for Slide models also with both convolutions merged, as the papers count. Under `paper`: what was"

    printfn "published, rounded as it was; blank where nothing was.\n"
    printfn "%s\n" (Printing.zoo Zoo.all)

    // Where figures disagree, and how sure the models are that no published code declares.
    for entry in Zoo.all do
        if entry.Note <> "" && not (entry.Name.StartsWith "qna-") then
            printfn "%-25s %s" entry.Name entry.Note

    // Entries are values: any question is a filter. The largest model that the computed numbers fit into a budget.
    let affordable =
        Zoo.all
        |> List.filter (fun entry ->
            (row entry).macs_224_merged < 4_500_000_000L && entry.Paper.Top1.HasValue)
        |> List.maxBy _.Paper.Top1.Value

    printfn "\nthe most accurate below 4.5 GMACs, by the papers: %s" affordable.Name

    // One rewrite away: the Slide paper's move, made on the spot, is the zoo's model.
    let moved =
        Zoo.get "pvt-tiny"
        |> inStages [ 1; 2 ] (attention (slide 3))
        |> named "slide-pvt-tiny"

    printfn
        "pvt-tiny with slide attention in its first two stages is slide-pvt-tiny: %b"
        (moved = SlidePvt.tiny)
