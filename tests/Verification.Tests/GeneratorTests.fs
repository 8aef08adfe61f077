/// Generators give what can be built, of every kind; shrinking goes downhill and ends at the smallest case that fails.
module LocalAttention.Verification.Tests.GeneratorTests

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Specification
open LocalAttention.Dsl
open LocalAttention.Verification
open TorchSharp

let private isValid (architecture: Architecture) =
    Validation.Check(architecture).Count = 0

let private sample count generator =
    Gen.sampleWithSeed (Rnd 3UL) 10 count generator |> List.ofArray

let private samples = lazy sample 600 Generate.architecture

/// Whether the words of an architecture's code name something.
let private says (words: string) (architecture: Architecture) =
    (Code.architecture architecture).Contains(words, StringComparison.Ordinal)

let private numbers (tensor: torch.Tensor) =
    let doubles = tensor.``to`` torch.ScalarType.Float64
    doubles.data<float>().ToArray() |> List.ofArray

let private generated =
    [ testCase "architectures can be built"
      <| fun () ->
          for architecture in samples.Value do
              Expect.isEmpty (problems architecture) (Code.architecture architecture)

      testCase "every kind of part is among them"
      <| fun () ->
          for words in
              [ "qna "
                "slide "
                "window "
                "shifted "
                "neighbourhood "
                "dilated "
                "crossShaped "
                "spatialReduction "
                "pooledAttention "
                "globalAttention"
                "locallyEnhanced"
                "patchify "
                "convolutions "
                "downsample merge"
                "downsample (convolve"
                "downsample (patches"
                "upsample "
                "positions"
                "normed"
                "noBlocks"
                "classify "
                "classifyByToken "
                "classifyByQna "
                "SizePolicy.Exact" ] do
              Expect.exists samples.Value (says words) words

      testProperty "layers stand alone on their maps"
      <| Prop.forAll (Arbitraries.Layer()) (fun layer ->
          let alone =
              backbone "layer" (patchify 1 layer.Map.Channels)
              |> stages [ stage (ofBlock (Block layer.Attention)) ]
              |> imageSize (layer.Map.Size.Height, layer.Map.Size.Width)

          Expect.isEmpty (problems alone) $"{Code.attention layer.Attention} on {layer.Map}")

      testCase "of the exact policy, windows divide the map or hold it"
      <| fun () ->
          let map = MapShape(ImageSize(4, 6), 8)

          for window in sample 200 (Generate.window SizePolicy.Exact map) do
              for side in [ 4; 6 ] do
                  Expect.isTrue
                      (window.Window >= side || side % window.Window = 0)
                      $"{window.Window} on {map}"

          Expect.exists
              (sample 200 (Generate.window SizePolicy.Pad map))
              (fun window -> window.Window = 5)
              "another policy has others too"

      testProperty "an input gives the same numbers again, in either layout, rounded to the type"
      <| Prop.forAll (Arbitraries.Input()) (fun input ->
          use _ = torch.NewDisposeScope()
          let images = input.ToTensor(Layout.Images, torch.ScalarType.Float64)
          let again = input.ToTensor(Layout.Images, torch.ScalarType.Float64)
          Expect.equal (List.ofArray images.shape) (input.Shape Layout.Images) "the shape"
          Expect.equal (numbers again) (numbers images) "the same numbers"
          let rounded = input.ToTensor(Layout.Images, torch.ScalarType.Float32)
          Expect.equal (numbers rounded) (numbers (images.``to`` torch.ScalarType.Float32)) "rounded"
          let tokens = input.ToTensor(Layout.Tokens, torch.ScalarType.Float64)
          Expect.equal (List.ofArray tokens.shape) (input.Shape Layout.Tokens) "the shape of tokens")

      testCase "registered, they are found by their types"
      <| fun () ->
          let arbitraries = ArbMap.defaults |> ArbMap.mergeWith<Arbitraries>

          for architecture in sample 20 (arbitraries |> ArbMap.generate<Architecture>) do
              Expect.isTrue (isValid architecture) "valid"

          let lists = arbitraries |> ArbMap.generate<Layer list> |> sample 20
          Expect.exists lists (List.isEmpty >> not) "inside other types as well" ]

