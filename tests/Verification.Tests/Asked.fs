/// Properties asked of small subjects, and layers of one projection whose forward pass is any function.
module LocalAttention.Verification.Tests.Asked

open Expecto
open LocalAttention.Core.Specification
open LocalAttention.Verification
open TorchSharp

/// A few cases: enough for what fails in every second of them.
let few = { Cases = 6; Seed = 7L; Shrinks = 8 }

let private ask (property: Property) subject = property.Ask few subject

let private seen (finding: Finding) =
    match finding.Outcome with
    | Outcome.Holds cases -> $"it holds in {cases} cases, {finding.Figures}"
    | Outcome.Fails counterexample -> $"it fails at {counterexample.Input}: {counterexample.Explanation}"
    | Outcome.Skipped reason -> $"it is skipped: {reason}"

/// The property holds; its figures.
let holds property (subject: Subject) =
    let finding = ask property subject

    match finding.Outcome with
    | Outcome.Holds _ -> Map finding.Figures
    | _ -> failtest $"{property.Name} should hold for {subject.Name}; {seen finding}"

/// The property fails, and says why with these words.
let fails property (words: string list) (subject: Subject) =
    let finding = ask property subject

    match finding.Outcome with
    | Outcome.Fails counterexample ->
        for word in words do
            Expect.stringContains
                counterexample.Explanation
                word
                $"what {property.Name} says of {subject.Name}"
    | _ -> failtest $"{property.Name} should fail for {subject.Name}; {seen finding}"

/// The property cannot be asked, for a reason with these words.
let isSkipped property (word: string) (subject: Subject) =
    let finding = ask property subject

    match finding.Outcome with
    | Outcome.Skipped reason -> Expect.stringContains reason word $"why {property.Name} skips {subject.Name}"
    | _ -> failtest $"{property.Name} should be skipped for {subject.Name}; {seen finding}"

/// A projection of each token, and what the forward pass makes of it, of whether it trains, and of the input.
type Projecting
    (channels: int, body: torch.nn.Module<torch.Tensor, torch.Tensor> -> bool -> torch.Tensor -> torch.Tensor) as this
    =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("Projecting")
    let linear = torch.nn.Linear(int64 channels, int64 channels)
    do this.RegisterComponents()
    override _.forward input = body linear this.training input

/// Maps of 6 channels, at most 5×4.
let tokens = Signature.Tokens(6, 5, 4)

/// A module as a subject.
let ofModule name (make: unit -> torch.nn.Module<torch.Tensor, torch.Tensor>) =
    Subject.ofModule name tokens Promises.none make

/// The subject of a forward pass around a projection.
let projecting name body =
    ofModule name (fun () -> new Projecting(6, body))

/// The projection alone.
let plain = projecting "plain" (fun linear _ x -> linear.call x)

/// A function as a subject.
let ofFunction name forward =
    Subject.ofFunction name tokens Promises.none forward

/// An attention of each kind, with three heads or more where it can have them, and without what the rest have.
let attentions: (string * Attention) list =
    [ "qna", QnAAttention(3, 3)
      "qna with fixed signs",
      QnAAttention(
          3,
          4,
          Queries = 1,
          Scale = AttentionScale.PositiveNegative,
          Position = PositionBias.Contextual,
          Bias = true
      )
      "qna with embeddings",
      QnAAttention(3, 3, Scale = AttentionScale.Ones, Position = PositionBias.Absolute, Norm = QueryNorm.Free)
      "slide", SlideAttention(3, 3)
      "window", WindowAttention(2, 3)
      "shifted window, head-major", WindowAttention(2, 4, Shifted = true, Order = QkvOrder.HeadMajor)
      "global, enhanced", GlobalAttention(3, LocallyEnhanced = true)
      "reduction", SpatialReductionAttention(2, 3)
      "reduction by one", SpatialReductionAttention(1, 3)
      "pooled", PooledAttention(2, 3)
      "cross-shaped", CrossShapedAttention(2, 6)
      "neighbourhood", NeighbourhoodAttention(3, 3) ]

/// The layers of these attentions on maps of 12 channels.
let layers =
    [ for name, attention in attentions -> name, Subject.ofLayer attention 12 (ImageSize(5, 4)) ]

/// One of them by its name.
let layer name =
    List.find (fst >> (=) name) layers |> snd

/// A small model: two stages, a slide block and a window block.
let model =
    Architecture(
        "small",
        PatchStem(2, 6),
        ValueList.From
            [ Stage(ValueList.From [ Block(SlideAttention(3, 3)) ], Transition = PatchMerging())
              Stage(ValueList.From [ Block(WindowAttention(2, 3)) ]) ],
        AveragePoolHead 5,
        Resolution = ImageSize.Square 8
    )
