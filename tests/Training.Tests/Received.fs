/// What tokens receive of attention, read off the outputs of layers whose values tell where they come from.
module LocalAttention.Training.Tests.Received

open System
open Expecto
open LocalAttention.Core.Backbones
open LocalAttention.Core.Kernels
open LocalAttention.Core.Layers
open LocalAttention.Oracle
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open LocalAttention.Training.Tests.Models
open TorchSharp

/// Which rows of a projection make values.
let private isValue (attention: Attention) (channels: int) (row: int) =
    let depth = channels / attention.Heads

    let headMajor =
        match attention with
        | :? SlideAttention -> true
        | :? WindowAttention as window -> window.Order = QkvOrder.HeadMajor
        | :? GlobalAttention as everywhere -> everywhere.Order = QkvOrder.HeadMajor
        | _ -> false

    match attention with
    | :? SpatialReductionAttention -> row >= channels
    | _ when headMajor -> row % (3 * depth) / depth = 2
    | _ -> row >= 2 * channels

let private identity size =
    NdArray.init [| size; size |] (fun index -> if index[0] = index[1] then 1.0 else 0.0)

/// A layer in which the map's last channel makes all values and nothing else, and outputs are the attended values.
let private telling (attention: Attention) channels seed : Module =
    let layer = attention.Build channels |> inDoubles seed
    let last = channels - 1

    let projection (weight: NdArray<float>) isValue =
        NdArray.init weight.Shape (fun index ->
            match isValue index[0], index[1] = last with
            | true, true -> 1.0
            | true, false
            | false, true -> 0.0
            | false, false -> weight.At index)

    let replaced (name: string) (array: NdArray<float>) =
        let zeros () = NdArray.init array.Shape (fun _ -> 0.0)

        match name with
        | "qkv.weight"
        | "kv.weight" -> Some(projection array (isValue attention channels))
        | "qkv.bias"
        | "kv.bias" ->
            Some(
                NdArray.init array.Shape (fun index ->
                    if isValue attention channels index[0] then
                        0.0
                    else
                        array.At index)
            )
        | "q.weight" -> Some(projection array (fun _ -> false))
        | "to_v.weight" -> Some(projection array (fun _ -> true))
        | "Wk" ->
            Some(NdArray.init array.Shape (fun index -> if index[0] = last then 0.0 else array.At index))
        | "proj.weight"
        | "to_out.weight" -> Some(identity channels)
        | "proj.bias"
        | "to_v.bias"
        | "to_out.bias"
        | "dep_conv.bias" -> Some(zeros ())
        | name when name.StartsWith "get_v" -> Some(zeros ())
        | _ -> None

    let values =
        parametersOf layer
        |> Map.toList
        |> List.choose (fun (name, array) -> replaced name array |> Option.map (fun array -> name, array))

    setParameters (Map.ofList values) layer
    layer

let private cases: (string * Attention) list =
    let slide padding : Attention =
        SlideAttention(3, 2, Deformed = false, Padding = padding)

    [ "windows", WindowAttention(3, 2)
      "shifted windows", WindowAttention(3, 4, Shifted = true)
      "stripes", CrossShapedAttention(2, 4)
      "the whole map", GlobalAttention(4)
      "the whole map, locally enhanced", GlobalAttention(2, LocallyEnhanced = true)
      "a neighbourhood", NeighbourhoodAttention(3, 2)
      "a dilated neighbourhood", NeighbourhoodAttention(3, 4, Dilation = 2)
      "a neighbourhood larger than the map", NeighbourhoodAttention(7, 4)
      "a reduction of one", SpatialReductionAttention(1, 2)
      "slide, zeros", slide EdgePadding.Zeros
      "slide, circular", slide EdgePadding.Circular
      "slide, reflected", slide EdgePadding.Reflect
      "slide, replicated", slide EdgePadding.Replicate
      "QnA", QnAAttention(3, 2)
      "QnA, wider, with signs", QnAAttention(5, 4, Scale = AttentionScale.PositiveNegative) ]

/// One token after the other gets the only value: what all outputs have of it together is what it receives. Weights
/// are sums of at most 42 terms of order one with rounding of 2⁻⁵³ each; 1e-12 leaves two digits.
let private readOff =
    [ for name, attention in cases do
          testCase name
          <| fun () ->
              use _ = torch.NewDisposeScope()
              use _ = torch.no_grad ()
              let channels, height, width = 8, 6, 7
              let tokens = height * width
              use layer = telling attention channels 3

              let map =
                  toTensor torch.ScalarType.Float64 (numbers 5 "map" [| 1; height; width; channels |])

              let marked = map.expand(int64 tokens, -1L, -1L, -1L).clone()

              let marks =
                  torch
                      .eye(int64 tokens, dtype = torch.ScalarType.Float64)
                      .view(-1L, int64 height, int64 width)

              (marked.select (3, int64 channels - 1L)).copy_ marks |> ignore

              for backend in [ Backend.Composite; Backend.Auto ] do
                  use _ = Backends.Use backend
                  // Weights of either sign count by their size, each head's by itself.
                  let outputs = (layer.forward marked).abs()

                  let expected =
                      outputs.mean([| 3L |]).sum([| 1L; 2L |]).view(1L, int64 height, int64 width)

                  let received = (layer :> obj :?> IReceivedAttention).Received map
                  within 1e-12 1.0 (toArray received) (toArray expected) $"received, {backend}" ]

