namespace LocalAttention.Verification

open System
open LocalAttention.Core.Specification
open TorchSharp

/// How a subject takes its input.
[<RequireQualifiedAccess>]
type Layout =
    /// Images, `[B, C, H, W]`, as models do.
    | Images
    /// Maps of tokens, `[B, H, W, C]`, as attention layers do.
    | Tokens

/// A subject built: weights in memory, of one type of element.
type Instance =
    inherit IDisposable

    /// The output; its first dimension is the batch.
    abstract Forward: input: torch.Tensor -> torch.Tensor

    /// The parameters by name; a function has none.
    abstract Parameters: (string * torch.Tensor) list

    /// Switches between the behaviour in training and in evaluation.
    abstract Train: isTraining: bool -> unit

    /// The module behind it, where there is one.
    abstract Module: torch.nn.Module option

/// What a subject promises about space. A property whose promise is missing is skipped.
type Promises =
    {
        /// Shifts of the input, down and right, that are multiples of these shift the output; none: no promise.
        Shifts: (int * int) option
        /// Rows and columns of the input per row and column of the output.
        Stride: int * int
        /// Tokens of the output along each border that a moving input may change.
        Border: int
        /// Which places of the input an output may depend on: size of the input, place of the output, to places.
        Reach: (ImageSize -> int * int -> Set<int * int>) option
        /// Heads that can be permuted with the parameters that belong to them.
        Heads: int option
    }

/// What is verified: an architecture, a layer or a function, with how to build it and what it promises.
type Subject =
    {
        Name: string
        /// The F# that gives it, or what describes it.
        Code: string
        /// The architecture, where it is one: then promises follow from its value.
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
