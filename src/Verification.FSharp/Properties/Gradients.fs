namespace LocalAttention.Verification

open System
open LocalAttention.Core.Layers
open LocalAttention.Core.Specification
open TorchSharp

/// <summary>Gradients against central differences, in double precision, along random directions.</summary>
/// <remarks>
/// <para>
/// With <c>s</c> the sum of the output weighed by random numbers and <c>d</c> a random direction, the gradient says
/// <c>s'(0) = ⟨∇s, d⟩</c>, and differences say <c>D(h) = (s(h) − s(−h)) / 2h</c>, which is off by <c>h²·s‴/6</c>.
/// <c>E = (4·D(h) − D(2h)) / 3</c> is free of that term; what it took away, <c>|E − D(h)|</c>, is more than what is left, of
/// order <c>h⁴</c>, and is tolerated. Beside it, so is the rounding of <c>s</c>: what outputs may differ by through rounding,
/// of a magnitude of at least 1, for terms of that size may cancel, divided by <c>h</c>. With <c>h = 2⁻¹³</c>, near the fourth root of the unit roundoff, both are some 10⁻⁸ of the magnitudes
/// that are summed.
/// </para>
/// <para>
/// Where a function has kinks, as ReLU and pooling by maxima have, one may lie between the points. Smaller steps are taken
/// then, and at last another input: only what disagrees at every step of two inputs fails.
/// </para>
/// </remarks>
[<RequireQualifiedAccess>]
module Gradients =
    /// A tensor that a gradient is taken by, and what it is called.
    type private Leaf = { Name: string; Tensor: torch.Tensor }

    /// What one direction came to.
    type private Slope =
        { Backward: float
          Difference: float
          Tolerance: float }

        member slope.Agrees = abs (slope.Backward - slope.Difference) <= slope.Tolerance

    let private steps =
        [ 13; 16; 19; 22 ] |> List.map (fun power -> Math.ScaleB(1.0, -power))

    /// Parameters whose gradient is not the derivative on purpose: the official QnA code can hold a query's norm constant.
    let private heldConstant (instance: Instance) =
        match instance.Module with
        | None -> Set.empty
        | Some root ->
            set
                [ for name, part in Comparison.modules root do
                      match part with
                      | :? QnALayer as qna ->
                          match qna.Attention.Norm with
                          | :? UnitNorm as norm when norm.StopGradient ->
                              if obj.ReferenceEquals(part, root) then
                                  "query"
                              else
                                  $"{name}.query"
                          | _ -> ()
                      | _ -> () ]

    /// Signs from a seed, of the tensor's typical magnitude, or of a thousandth where it is zero.
    let private direction (seed: int64) (leaf: Leaf) =
        use numbers =
            Measuring.numbers (Measuring.derived seed "direction") leaf.Name leaf.Tensor.shape

        use squares = leaf.Tensor.detach().square()
        let size = max 1e-3 (sqrt (squares.mean().ToDouble()))
        use signs = numbers.sign ()
        signs * size.ToScalar()

    let private moved (leaves: (Leaf * torch.Tensor) list) (step: float) (body: unit -> 'result) =
        use _ = torch.no_grad ()
        // The values themselves are put back: subtracting the step again would round.
        let before = [ for leaf, _ in leaves -> leaf.Tensor.detach().clone() ]

        for leaf, direction in leaves do
            leaf.Tensor.add_ (direction, step.ToScalar()) |> ignore

        try
            body ()
        finally
            for (leaf, _), values in List.zip leaves before do
                leaf.Tensor.copy_ values |> ignore

    /// The sum that is differentiated, and the sum of the magnitudes of its terms.
    let private weighed (instance: Instance) (weights: torch.Tensor) (x: torch.Tensor) =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        let terms = instance.Forward x * weights
        terms.sum().ToDouble(), terms.abs().sum().ToDouble()

    let private slope rounding (sum: float -> float * float) (backward: float) (step: float) =
        let difference step =
            let (after, one), (before, other) = sum step, sum -step
            (after - before) / (2.0 * step), max one other

        let near, magnitude = difference step
        let far, _ = difference (2.0 * step)
        let extrapolated = (4.0 * near - far) / 3.0

        { Backward = backward
          Difference = extrapolated
          Tolerance = abs (extrapolated - near) + rounding * max 1.0 magnitude / step }

    /// One point: an input, its weights, and the gradients there.
    type private Point =
        { X: torch.Tensor
          Leaves: Leaf list
          Slopes: torch.Tensor list
          Weights: torch.Tensor }

    /// Along one direction through some leaves, at the first step that agrees, or at the last.
    let private along (seed: int64) rounding (instance: Instance) (point: Point) (chosen: Leaf -> bool) =
        use _ = torch.NewDisposeScope()

        let leaves =
            [ for leaf, slope in List.zip point.Leaves point.Slopes do
                  if chosen leaf then
                      leaf, direction seed leaf, slope ]

        let backward =
            leaves
            |> List.sumBy (fun (_, direction, slope) -> (slope * direction).sum().ToDouble())

        let moving = [ for leaf, direction, _ in leaves -> leaf, direction ]

        let sum step =
            moved moving step (fun () -> weighed instance point.Weights point.X)

        let slopes = steps |> Seq.map (slope rounding sum backward) |> Seq.cache

        slopes |> Seq.tryFind _.Agrees |> Option.defaultWith (fun () -> Seq.head slopes)

    /// The point of a seed; none where the output has no gradient.
    let private pointOf (case: Case) seed (instance: Instance) : Result<Point, string> =
        use _ = torch.enable_grad ()
        let constant = heldConstant instance

        let x =
            (Measuring.input case.Subject seed (1 + Measuring.choice seed "batch" 2) torch.ScalarType.Float64)
                .requires_grad_()

        let leaves =
            { Name = "the input"; Tensor = x }
            :: [ for name, parameter in instance.Parameters do
                     if parameter.requires_grad && not (constant.Contains name) then
                         { Name = name; Tensor = parameter } ]

        for leaf in leaves do
            leaf.Tensor.grad <- null

        let output = instance.Forward x

        if not output.requires_grad then
            Error "its output has no gradient"
        elif output.dtype <> torch.ScalarType.Float64 then
            Error $"of an input in double precision it makes an output of {output.dtype}"
        else
            let weights = Measuring.numbers seed "weights of the output" output.shape

            (output * weights).sum().backward()

            Ok
                { X = x
                  Leaves = leaves
                  Weights = weights
                  Slopes =
                    [ for leaf in leaves ->
                          match leaf.Tensor.grad with
                          | null -> torch.zeros_like leaf.Tensor
                          | slope -> slope.detach().clone() ] }

    /// What is asked of one point: the input alone, and all parameters together.
    let private asked (point: Point) =
        [ "the input", (fun leaf -> leaf.Name = "the input")
          if point.Leaves.Length > 1 then
              "all parameters", (fun leaf -> leaf.Name <> "the input") ]

    let private wrong seed rounding instance point =
        asked point
        |> List.map (fun (name, chosen) -> name, along seed rounding instance point chosen)

    /// The parameter whose gradient alone is wrong, where one is.
    let private culprit seed rounding instance (point: Point) =
        point.Leaves
        |> Seq.map (fun leaf ->
            leaf.Name, along seed rounding instance point (fun other -> other.Name = leaf.Name))
        |> Seq.tryFind (fun (_, slope) -> not slope.Agrees)

    let private check (case: Case) =
        use instance = case.Subject.Build case.Seed torch.ScalarType.Float64

        let rounding = Measuring.toleranceOf case.Subject torch.ScalarType.Float64 instance

        let at seed =
            pointOf case seed instance
            |> Result.map (fun point -> point, wrong seed rounding instance point)

        let disagrees slopes =
            slopes |> List.exists (fun (_, slope: Slope) -> not slope.Agrees)

        match at case.Seed with
        | Error reason -> Verdict.CannotAsk reason
        | Ok(point, slopes) when disagrees slopes ->
            let another = Measuring.derived case.Seed "another input"

            match at another with
            | Ok(_, again) when disagrees again ->
                let name, slope =
                    culprit case.Seed rounding instance point
                    |> Option.defaultWith (fun () -> slopes |> List.find (fun (_, slope) -> not slope.Agrees))

                Verdict.Breaks(
                    List.ofArray point.X.shape,
                    $"The gradient by {name} should be what differences give: along a random direction it says {Comparison.figure slope.Backward}, and differences say {Comparison.figure slope.Difference} within {Comparison.figure slope.Tolerance}.",
                    [ Measuring.pictureOf case.Subject "the input" (point.X.detach ()) ]
                )
            | _ -> Verdict.Holds []
        | Ok(_, slopes) ->
            let deviation =
                slopes
                |> List.map (fun (_, slope) ->
                    abs (slope.Backward - slope.Difference) / max 1.0 (abs slope.Difference))
                |> List.max

            Verdict.Holds [ "largest deviation", deviation ]

    /// <summary>Gradients by the input and by all trained parameters are what central differences give.</summary>
    /// <remarks>
    /// Functions without a gradient are skipped. So are queries whose norm is held constant on purpose
    /// (<c>UnitNorm.StopGradient</c>).
    /// </remarks>
    let agreement: Property =
        Ask.cases "gradients" "gradients are what differences of outputs give" check
