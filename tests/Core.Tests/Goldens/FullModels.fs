/// Published models at full size, every parameter from the counter: logits of one image, statistics of each stage.
module LocalAttention.Core.Tests.FullModels

open System
open System.IO
open System.Text.Json
open Expecto
open LocalAttention.Oracle
open LocalAttention.Core.Backbones
open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open TorchSharp

/// The values of a parameter by its official name and shape, as the reference data's README has them.
let private weights naming (name: string) (shape: int array) =
    let last = name.Split([| '.'; '/' |]) |> Array.last
    let product (dimensions: int array) = Array.fold (*) 1 dimensions
    let scaled factor = fun u -> u * factor
    let besideOne u = 1.0 + 0.1 * u

    let change =
        match naming, last with
        | ParameterNaming.Flax, ("kernel" | "Wk") ->
            scaled (sqrt (3.0 / float (product shape[.. shape.Length - 2])))
        | ParameterNaming.Flax, "scale" -> besideOne
        | ParameterNaming.Flax, "bias" -> scaled 0.1
        | ParameterNaming.Flax, "query" -> id
        | ParameterNaming.Flax, _ -> scaled 0.5
        | _, "weight" when shape.Length > 1 -> scaled (sqrt (3.0 / float (product shape[1..])))
        | _, "weight" -> besideOne
        | _, ("relative_position_bias_table" | "rpb" | "cls_token") -> scaled 0.5
        | _, table when table.StartsWith "pos_embed" -> scaled 0.5
        | _ -> scaled 0.1

    Array.map change (Counter.numbers name (product shape))

let private fill (model: Backbone) =
    use _ = torch.no_grad ()
    let architecture = model.Architecture
    let naming = architecture.Conventions.Naming

    for name, parameter in namedParameters model do
        if not (name.EndsWith "dep_conv.weight") then
            use _ = torch.NewDisposeScope()
            let stored = ParameterNames.InFile(architecture, name, naming)
            let shape = stored.ShapeOf(ReadOnlySpan parameter.shape)
            let values = weights naming stored.Name (Array.map int shape)
            let inFile = torch.tensor (Array.map float32 values, ReadOnlySpan shape)

            let inModel =
                match stored.Layout with
                | ParameterLayout.InputFirst -> inFile.permute (1L, 0L)
                | ParameterLayout.ChannelsLast -> inFile.permute (3L, 2L, 0L, 1L)
                | _ -> inFile

            parameter.copy_ inModel |> ignore

/// Single precision rounds to 2⁻²⁴ = 6e-8. Each of the 24 branches of these models adds to the residual stream with a
/// relative error of its sums, of 64 to 3072 terms in blocks, of some ten roundings; the branches' errors add up to at
/// most 24·10·6e-8 = 1.4e-5 of the stream, and the sum of the head over 512 or 768 of them may cancel to a fifth of
/// what it adds up: 7e-5. The reference is in double precision.
let private rounding = 1e-4

/// All processors until it is disposed of.
let private allThreads () =
    let threads = torch.get_num_threads ()
    torch.set_num_threads Environment.ProcessorCount

    { new IDisposable with
        member _.Dispose() = torch.set_num_threads threads }

let private model (architecture: Architecture) file =
    testCase architecture.Name
    <| fun () ->
        use reference = JsonDocument.Parse(File.ReadAllText(Data.path file))
        use _ = allThreads ()
        use _ = torch.NewDisposeScope()
        use _ = torch.inference_mode ()
        use model = architecture.Build()
        fill model
        model.eval ()

        let image =
            torch.tensor (
                Counter.numbers "input" (224 * 224 * 3) |> Array.map float32,
                ReadOnlySpan [| 1L; 224L; 224L; 3L |]
            )

        let images = image.permute(0L, 3L, 1L, 2L).contiguous()

        let doubles (element: JsonElement) =
            [| for item in element.EnumerateArray() -> item.GetDouble() |]

        let expected = doubles (reference.RootElement.GetProperty("logits")[0])

        within
            rounding
            0.0
            (toArray (model.forward images))
            (NdArray.ofArray [ 1; expected.Length ] expected)
            "the logits"

        match reference.RootElement.TryGetProperty "stages" with
        | true, stages ->
            let actual = model.stages images |> Seq.map toArray |> List.ofSeq
            Expect.hasLength actual (stages.GetArrayLength()) "stages"

            for index, (stage, reference) in
                List.indexed (List.zip actual (List.ofSeq (stages.EnumerateArray()))) do
                let what = $"of stage {index + 1}"
                let number (name: string) = reference.GetProperty(name).GetDouble()

                let shape =
                    [| for item in reference.GetProperty("shape").EnumerateArray() -> item.GetInt32() |]

                Expect.equal stage.Shape shape $"the shape {what}"
                let mean = Array.average stage.Elements

                let deviation =
                    sqrt (Array.averageBy (fun value -> (value - mean) ** 2.0) stage.Elements)
                // Relative to the deviation: the mean is what is left of sums that all but cancel.
                Expect.isLessThanOrEqual
                    (abs (mean - number "mean"))
                    (rounding * number "std")
                    $"the mean {what}"

                Expect.isLessThanOrEqual
                    (abs (deviation - number "std"))
                    (rounding * number "std")
                    $"the deviation {what}"

                let first = doubles (reference.GetProperty "first")

                within
                    rounding
                    (number "std")
                    (NdArray.ofArray [ first.Length ] (Array.truncate first.Length stage.Elements))
                    (NdArray.ofArray [ first.Length ] first)
                    $"the first values {what}"
        | _ -> ()

let private names (architecture: Architecture) file =
    testCase $"{architecture.Name}: names and shapes in a file"
    <| fun () ->
        use reference = JsonDocument.Parse(File.ReadAllText(Data.path file))

        let expected =
            [ for entry in reference.RootElement.GetProperty("names").EnumerateArray() ->
                  string (entry[0].GetString()), [ for item in entry[1].EnumerateArray() -> item.GetInt64() ] ]
            |> List.sort

        use model = architecture.Build()

        let actual =
            [ for name, parameter in namedParameters model ->
                  let stored =
                      ParameterNames.InFile(architecture, name, architecture.Conventions.Naming)

                  stored.Name, List.ofArray (stored.ShapeOf(ReadOnlySpan parameter.shape)) ]
            |> List.sort

        Expect.equal actual expected "the official names"

/// The tests of this file.
let tests =
    let files =
        [ QnAViT.Tiny, "qna-vit-tiny.json"
          Swin.Tiny, "swin-tiny.json"
          SlideSwin.Tiny, "slide-swin-tiny.json"
          Pvt.Tiny, "pvt-tiny.json"
          PvtV2.B0, "pvt-v2-b0.json"
          PvtV2.B2Linear, "pvt-v2-b2-li.json"
          CSwin.Tiny, "cswin-tiny.json"
          Nat.Mini, "nat-mini.json"
          DiNAT.Mini, "dinat-mini.json"
          SlidePvt.Tiny, "slide-pvt-tiny.json" ]

    testList
        "full models"
        [ for architecture, file in files do
              model architecture file
              names architecture file ]
