/// Layers that are wrong on purpose: each is the sound layer with one step replaced, and names the property that tells.
module LocalAttention.Verification.Tests.Mistakes

open System
open System.Collections.Generic
open LocalAttention.Core.Kernels
open LocalAttention.Verification
open LocalAttention.Verification.Tests.Subjects
open TorchSharp

/// A mistake.
type Mistake =
    {
        Name: string
        /// What must find it.
        Property: Property
        /// The layer with the mistake.
        Broken: Subject
        /// The layer without it, in which the property must find nothing.
        Sound: Subject
    }

let private mistake name property (make: unit -> NeighbourAttention) =
    { Name = name
      Property = property
      Broken = subject name promises make
      Sound = neighbours }

let private scalar (number: float) = number.ToScalar()

/// Multiplies by two; its backward pass forgets to.
type ForgetfulDouble() =
    inherit torch.autograd.SingleTensorFunction<ForgetfulDouble>()
    override _.Name = "ForgetfulDouble"

    override _.forward(_: torch.autograd.AutogradContext, [<ParamArray>] vars: obj[]) =
        (vars[0] :?> torch.Tensor) * scalar 2.0

    override _.backward(_: torch.autograd.AutogradContext, grad_output: torch.Tensor) =
        ResizeArray [ grad_output ]

/// What an output may depend on.
let private space =
    [ mistake "a window that is off by one" Locality.support (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override layer.Extend map =
                  let before, after = layer.Radius - 1L, layer.Radius + 1L
                  torch.nn.functional.pad (map, [| 0L; 0L; before; after; before; after |]) })

      mistake "too wide a reach: the mean of the map is added" Locality.support (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Finish mixed =
                  let mean = mixed.mean ([| 1L; 2L |], true)
                  base.Finish(mixed + mean * scalar 0.01) })

      mistake
          "too narrow a reach: the last column of each window counts for nothing"
          Locality.support
          (fun () ->
              { new NeighbourAttention(6, 3, Side) with
                  override layer.Weigh scores =
                      let seen = [| for place in 0 .. Side * Side - 1 -> place % Side < Side - 1 |]
                      let unseen = (torch.tensor seen).logical_not()
                      base.Weigh(scores.masked_fill (unseen, scalar Double.NegativeInfinity)) })

      mistake "wrong padding: the border meets the opposite one" Locality.support (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override layer.Extend map = roll map layer.Radius })

      { Name = "wrong padding: zeros, where a torus is promised"
        Property = Equivariance.shifts
        Broken =
          { neighbours with
              Promises = torus.Promises }
        Sound = torus }

      { Name = "a shift without its mask"
        Property = Locality.support
        Broken = shiftedWindows "shifted windows, not masked" false
        Sound = shiftedWindows "shifted windows" true }

      mistake "a place that is told apart: rows are counted" Equivariance.shifts (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Project map =
                  let height = map.shape[1]
                  let rows = torch.arange (height, dtype = map.dtype)
                  base.Project(map + rows.view (1L, height, 1L, 1L) * scalar 0.1) }) ]

/// What makes one output differ from another.
let private state =
    [ mistake "non-determinism: noise on the scores" Determinism.repetition (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Weigh scores =
                  base.Weigh(scores + torch.randn_like scores * scalar 1e-3) })

      mistake "noise of training in evaluation" Determinism.repetition (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Finish mixed =
                  base.Finish(torch.nn.functional.dropout (mixed, 0.1, training = true)) })

      mistake "keys of an earlier input" Equivariance.shifts (fun () ->
          let kept = Dictionary<string, torch.Tensor>()

          { new NeighbourAttention(6, 3, Side) with
              override _.Score(queries, keys) =
                  let shape = String.Join('×', keys.shape)

                  if not (kept.ContainsKey shape) then
                      kept[shape] <- keys.detach().clone().DetachFromDisposeScope()

                  base.Score(queries, kept[shape]) })

      mistake "a stale cache: the bias of the first evaluation" Modes.unaffected (fun () ->
          let cache = ref None

          { new NeighbourAttention(6, 3, Side) with
              override layer.Bias() =
                  match cache.Value with
                  | _ when layer.training -> base.Bias()
                  | Some bias -> bias
                  | None ->
                      let bias = base.Bias().detach().clone().DetachFromDisposeScope()
                      cache.Value <- Some bias
                      bias })

      mistake "an output that depends on the batch: its mean is taken off" BatchIndependence.alone (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Finish mixed =
                  base.Finish(mixed - mixed.mean ([| 0L |], true) * scalar 0.1) })

      mistake "training that is not evaluation: a scale left from dropout" Modes.equal (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override layer.Finish mixed =
                  base.Finish(if layer.training then mixed * scalar (1.0 / 0.9) else mixed) })

      mistake "memory that is kept: weights for a picture" Memory.returned (fun () ->
          let kept = List<torch.Tensor>()

          { new NeighbourAttention(6, 3, Side) with
              override _.Weigh scores =
                  let weights = base.Weigh scores
                  kept.Add(weights.detach().clone().DetachFromDisposeScope())
                  weights }) ]

