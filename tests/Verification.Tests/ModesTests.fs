/// Training and evaluation: what differs, and what one leaves behind for the other.
module LocalAttention.Verification.Tests.ModesTests

open Expecto
open LocalAttention.Verification
open LocalAttention.Verification.Tests.Asked
open TorchSharp

/// Keeps the product of its weight with a number the first time it evaluates; `forgets` when training begins.
type private Caching(forgets: bool) as this =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("Caching")
    let linear = torch.nn.Linear(6L, 6L)
    let mutable cached: torch.Tensor option = None
    do this.register_module ("linear", linear)

    override _.train(isTraining: bool) =
        if forgets && isTraining then
            cached <- None

        base.train isTraining

    override _.forward x =
        let weight =
            match cached with
            | Some weight when not this.training -> weight
            | _ ->
                let weight = linear.weight * (2.0).ToScalar()

                if not this.training then
                    cached <- Some(weight.detach().clone().DetachFromDisposeScope())

                weight

        torch.nn.functional.linear (x, weight, linear.bias)

/// Adds what it saw last in training.
type private Remembering() as this =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("Remembering")
    let linear = torch.nn.Linear(6L, 6L)
    let mutable seen = 0.0
    do this.register_module ("linear", linear)

    override _.forward x =
        if this.training then
            seen <- x.sum().ToDouble()

        linear.call x + seen.ToScalar()

/// A norm over all images and places, with statistics for evaluation.
type private Normed() as this =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("Normed")
    let norm = torch.nn.BatchNorm2d 6L
    do this.register_module ("norm", norm)

    override _.forward x =
        norm.call(x.permute (0L, 3L, 1L, 2L)).permute(0L, 2L, 3L, 1L)

/// Other outputs in every second call of training.
type private Flipping() as this =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("Flipping")
    let linear = torch.nn.Linear(6L, 6L)
    let mutable turns = 0
    do this.register_module ("linear", linear)

    override _.train(isTraining: bool) =
        turns <- turns + 1
        base.train isTraining

    override _.forward x =
        linear.call x * (float turns).ToScalar()

let private dropping =
    ofModule "dropping" (fun () -> torch.nn.Sequential(torch.nn.Linear(6L, 6L), torch.nn.Dropout 0.5))

let private normed = ofModule "normed" (fun () -> new Normed())

/// The tests of this file.
let tests =
    testList
        "modes"
        [ for name, layer in ("model", Subject.ofArchitecture model) :: layers do
              testCase $"of {name} are equal, and leave nothing behind"
              <| fun () ->
                  holds Modes.equal layer |> ignore
                  holds Modes.unaffected layer |> ignore

          testCase "are not to be equal with dropout, stochastic depth and batch norm"
          <| fun () ->
              isSkipped Modes.equal "random" dropping
              // One number in a million is dropped: no case sees it, and all ask the generator.
              ofModule "seldom dropping" (fun () ->
                  torch.nn.Sequential(torch.nn.Linear(6L, 6L), torch.nn.Dropout 1e-6))
              |> isSkipped Modes.equal "random"

              isSkipped Modes.equal "random" (Subject.ofArchitecture (model.With(dropPath = 0.5)))
              isSkipped Modes.equal "buffers" normed

          testCase "of these leave nothing behind but their buffers"
          <| fun () ->
              holds Modes.unaffected dropping |> ignore

              holds Modes.unaffected (Subject.ofArchitecture (model.With(dropPath = 0.5)))
              |> ignore

              holds Modes.unaffected normed |> ignore

          testCase "that scale in training alone are not equal"
          <| fun () ->
              projecting "scaling" (fun linear isTraining x ->
                  linear.call x * (if isTraining then 1.01 else 1.0).ToScalar())
              |> fails Modes.equal [ "training mode should give the outputs of evaluation mode" ]

          testCase "with a cached weight leave it behind unless training forgets it"
          <| fun () ->
              holds Modes.unaffected (ofModule "forgets" (fun () -> new Caching(true)))
              |> ignore

              ofModule "stale" (fun () -> new Caching(false))
              |> fails Modes.unaffected [ "After the parameters have changed" ]

          testCase "with a memory leave it behind"
          <| fun () ->
              ofModule "remembers" (fun () -> new Remembering())
              |> fails Modes.unaffected [ "whatever ran in training before" ]

          testCase "that count their turns do not come back"
          <| fun () ->
              ofModule "flips" (fun () -> new Flipping())
              |> fails Modes.unaffected [ "back to evaluation" ]

          testCase "of functions are none"
          <| fun () ->
              let twice = ofFunction "twice" (fun x -> x + x)
              isSkipped Modes.equal "no modes" twice
              isSkipped Modes.unaffected "no modes" twice ]
