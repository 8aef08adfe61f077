namespace LocalAttention.Verification

open System
open LocalAttention.Core.Analysis
open LocalAttention.Core.Specification
open TorchSharp

/// How a subject takes its input.
[<RequireQualifiedAccess>]
type Layout =
    /// Images, `[B, C, H, W]`, as models do.
    | Images
    /// Maps of tokens, `[B, H, W, C]`, as attention layers do.
    | Tokens

    /// The shape of a batch of so many, of some channels and size.
    member layout.Shape(batch: int, channels: int, size: ImageSize) : int64 list =
        let batch, channels = int64 batch, int64 channels
        let height, width = int64 size.Height, int64 size.Width

        match layout with
        | Images -> [ batch; channels; height; width ]
        | Tokens -> [ batch; height; width; channels ]

/// A subject built: weights in memory, of one type of element.
type Instance =
    inherit IDisposable

    /// The output; its first dimension is the batch.
    abstract Forward: input: torch.Tensor -> torch.Tensor

    /// The maps that promises speak of, by place, each `[B, H, W, C]`; an output without places is `[B, 1, 1, C]`.
    abstract Maps: input: torch.Tensor -> (string * torch.Tensor) list

    /// The parameters by name; a function has none.
    abstract Parameters: (string * torch.Tensor) list

    /// Switches between the behaviour in training and in evaluation.
    abstract Train: isTraining: bool -> unit

    /// The module behind it, where there is one.
    abstract Module: torch.nn.Module option

/// What is promised of one map that an input of one size leads to.
type MapPromise =
    {
        /// Which map it is: `output`, `stage 2`, `logits`.
        Place: string
        /// Rows and columns of the input per row and column of the map, below 1 where the map is finer; none: it has no
        /// places, as logits have none, and shifts leave it as it is.
        Stride: (float * float) option
        /// Shifts of an input that moves, where something new enters at the border, that move the map inside `Border`.
        Moves: ShiftLattice
        /// Rows and columns of the input along each side whose tokens know of the border.
        Border: BorderBand
        /// Shifts of an input that rolls as a torus, that roll the whole map.
        Rolls: ShiftLattice
        /// The places of the input that a place of the map may depend on, and does; none: no promise.
        Reach: (int * int -> Set<int * int>) option
        /// Why, a sentence each; may be empty.
        Reasons: string list
    }

/// What a subject promises. A property whose promise is missing is skipped.
type Promises =
    {
        /// What is promised of its maps, for each size of the input; none: nothing about space.
        Maps: ImageSize -> MapPromise list
        /// Heads that can be permuted with the parameters that belong to them.
        Heads: int option
    }

/// What is verified: an architecture, a layer or a function, with how to build it and what it promises.
type Subject =
    {
        Name: string
        /// The F# that gives it, or what describes it.
        Code: string
        /// The architecture, where it is nothing but one: then `Code` gives it.
        Architecture: Architecture option
        Layout: Layout
        /// Channels of the input.
        Channels: int
        /// The size of input that is used where nothing asks for another.
        Size: ImageSize
        /// Whether a size of input is one that the subject takes.
        Takes: ImageSize -> bool
        Promises: Promises
        /// Builds it with weights that follow from the seed, in evaluation mode.
        Build: int64 -> torch.ScalarType -> Instance
        /// Simpler subjects, simplest first; they fail alike, or are left alone.
        Simpler: unit -> Subject seq
    }