/// The first simpler value that still fails, again and again: what is left, and how many steps it took.
let private smallest (simpler: 'value -> 'value seq) (fails: 'value -> bool) (start: 'value) =
    let rec go steps value =
        if steps > 1000 then
            failtest $"no end of shrinking at {value}"

        match simpler value |> Seq.tryFind fails with
        | Some next -> go (steps + 1) next
        | None -> value, steps

    go 0 start

/// The code of the smallest architecture that fails, the name left out.
let private shrunk (fails: Architecture -> bool) (start: Architecture) =
    let last, _ = smallest Shrink.architecture fails start
    Code.architecture(last.With(name = "x")).Replace("\r\n", "\n")

let private hasAttention (isWanted: Attention -> bool) (architecture: Architecture) =
    architecture.Stages
    |> Seq.exists (fun stage -> stage.Blocks |> Seq.exists (fun block -> isWanted block.Attention))

let private shrinking =
    [ testProperty "simpler architectures differ, and can be built"
      <| Prop.forAll (Arb.fromGen Generate.architecture) (fun architecture ->
          for simpler in Shrink.architecture architecture do
              Expect.notEqual simpler architecture "another"
              Expect.isTrue (isValid simpler) (Code.architecture simpler))

      testCase "whatever path is taken down, it ends"
      <| fun () ->
          let random = Random 5

          for architecture in List.truncate 60 samples.Value do
              // The candidate is drawn rather than the first one taken: a cycle of two rules would show.
              let any (architecture: Architecture) =
                  let candidates = Shrink.anyArchitecture architecture |> Array.ofSeq
                  random.Shuffle candidates
                  Seq.ofArray candidates

              let last, _ = smallest any (fun _ -> true) architecture
              Expect.isEmpty (Shrink.anyArchitecture last) "nothing is simpler than what is left"

      testCase "a fault that needs nothing shrinks to the smallest model"
      <| fun () ->
          for architecture in [ Swin.tiny; QnAViT.tiny; SlidePvt.tiny; CSwin.tiny ] do
              let last, steps = smallest Shrink.architecture (fun _ -> true) architecture
              Expect.isLessThan steps 60 "steps"
              Expect.equal last.Stages.Count 1 "stages"
              Expect.equal last.Resolution (ImageSize.Square 1) "pixels"
              Expect.isLessThan (parameters last) 60L "parameters"

      testCase "a fault of shifted windows shrinks to one of them"
      <| fun () ->
          let isShifted (attention: Attention) =
              match attention with
              | LocalAttention.Dsl.Patterns.Window window -> window.Shifted && window.Window > 1
              | _ -> false

          Expect.equal
              (shrunk (hasAttention isShifted) Swin.tiny)
              "backbone \"x\" (patchify 1 1)\n|> stages [ stage (shifted (window 2) |> heads 1) ]\n|> head (classify 1)\n|> imageSize 1\n|> imageChannels 1"
              "what is left"

      testCase "a fault of two heads keeps two heads, and channels for them"
      <| fun () ->
          let hasTwo (attention: Attention) =
              match attention with
              | LocalAttention.Dsl.Patterns.QnA qna -> qna.Heads = 2
              | _ -> false

          let start =
              backbone "start" (patchify 4 32)
              |> stages [ stage (3 * qna 7 |> heads 2) |> downsample merge; stage (slide 3 |> heads 4) ]

          Expect.equal
              (shrunk (hasAttention hasTwo) start)
              "backbone \"x\" (patchify 1 2)\n|> stages [ stage (qna 1 |> heads 2) ]\n|> head (classify 1)\n|> imageSize 1\n|> imageChannels 1"
              "what is left"

      testCase "a fault at the border of a map keeps the map"
      <| fun () ->
          let start =
              { Attention = SlideAttention(5, 4, Padding = EdgePadding.Circular)
                Map = MapShape(ImageSize(7, 6), 16) }

          let fails (layer: Layer) =
              layer.Map.Size.Height >= 3
              && (match layer.Attention with
                  | LocalAttention.Dsl.Patterns.Slide slide -> slide.Window = 3
                  | _ -> false)

          let last, _ =
              smallest
                  Shrink.layer
                  fails
                  { start with
                      Attention = SlideAttention(3, 4, Padding = EdgePadding.Circular) }

          Expect.equal
              last
              { Attention = SlideAttention(3, 1)
                Map = MapShape(ImageSize(3, 1), 1) }
              "what is left" ]

/// The tests of this file.
let tests =
    testList "generators" [ testList "generated" generated; testList "shrinking" shrinking ]
