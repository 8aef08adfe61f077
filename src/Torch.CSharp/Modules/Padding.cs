namespace TorchSharp;

/// <summary>How much a convolution pads.</summary>
public enum Padding
{
    /// <summary>Not at all: only whole windows.</summary>
    Valid = 0,

    /// <summary>So much that the result is as large as the input.</summary>
    Same = 1,
}
