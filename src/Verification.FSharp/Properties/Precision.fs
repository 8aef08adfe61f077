namespace LocalAttention.Verification

open TorchSharp

/// <summary>How far outputs drift where numbers are stored and computed with fewer bits, against double precision.</summary>
/// <remarks>
/// <para>
/// Weights and input are rounded to the smaller type first, and double precision is given the same numbers: what differs is
/// the arithmetic alone.
/// </para>
/// <para>
/// How much of it is rounding's due depends on the subject, so it is measured: <c>δ</c> is how far the output moves, in double
/// precision, when every number of the input and of the weights changes by one rounding, <c>±u</c> of itself, the largest of
/// three such trials, and one rounding of the largest number on the way: that of the input and the output, and at least 1, for
/// numbers of that size may cancel. A sum of <c>n</c> such products adds <c>n</c> roundings of partial sums as
/// large as the sum of <c>√n</c> products, where those trials have one of each product: at most <c>√n</c> times as much. A layer
/// has some more steps between its products (norms, softmax, activations), for which ten roundings are allowed; all that eight
/// times, as <c>Measuring.tolerance</c> does. So the bound is <c>8·(√n + 10)·δ</c>. What loses bits that the type has, an
/// intermediate result of fewer bits, a difference of large numbers, an exponential that overflows, is off by more.
/// </para>
/// <para>
/// Where the bound reaches the output's own magnitude, as it often does in bfloat16, nothing can fail but numbers that are
/// finite in double precision and not in the smaller type; the figure is still told.
/// </para>
/// </remarks>
[<RequireQualifiedAccess>]
module Precision =
    /// Magnitudes of the input's numbers: with the larger, exponentials overflow where a softmax does not subtract its maximum.
    let private ordinary = 1.0

    let private large = 32.0

    let private trials = 3

    /// Every number moved by one rounding of its own, up or down.
    let private jostled (seed: int64) (name: string) (unit: float) (numbers: torch.Tensor) =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        let signs = (Measuring.numbers seed name numbers.shape).sign()
        (numbers + numbers * signs * unit.ToScalar()).MoveToOuterDisposeScope()

    let private largest (tensor: torch.Tensor) =
        use _ = torch.NewDisposeScope()

        if tensor.numel () = 0L then
            0.0
        else
            tensor.abs().max().ToDouble()

    /// How far the output moves when each number that leads to it is rounded once.
    let private sensitivity
        (case: Case)
        (instance: Instance)
        (unit: float)
        (x: torch.Tensor)
        (output: torch.Tensor)
        =
        let trial number =
            use _ = torch.NewDisposeScope()
            use _ = torch.no_grad ()
            let seed = Measuring.derived case.Seed $"trial {number}"

            let before =
                [ for _, parameter in instance.Parameters -> parameter.detach().clone() ]

            for name, parameter in instance.Parameters do
                if parameter.is_floating_point () then
                    use moved = jostled seed name unit parameter
                    parameter.copy_ moved |> ignore

            try
                largest (instance.Forward(jostled seed "the input" unit x) - output)
            finally
                for (_, parameter), values in List.zip instance.Parameters before do
                    parameter.copy_ values |> ignore

        let magnitude = max 1.0 (max (largest x) (largest output))
        Seq.max [ for number in 1..trials -> trial number ] + unit * magnitude

    /// The longest sum: over the inputs of the widest matrix or kernel, or over all places.
    let private terms (case: Case) (instance: Instance) =
        let places = case.Subject.Size.Height * case.Subject.Size.Width

        instance.Parameters
        |> List.map (fun (_, parameter) ->
            if parameter.dim () > 1L then
                parameter.numel () / max 1L parameter.shape[0]
            else
                1L)
        |> List.fold max (int64 places)

    let private isUnsupported (thrown: exn) =
        thrown :? System.NotSupportedException
        || thrown.Message.Contains("not implemented", System.StringComparison.OrdinalIgnoreCase)

    /// The output in a smaller type; none where an operator has no code for the type.
    let private outputIn elementType (instance: Instance) (x: torch.Tensor) =
        try
            Some(Measuring.evaluate instance.Forward x)
        with thrown when elementType <> torch.ScalarType.Float32 && isUnsupported thrown ->
            None

    let private name elementType =
        match elementType with
        | torch.ScalarType.Float32 -> "float32"
        | torch.ScalarType.BFloat16 -> "bfloat16"
        | other -> string other

    let private inType (case: Case) (size: float) elementType =
        use small = case.Subject.Build case.Seed elementType
        use exact = case.Subject.Build case.Seed torch.ScalarType.Float64
        Comparison.copy (Comparison.state small) (Comparison.state exact) |> ignore

        let rounded =
            let batch = 1 + Measuring.choice case.Seed "batch" 2
            use x = Measuring.input case.Subject case.Seed batch torch.ScalarType.Float64
            use larger = x * size.ToScalar()
            larger.``to`` elementType

        match outputIn elementType small rounded with
        | None -> Verdict.Holds []
        | Some drifted ->
            let x = rounded.``to`` torch.ScalarType.Float64
            let output = Measuring.evaluate exact.Forward x
            let unit = Measuring.unitRoundoff elementType

            let bound =
                8.0
                * (sqrt (float (terms case exact)) + 10.0)
                * sensitivity case exact unit x output

            let magnitude = max (largest output) System.Double.Epsilon

            let drift =
                Measuring.difference output drifted
                * max (Measuring.magnitude output) (Measuring.magnitude drifted)

            let isLost = bound >= magnitude && System.Double.IsFinite drift

            if drift <= bound || isLost then
                Verdict.Holds [ $"largest drift in {name elementType}", drift / magnitude ]
            elif drifted.shape <> output.shape then
                Verdict.Breaks(
                    List.ofArray x.shape,
                    $"The output in {name elementType} should have the shape {Comparison.shape output.shape} that it has in float64, and has {Comparison.shape drifted.shape}.",
                    []
                )
            else
                Verdict.Breaks(
                    List.ofArray x.shape,
                    $"The output in {name elementType} should be that in float64 but for rounding; it is off by {Comparison.figure drift} where the largest magnitude is {Comparison.figure magnitude} and rounding explains {Comparison.figure bound}: {Comparison.where output drifted}.",
                    Comparison.pictures case.Subject x output drifted
                )

    /// All verdicts, up to the first that breaks.
    let rec private together (figures: (string * float) list) (checks: (unit -> Verdict) list) =
        match checks with
        | [] -> Verdict.Holds figures
        | check :: rest ->
            match check () with
            | Verdict.Holds more -> together (figures @ more) rest
            | verdict -> verdict

    /// Outputs in float32 and bfloat16 are those in float64 but for rounding; in float32 for inputs of 32 as well as of 1.
    let drift: Property =
        Ask.cases "precision" "fewer bits change outputs by what rounding explains, and no more" (fun case ->
            together
                []
                [ fun () -> inType case ordinary torch.ScalarType.Float32
                  fun () -> inType case large torch.ScalarType.Float32
                  fun () -> inType case ordinary torch.ScalarType.BFloat16 ])
