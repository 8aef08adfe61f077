namespace LocalAttention.Bench.Roofline;

/// <summary>
/// Work that reads its inputs once and writes its outputs once, with all that it does in between in registers and caches:
/// what a linear layer or a fused kernel is at best.
/// </summary>
/// <param name="Name">What it is.</param>
/// <param name="MultiplyAdds">Multiply-adds of the forward pass.</param>
/// <param name="Inputs">Numbers that enter.</param>
/// <param name="Outputs">Numbers that leave.</param>
/// <param name="Parameters">Parameters.</param>
public sealed record Pass(string Name, double MultiplyAdds, double Inputs, double Outputs, double Parameters)
{
    private const double Float = sizeof(float);

    /// <summary>Floating-point operations.</summary>
    /// <param name="training">With the backward pass: as many again for the gradient of each of the two factors.</param>
    public double Operations(bool training) => 2 * MultiplyAdds * (training ? 3 : 1);

    /// <summary>Bytes that have to cross the memory bus.</summary>
    /// <param name="training">
    /// With the backward pass: it reads the inputs, the parameters and the gradient of the outputs, and writes the gradients
    /// of the inputs and of the parameters.
    /// </param>
    public double Bytes(bool training)
    {
        var forward = Inputs + Outputs + Parameters;
        var backward = (2 * Inputs) + Outputs + (2 * Parameters);
        return Float * (training ? forward + backward : forward);
    }

    /// <summary>The shortest time on a machine: of its arithmetic or of its traffic, whichever takes longer.</summary>
    public double FloorSeconds(MachinePeak peak, bool training)
    {
        ArgumentNullException.ThrowIfNull(peak);
        return Math.Max(Operations(training) / peak.OperationsPerSecond, Bytes(training) / peak.BytesPerSecond);
    }
}