/// Softmax over cells, as the papers write it, then each cell's part over its tokens.
let private cells =
    [ for name, attention, channels, size in
          [ "reduced maps", (SpatialReductionAttention(3, 2): Attention), 4, ImageSize(6, 7)
            "pooled maps", PooledAttention(3, 2), 4, ImageSize(5, 7)
            "pooled maps of fewer tokens", PooledAttention(3, 2), 4, ImageSize(2, 4) ] do
          testCase name
          <| fun () ->
              use _ = torch.NewDisposeScope()
              use _ = torch.no_grad ()
              use layer = attention.Build channels |> inDoubles 4
              let numbers = numbers 6 "map" [| 1; size.Height; size.Width; channels |]
              let map = toTensor torch.ScalarType.Float64 numbers
              let received = (layer :> obj :?> IReceivedAttention).Received map |> toArray
              let tokens = float (size.Height * size.Width)
              Expect.floatClose Accuracy.high (Array.sum received.Elements) tokens "every query gives 1"

              // What the keys of a patch's tokens are does not matter one by one: all receive the same.
              match attention with
              | :? SpatialReductionAttention ->
                  for y in 0 .. size.Height - 1 do
                      for x in 0 .. size.Width - 1 do
                          Expect.floatClose
                              Accuracy.high
                              (received.At [| 0; y; x |])
                              (received.At [| 0; y / 3 * 3; x / 3 * 3 |])
                              $"token {y}, {x} and the first of its patch"
              | _ -> ()

              // Without keys every cell receives the same, each token its share of the cells that hold it.
              let withoutKeys =
                  parametersOf layer
                  |> Map.filter (fun name _ -> name.StartsWith "kv.")
                  |> Map.map (fun _ array -> NdArray.init array.Shape (fun _ -> 0.0))

              setParameters withoutKeys layer
              let even = (layer :> obj :?> IReceivedAttention).Received map |> toArray

              let shares length =
                  let bounds =
                      match attention with
                      | :? SpatialReductionAttention ->
                          [ for cell in 0 .. (length - 1) / 3 -> 3 * cell, min length (3 * cell + 3) ]
                      | _ -> [ for cell in 0..2 -> cell * length / 3, ((cell + 1) * length + 2) / 3 ]

                  [| for place in 0 .. length - 1 ->
                         bounds
                         |> List.sumBy (fun (first, last) ->
                             if place >= first && place < last then
                                 1.0 / float (last - first) / float bounds.Length
                             else
                                 0.0) |]

              let rows, columns = shares size.Height, shares size.Width

              for y in 0 .. size.Height - 1 do
                  for x in 0 .. size.Width - 1 do
                      Expect.floatClose
                          Accuracy.high
                          (even.At [| 0; y; x |])
                          (tokens * rows[y] * columns[x])
                          $"token {y}, {x} without keys" ]

// ---------------------------------------------------------------------------------- models

let private sums (attention: BlockAttention) =
    attention.Map.sum([| 1L; 2L |]).data<float32>().ToArray()

let private ofModels =
    testCase "a model's blocks in order, each a share of all"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        use model = tiny.Build(seed = 2L)
        model.train ()
        let images = input tiny torch.ScalarType.Float32
        let before = logits model images
        model.train ()
        let all = ReceivedAttention.Of(model, images)
        Expect.isTrue model.training "the mode is as it was"

        Expect.equal
            [ for each in all -> each.Stage, each.Block, List.ofArray each.Map.shape ]
            [ 1, 1, [ 2L; 4L; 4L ]
              1, 2, [ 2L; 4L; 4L ]
              2, 1, [ 2L; 2L; 2L ]
              2, 2, [ 2L; 2L; 2L ] ]
            "places and shapes"

        for each in all do
            for sum in sums each do
                Expect.floatClose { absolute = 1e-5; relative = 0.0 } (float sum) 1.0 "the sum of a map"

        let one =
            ReceivedAttention.Of(model, images, Func<_, _, _>(fun stage block -> stage = 2 && block = 1))

        Expect.equal [ for each in one -> each.Stage, each.Block ] [ 2, 1 ] "the one that is asked for"
        Expect.equal (bytesOf one[0].Map) (bytesOf all[2].Map) "the same map"
        Expect.equal (logits model images).Elements before.Elements "no hook stays behind"

let private withClassToken =
    testCase "a class token is no place of the map"
    <| fun () ->
        use _ = torch.NewDisposeScope()
        let pvt = Pvt.Tiny.With(resolution = ImageSize.Square 32)
        use model = pvt.Build(seed = 2L)

        let last =
            ReceivedAttention.Of(
                model,
                torch.rand [| 2L; 3L; 32L; 64L |],
                Func<_, _, _>(fun stage _ -> stage = 4)
            )

        Expect.equal
            [ for each in last -> List.ofArray each.Map.shape ]
            [ for _ in last -> [ 2L; 1L; 2L ] ]
            "shapes"

        for sum in List.ofSeq last |> Seq.collect sums do
            Expect.floatClose { absolute = 1e-5; relative = 0.0 } (float sum) 1.0 "the sum of a map"

/// The tests of this file.
let tests =
    testList
        "received attention"
        [ testList "read off outputs" readOff
          testList "cells" cells
          ofModels
          withClassToken ]