/// A layer with a scale that can be folded into its last weights.
type ScaledAttention(folds: torch.nn.Module -> unit) =
    inherit NeighbourAttention(6, 3, Side)
    member val Scale = 0.5 with get, set
    override this.Finish mixed = base.Finish mixed * scalar this.Scale

    /// Makes the scale a part of the weights.
    member this.Fold() =
        folds this
        this.Scale <- 1.0

let private halve (names: string list) (layer: torch.nn.Module) =
    use _ = torch.no_grad ()

    for struct (name, parameter) in layer.named_parameters () do
        if List.contains name names then
            parameter.mul_ (scalar 0.5) |> ignore

/// Folds the scale, where there is one.
let private folded =
    Agreement.rewritten
        "agreement of folded weights"
        (Func<_, _>(fun layer ->
            match layer with
            | :? ScaledAttention as scaled ->
                scaled.Fold()
                true
            | _ -> false))

/// What is computed, how exactly, and by which way.
let private numbers =
    [ mistake "a missing bias" (Agreement.between "agreement with the sound layer" neighbours) (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Bias() = torch.zeros_like (base.Bias()) })

      mistake "a bias that is missing on the fast way" Agreement.backends (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Bias() =
                  if Backends.Preferred = Backend.Composite then
                      base.Bias()
                  else
                      torch.zeros_like (base.Bias()) })

      mistake "a gradient that is missing on the fast way" Agreement.backendGradients (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Bias() =
                  if Backends.Preferred = Backend.Composite then
                      base.Bias()
                  else
                      base.Bias().detach() })

      mistake "swapped heads: each has another's bias" permuteHeads (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Bias() = base.Bias().flip 0L })

      mistake "a gradient that is cut off: weights without one" Gradients.agreement (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Weigh scores = base.Weigh(scores.detach ()) })

      mistake "a wrong gradient: a backward pass without its factor" Gradients.agreement (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Finish mixed =
                  base.Finish(ForgetfulDouble.apply mixed) })

      mistake "precision loss: scores in bfloat16" Precision.drift (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Weigh scores =
                  if scores.dtype = torch.ScalarType.Float32 then
                      base.Weigh((scores.bfloat16 ()).``to`` torch.ScalarType.Float32)
                  else
                      base.Weigh scores })

      mistake "precision loss: exponentials that overflow" Precision.drift (fun () ->
          { new NeighbourAttention(6, 3, Side) with
              override _.Weigh scores =
                  let exponentials = scores.exp ()
                  exponentials / exponentials.sum (-1L, true) })

      { Name = "saving loses a parameter: the bias is not registered"
        Property = Agreement.saved
        Broken = subject "attention with a hidden bias" promises layerWithHiddenBias
        Sound = neighbours }

      { Name = "folding that forgets the bias"
        Property = folded
        Broken = subject "folds half" promises (fun () -> new ScaledAttention(halve [ "proj.weight" ]))
        Sound = subject "folds" promises (fun () -> new ScaledAttention(halve [ "proj.weight"; "proj.bias" ])) } ]

/// All of them.
let all: Mistake list = space @ state @ numbers
