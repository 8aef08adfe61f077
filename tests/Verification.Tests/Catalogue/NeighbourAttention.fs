namespace LocalAttention.Verification.Tests

open System
open TorchSharp

/// Attention of each token to the odd window around it, which ends with the map, as a user would write it:
/// `softmax(q·kᵀ/√d + bias) · v` for each head. `[B, H, W, C]` to the same shape.
///
/// Its steps can be replaced one by one: that is how the catalogue breaks it.
type NeighbourAttention(channels: int, heads: int, side: int, isBiasRegistered: bool) as this =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("NeighbourAttention")

    let depth = channels / heads
    let radius = int64 (side / 2)
    let qkv = torch.nn.Linear(int64 channels, int64 (3 * channels))
    let proj = torch.nn.Linear(int64 channels, int64 channels)

    let bias =
        torch.nn.Parameter(torch.randn [| int64 heads; int64 (side * side) |] * (0.5).ToScalar())

    do
        this.register_module ("qkv", qkv)
        this.register_module ("proj", proj)

        if isBiasRegistered then
            this.register_parameter ("bias", bias)
        else
            bias.DetachFromDisposeScope() |> ignore

    new(channels, heads, side) = new NeighbourAttention(channels, heads, side, true)

    /// Tokens from the middle of a window to its edge.
    member _.Radius = radius

    /// The relative position bias, `[heads, side²]`.
    member _.Table: torch.Tensor = bias

    /// Queries, keys and values, `[B, H, W, 3C]`.
    abstract Project: map: torch.Tensor -> torch.Tensor

    default _.Project map = qkv.call map

    /// The map with what lies beyond its border.
    abstract Extend: map: torch.Tensor -> torch.Tensor

    default _.Extend map =
        torch.nn.functional.pad (map, [| 0L; 0L; radius; radius; radius; radius |])

    /// The tokens of each window of a map `[B, H, W, C]`: `[B, H, W, side², C]`.
    member this.Windows(map: torch.Tensor) : torch.Tensor =
        let extended = this.Extend map
        let height, width = map.shape[1], map.shape[2]

        torch.stack (
            [| for row in 0 .. side - 1 do
                   for column in 0 .. side - 1 ->
                       extended.narrow(1L, int64 row, height).narrow(2L, int64 column, width) |],
            3L
        )

    /// Scores of the tokens of each window, `[B, H, W, heads, side²]`, from queries `[B, H, W, heads, d]` and keys
    /// `[B, H, W, side², heads, d]`.
    abstract Score: queries: torch.Tensor * keys: torch.Tensor -> torch.Tensor

    default _.Score(queries, keys) =
        let scaled = queries * (1.0 / sqrt (float depth)).ToScalar()
        (scaled.unsqueeze 3L * keys).sum(-1L).transpose(3L, 4L)

    /// What is added to the scores, `[heads, side²]`.
    abstract Bias: unit -> torch.Tensor

    default _.Bias() = bias

    /// The weights of the tokens of each window, from scores that are −∞ beyond the border.
    abstract Weigh: scores: torch.Tensor -> torch.Tensor

    default _.Weigh scores = scores.softmax -1L

    /// What is made of the heads' outputs side by side, `[B, H, W, C]`.
    abstract Finish: mixed: torch.Tensor -> torch.Tensor

    default _.Finish mixed = proj.call mixed

    override this.forward(map: torch.Tensor) =
        use scope = torch.NewDisposeScope()
        let batch, height, width = map.shape[0], map.shape[1], map.shape[2]

        let parts =
            (this.Project map).view(batch, height, width, 3L, int64 heads, int64 depth).unbind 3L

        let windows (part: torch.Tensor) =
            (this.Windows(part.flatten (3L, 4L)))
                .view(batch, height, width, int64 (side * side), int64 heads, int64 depth)

        let scores = this.Score(parts[0], windows parts[1]) + this.Bias()

        let inside = torch.ones ([| 1L; height; width; 1L |], dtype = map.dtype)

        let outside =
            (this.Windows inside).view(1L, height, width, 1L, -1L).eq(0.0.ToScalar())

        let weights =
            this.Weigh(scores.masked_fill (outside, Double.NegativeInfinity.ToScalar()))

        let mixed = (weights.transpose(3L, 4L).unsqueeze -1L * windows parts[2]).sum 3L

        (this.Finish(mixed.view (batch, height, width, int64 channels))).MoveToOuterDisposeScope()

/// Attention inside windows that are shifted by half their side, as in every second block of Swin: the map is rolled, cut
/// into windows, and tokens from opposite edges are masked from each other. `[B, H, W, C]` to the same shape.
type ShiftedWindows(channels: int, heads: int, side: int, isMasked: bool) as this =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("ShiftedWindows")

    let depth = channels / heads
    let shift = int64 (side / 2)
    let qkv = torch.nn.Linear(int64 channels, int64 (3 * channels))
    let proj = torch.nn.Linear(int64 channels, int64 channels)

    do
        this.register_module ("qkv", qkv)
        this.register_module ("proj", proj)

    /// Windows one after the other, `[B·windows, side², …]`.
    let cut (map: torch.Tensor) =
        let batch, height, width, last =
            map.shape[0], map.shape[1], map.shape[2], map.shape[3]

        map
            .view(batch, height / int64 side, int64 side, width / int64 side, int64 side, last)
            .permute(0L, 1L, 3L, 2L, 4L, 5L)
            .reshape(-1L, int64 (side * side), last)

    /// For each token of the rolled map, which of the four parts it is from that were not neighbours before.
    let regions (height: int64) (width: int64) =
        let part length place =
            if place >= length - shift then 1.0 else 0.0

        let numbers =
            [| for row in 0L .. height - 1L do
                   for column in 0L .. width - 1L -> 2.0 * part height row + part width column |]

        torch.tensor (numbers, ReadOnlySpan [| 1L; height; width; 1L |])

    override _.forward(map: torch.Tensor) =
        use scope = torch.NewDisposeScope()
        let batch, height, width = map.shape[0], map.shape[1], map.shape[2]
        let windows = cut (map.roll ([| -shift; -shift |], [| 1L; 2L |]))

        let parts =
            (qkv.call windows)
                .view(windows.shape[0], int64 (side * side), 3L, int64 heads, int64 depth)
                .permute(2L, 0L, 3L, 1L, 4L)
                .unbind
                0L

        let scores =
            (parts[0] * (1.0 / sqrt (float depth)).ToScalar()).matmul(parts[1].transpose(2L, 3L))

        let masked =
            if isMasked then
                let region = (cut (regions height width)).squeeze -1L

                let apart =
                    region.unsqueeze(1L).ne(region.unsqueeze 2L).repeat(batch, 1L, 1L).unsqueeze 1L

                scores.masked_fill (apart, Double.NegativeInfinity.ToScalar())
            else
                scores

        let mixed =
            masked
                .softmax(-1L)
                .matmul(parts[2])
                .transpose(1L, 2L)
                .reshape(-1L, int64 (side * side), int64 channels)

        (proj.call mixed)
            .view(batch, height / int64 side, width / int64 side, int64 side, int64 side, int64 channels)
            .permute(0L, 1L, 3L, 2L, 4L, 5L)
            .reshape(batch, height, width, int64 channels)
            .roll([| shift; shift |], [| 1L; 2L |])
            .MoveToOuterDisposeScope()
