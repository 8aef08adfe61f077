namespace LocalAttention.Verification

open System
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open TorchSharp

/// What properties share: numbers from seeds, differences, tolerances, pictures.
[<RequireQualifiedAccess>]
module Measuring =
    /// SplitMix64: as good as random, and the same on every machine (Steele, Lea and Flood, OOPSLA 2014).
    let private mixed (state: uint64) = SeededRandom.BitsAfter state

    /// Another seed, that follows from a seed and a name.
    let derived (seed: int64) (name: string) : int64 =
        name
        |> Seq.fold (fun state character -> mixed (state ^^^ uint64 character)) (mixed (uint64 seed))
        |> int64

    /// A whole number from 0 below a bound, which follows from a seed and a name.
    let choice (seed: int64) (name: string) (bound: int) : int =
        int (uint64 (derived seed name) % uint64 bound)

    /// Numbers between -1 and 1 in double precision, which follow from a seed and a name.
    let numbers (seed: int64) (name: string) (shape: int64 seq) : torch.Tensor =
        let shape = Array.ofSeq shape
        let start = uint64 (derived seed name)

        let elements =
            Array.init (int (Array.fold (*) 1L shape)) (fun index ->
                float (mixed (start + uint64 index) >>> 11) / float (1UL <<< 52) - 1.0)

        torch.tensor (elements, ReadOnlySpan shape)

    /// The shape of an input of some size.
    let shape (subject: Subject) (batch: int) (size: ImageSize) : int64 list =
        subject.Layout.Shape(batch, subject.Channels, size)

    /// An input of the subject's size between -1 and 1, which follows from the seed: the same numbers in every type of
    /// element, but for their rounding.
    let input (subject: Subject) (seed: int64) (batch: int) (elementType: torch.ScalarType) : torch.Tensor =
        use numbers = numbers seed "input" (shape subject batch subject.Size)
        numbers.``to`` (elementType, copy = true)

    /// The dimensions that rows and columns are in.
    let axes (layout: Layout) : int64 * int64 =
        match layout with
        | Layout.Images -> 2L, 3L
        | Layout.Tokens -> 1L, 2L

    /// Half the distance from 1 to the next number: what rounding adds to a number of order one, at most.
    let unitRoundoff (elementType: torch.ScalarType) : float =
        match elementType with
        | torch.ScalarType.Float64 -> Math.ScaleB(1.0, -53)
        | torch.ScalarType.Float32 -> Math.ScaleB(1.0, -24)
        | torch.ScalarType.Float16 -> Math.ScaleB(1.0, -11)
        | torch.ScalarType.BFloat16 -> Math.ScaleB(1.0, -8)
        | other ->
            invalidArg
                (nameof elementType)
                $"numbers of type {other} are not rounded; give float64, float32, float16 or bfloat16"

    /// <summary>
    /// How far two ways of computing the same may differ by rounding, relative to the largest magnitude of the result.
    /// </summary>
    /// <remarks>
    /// A sum of <c>n</c> terms in any order is off by <c>λ·√n·u</c> of the sum of its terms' magnitudes, <c>u</c> being the
    /// unit roundoff, but for a probability of <c>2·exp(-λ²/2)</c> (Higham and Mary, 2019, theorem 2.4); with <c>λ = 8</c>
    /// that is once in 10¹³ sums. Each of <c>depth</c> layers adds its own. What a layer is given it may enlarge, norms of
    /// tokens that vary little above all: a hundredfold is allowed for. So the bound is <c>100·depth·8·√n·u</c>, some 10⁻¹¹ in
    /// double precision for a thousand terms and four layers, where what is wrong differs by more than 10⁻⁷.
    /// </remarks>
    /// <param name="elementType">What is computed with.</param>
    /// <param name="depth">How many layers come one after the other.</param>
    /// <param name="terms">How many terms the longest sum has.</param>
    let tolerance (elementType: torch.ScalarType) (depth: int) (terms: int64) : float =
        100.0
        * float (max 1 depth)
        * 8.0
        * sqrt (float (max 1L terms))
        * unitRoundoff elementType

    /// <summary>
    /// The same for a subject and its parameters: each matrix or kernel is a layer; the longest sum is over the inputs of the
    /// widest of them, or over all places of the input.
    /// </summary>
    let toleranceOf (subject: Subject) (elementType: torch.ScalarType) (instance: Instance) : float =
        let matrices =
            instance.Parameters
            |> List.filter (fun (_, parameter) -> parameter.dim () > 1L)
            |> List.map (fun (_, parameter) -> parameter.numel () / max 1L parameter.shape[0])

        let places =
            int64 subject.Size.Height * int64 subject.Size.Width * int64 subject.Channels

        tolerance elementType (List.length matrices + 1) (List.fold max places matrices)

    /// The elements in double precision, row by row.
    let elements (tensor: torch.Tensor) : float array =
        use _ = torch.NewDisposeScope()

        tensor.detach().cpu().``to``(torch.ScalarType.Float64).contiguous().data<float>().ToArray()

    /// The largest magnitude, at least 1: what differences are measured by.
    let magnitude (tensor: torch.Tensor) : float =
        elements tensor
        |> Array.fold
            (fun largest element ->
                if Double.IsFinite element then
                    max largest (abs element)
                else
                    largest)
            1.0

    /// The largest difference between elements, relative to the larger magnitude of the two; infinite where shapes differ, or
    /// one element is a number and the other is not.
    let difference (one: torch.Tensor) (other: torch.Tensor) : float =
        if one.shape <> other.shape then
            infinity
        else
            let largest =
                Array.fold2
                    (fun largest (a: float) (b: float) ->
                        // Two that are equal may be infinite; two that are no numbers count as equal.
                        if a = b || (Double.IsNaN a && Double.IsNaN b) then
                            largest
                        elif Double.IsFinite a && Double.IsFinite b then
                            max largest (abs (a - b))
                        else
                            infinity)
                    0.0
                    (elements one)
                    (elements other)

            largest / max (magnitude one) (magnitude other)

    /// Runs a function without gradients; what it returns outlives what it made on the way.
    let evaluate (forward: torch.Tensor -> torch.Tensor) (input: torch.Tensor) : torch.Tensor =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        (forward input).MoveToOuterDisposeScope()

    /// One image of a map `[B, H, W, C]`, the largest magnitude among the channels at each place, with its sign.
    let picture (title: string) (map: torch.Tensor) : Picture =
        let height, width, channels = int map.shape[1], int map.shape[2], int map.shape[3]

        let elements = elements map

        let at row column =
            let first = (row * width + column) * channels

            Seq.init channels (fun channel -> elements[first + channel])
            |> Seq.maxBy (fun element -> if Double.IsNaN element then infinity else abs element)

        { Title = title
          Rows = Array.init height (fun row -> Array.init width (at row)) }

    /// The map of tokens that an input is, whatever its layout.
    let tokens (layout: Layout) (input: torch.Tensor) : torch.Tensor =
        match layout with
        | Layout.Tokens -> input
        | Layout.Images -> input.permute (0L, 2L, 3L, 1L)

    /// A picture of an input.
    let pictureOf (subject: Subject) (title: string) (input: torch.Tensor) : Picture =
        use map = (tokens subject.Layout input).alias()
        picture title map
