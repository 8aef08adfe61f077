namespace LocalAttention.Verification

open System
open System.Globalization
open TorchSharp

/// Two results that should be one: by how much they differ, where most, and what that looks like.
[<RequireQualifiedAccess>]
module internal Comparison =
    /// A number as sentences have it, four digits of it.
    let figure (value: float) : string =
        value.ToString("G4", CultureInfo.InvariantCulture)

    /// The place of an element in row-major order.
    let private place (shape: int64[]) (index: int64) =
        Array.foldBack (fun length (places, rest) -> rest % length :: places, rest / length) shape ([], index)
        |> fst

    /// Where two results of one shape differ most, and the two numbers there.
    let where (expected: torch.Tensor) (actual: torch.Tensor) : string =
        let gap (one: float) (other: float) =
            if one = other || (Double.IsNaN one && Double.IsNaN other) then
                0.0
            else
                let difference = abs (one - other)
                if Double.IsNaN difference then infinity else difference

        let expected, actual, shape =
            Measuring.elements expected, Measuring.elements actual, expected.shape

        let worst = Seq.map2 gap expected actual |> Seq.indexed |> Seq.maxBy snd |> fst
        let place = place shape (int64 worst) |> List.map string |> String.concat ", "
        $"{figure actual[worst]} instead of {figure expected[worst]} at [{place}]"

    /// A result as one map of tokens, where it can be looked at as one.
    let private map (layout: Layout) (result: torch.Tensor) =
        match result.dim () with
        | 4L -> Some(Measuring.tokens layout result)
        | 2L -> Some(result.unsqueeze(1L).unsqueeze(-1L))
        | _ -> None

    /// The input, and where the outputs differ.
    let pictures (subject: Subject) (input: torch.Tensor) (expected: torch.Tensor) (actual: torch.Tensor) =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()

        let differences =
            if expected.shape = actual.shape then
                let difference =
                    actual.``to`` (torch.ScalarType.Float64)
                    - expected.``to`` (torch.ScalarType.Float64)

                map subject.Layout difference
                |> Option.map (Measuring.picture "where the outputs differ")
            else
                None

        Measuring.pictureOf subject "the input" input :: Option.toList differences

    /// `[2, 7, 7, 48]`.
    let shape (lengths: int64 seq) : string =
        $"""[{lengths |> Seq.map string |> String.concat ", "}]"""

    /// <summary>What comes of comparing two outputs.</summary>
    /// <param name="subject">Whose outputs they are.</param>
    /// <param name="input">What led to them.</param>
    /// <param name="tolerance">By how much they may differ, relative to the larger magnitude of the two.</param>
    /// <param name="name">The figure's name.</param>
    /// <param name="expectation">What was expected, as a sentence without its full stop.</param>
    /// <param name="expected">The output that was expected.</param>
    /// <param name="actual">The output that came.</param>
    let verdict
        (subject: Subject)
        (input: torch.Tensor)
        (tolerance: float)
        (name: string)
        (expectation: string)
        (expected: torch.Tensor)
        (actual: torch.Tensor)
        : Verdict =
        let difference = Measuring.difference expected actual

        if difference <= tolerance then
            Verdict.Holds [ name, difference ]
        else
            let seen =
                if expected.shape = actual.shape then
                    $"the largest difference is {figure difference} of the largest magnitude, where rounding explains {figure tolerance}: {where expected actual}"
                else
                    $"the shapes are {shape expected.shape} and {shape actual.shape}"

            Verdict.Breaks(
                List.ofArray input.shape,
                $"{expectation}; {seen}.",
                pictures subject input expected actual
            )

    /// All modules of a module, itself among them, with their dotted names; its own is its kind's.
    let modules (root: torch.nn.Module) : (string * torch.nn.Module) list =
        (root.GetName(), root)
        :: [ for struct (name, part) in root.named_modules () do
                 if not (obj.ReferenceEquals(part, root)) then
                     name, part ]

    /// The parameters and buffers by name; a function has its parameters alone.
    let state (instance: Instance) : (string * torch.Tensor) list =
        match instance.Module with
        | Some root ->
            instance.Parameters
            @ [ for struct (name, buffer) in root.named_buffers () -> name, buffer ]
        | None -> instance.Parameters

    /// Copies values by name into tensors of the same names and shapes; says which have no partner.
    let copy (source: (string * torch.Tensor) list) (target: (string * torch.Tensor) list) : string list =
        use _ = torch.no_grad ()
        let source = Map source

        [ for name, tensor in target do
              match source.TryFind name with
              | Some value when value.shape = tensor.shape -> tensor.copy_ value |> ignore
              | _ -> name ]
