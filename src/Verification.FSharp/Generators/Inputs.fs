namespace LocalAttention.Verification

open LocalAttention.Core.Specification
open TorchSharp

/// <summary>
/// A batch of images or maps as a case prints it: the sizes, and the seed that its normally distributed numbers follow
/// from.
/// </summary>
type Input =
    {
        /// Images in the batch.
        Batch: int
        /// Rows and columns of each.
        Size: ImageSize
        /// Channels of each.
        Channels: int
        /// What the numbers follow from.
        Seed: int
    }

    /// The shape of the tensor in a layout.
    member input.Shape(layout: Layout) : int64 list =
        layout.Shape(input.Batch, input.Channels, input.Size)

    /// <summary>
    /// The tensor, on the CPU. Equal inputs have equal numbers: those of double precision, rounded to the type of element.
    /// </summary>
    /// <param name="layout">Images or maps of tokens.</param>
    /// <param name="elements">The type of element.</param>
    member input.ToTensor(layout: Layout, elements: torch.ScalarType) : torch.Tensor =
        use generator = new torch.Generator(uint64 input.Seed, torch.CPU)

        use doubles =
            torch.randn (Array.ofList (input.Shape layout), torch.ScalarType.Float64, generator = generator)

        // A copy even where there is nothing to round, since the numbers above are disposed of.
        doubles.``to`` (elements, copy = true)
