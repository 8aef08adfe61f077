namespace LocalAttention.Core.Analysis;

/// <summary>A tensor of the simulation: what it takes, and what its gradient would take.</summary>
/// <param name="size">Bytes of its elements.</param>
/// <param name="learns">Whether a gradient flows to it.</param>
internal sealed class SimulatedTensor(long size, bool learns)
{
    public long Size => size;

    public bool Learns => learns;

    /// <summary>The memory that it lies in, which views share; none for what the caller holds, as images and parameters.</summary>
    public SimulatedStorage? Storage { get; init; }

    /// <summary>The gradient that has come so far.</summary>
    public SimulatedStorage? Gradient { get; set; }
}

/// <summary>Memory that is free again when nothing holds it.</summary>
internal sealed class SimulatedStorage(long bytes)
{
    public long Bytes => bytes;

    public int Holders { get; set; }
}

/// <summary>
/// Plays the allocations of a forward pass, and of a backward pass after it, without a tensor: what each operator makes,
/// what lives until its scope ends, what the graph keeps for gradients. The most that lives at once is the peak.
/// </summary>
/// <param name="training">Whether operators are recorded for a backward pass.</param>
/// <param name="elementSize">Bytes of an element.</param>
internal sealed class MemoryTape(bool training, int elementSize)
{
    private readonly Stack<List<SimulatedStorage>> _scopes = new([[]]);
    private readonly List<Step> _steps = [];
    private long _live;

    public bool Training => training;

    public int ElementSize => elementSize;

    /// <summary>The most bytes that lived at once.</summary>
    public long Peak { get; private set; }

    /// <summary>A tensor that the caller holds.</summary>
    public SimulatedTensor Given(long elements) => new(elements * elementSize, learns: false);

    /// <summary>A dispose scope; what it returns outlives it.</summary>
    public SimulatedTensor Scope(Func<SimulatedTensor> body)
    {
        _scopes.Push([]);
        var result = body();
        var inner = _scopes.Pop();
        foreach (var storage in inner)
        {
            if (storage == result.Storage)
            {
                // The outer scope takes over.
                _scopes.Peek().Add(storage);
            }
            else
            {
                Drop(storage);
            }
        }
        return result;
    }

    /// <summary>What <c>using</c> does at the end of a block.</summary>
    public void Dispose(SimulatedTensor tensor)
    {
        if (tensor.Storage is { } storage && _scopes.Peek().Remove(storage))
        {
            Drop(storage);
        }
    }

    /// <summary>An operator with one result.</summary>
    /// <param name="inputs">What enters and may have a gradient.</param>
    /// <param name="elements">Elements of the result.</param>
    /// <param name="saved">Which tensors the backward pass needs.</param>
    /// <param name="savesResult">Whether it needs the result.</param>
    /// <param name="extra">Elements that are computed and kept beside the result while training.</param>
    /// <param name="parameters">Parameters whose gradients the backward pass makes.</param>
    /// <param name="workspace">Elements that live while it computes.</param>
    /// <param name="slopeWorkspace">Elements that live while its gradients are computed.</param>
    /// <param name="passesSlope">Whether the inputs' gradients are the result's itself.</param>
    public SimulatedTensor Apply(
        SimulatedTensor[] inputs,
        long elements,
        SimulatedTensor[]? saved = null,
        bool savesResult = false,
        long extra = 0,
        long parameters = 0,
        long workspace = 0,
        long slopeWorkspace = 0,
        bool passesSlope = false)
    {
        var result = New(elements, inputs.Any(input => input.Learns) || parameters > 0);
        Passing(workspace);
        if (training && result.Learns)
        {
            var kept = (saved ?? []).Select(tensor => tensor.Storage).OfType<SimulatedStorage>().ToList();
            if (savesResult)
            {
                kept.Add(result.Storage!);
            }
            if (extra > 0)
            {
                var storage = Allocate(extra * elementSize);
                storage.Holders--;
                kept.Add(storage);
            }
            Record(inputs, [result], kept, parameters, slopeWorkspace, passesSlope);
        }
        return result;
    }

    /// <summary>The same memory seen otherwise; its gradient has as many elements as it.</summary>
    public SimulatedTensor View(SimulatedTensor tensor) => Views(tensor, 1)[0];

    /// <summary>
    /// Equal parts of a tensor as views. Where there are several, their gradients are put together into a new tensor.
    /// </summary>
    public SimulatedTensor[] Views(SimulatedTensor tensor, int count)
    {
        var views = new SimulatedTensor[count];
        for (var index = 0; index < count; index++)
        {
            views[index] = new SimulatedTensor(tensor.Size / count, tensor.Learns) { Storage = tensor.Storage };
        }
        if (training && tensor.Learns)
        {
            Record([tensor], views, [], 0, 0, passesSlope: count == 1);
        }
        return views;
    }

    /// <summary>A part of a tensor's channels as a view, whose gradient is put among zeros of the whole.</summary>
    public SimulatedTensor Part(SimulatedTensor tensor, long elements)
    {
        var part = new SimulatedTensor(elements * elementSize, tensor.Learns) { Storage = tensor.Storage };
        if (training && tensor.Learns)
        {
            Record([tensor], [part], [], 0, 0, passesSlope: false);
        }
        return part;
    }

    /// <summary>
    /// A sum, of products where there are factors, added to a tensor in place. Its gradient goes on to the tensor as it is,
    /// and to what was added.
    /// </summary>
    public SimulatedTensor InPlace(SimulatedTensor target, SimulatedTensor added, SimulatedTensor? factor = null)
    {
        var result = new SimulatedTensor(target.Size, target.Learns || added.Learns) { Storage = target.Storage };
        if (training && result.Learns)
        {
            if (factor is not null)
            {
                var product = new SimulatedTensor(target.Size, result.Learns);
                var kept = new[] { added.Storage, factor.Storage }.OfType<SimulatedStorage>().ToList();
                Record([added, factor], [product], kept, 0, 0, passesSlope: false);
                added = product;
            }
            Record([target, added], [result], [], 0, 0, passesSlope: true);
        }
        return result;
    }

    /// <summary>Elements that live a moment.</summary>
    public void Passing(long elements) => Peak = Math.Max(Peak, _live + (elements * elementSize));

    /// <summary>The backward pass from a result; parameters' gradients stay.</summary>
    public void Backward(SimulatedTensor result)
    {
        result.Gradient = Allocate(result.Size);
        for (var index = _steps.Count - 1; index >= 0; index--)
        {
            Back(_steps[index]);
        }
    }

    private void Back(Step step)
    {
        var slopes = step.Results.Select(result => result.Gradient).OfType<SimulatedStorage>().ToList();
        if (slopes.Count > 0)
        {
            _live += step.Parameters * elementSize;
            var made = new List<(SimulatedTensor Input, SimulatedStorage Gradient)>();
            foreach (var input in step.Inputs.Where(input => input.Learns))
            {
                if (step.PassesSlope)
                {
                    slopes[0].Holders++;
                    made.Add((input, slopes[0]));
                }
                else
                {
                    made.Add((input, Allocate(input.Size)));
                }
            }
            Passing(step.SlopeWorkspace);
            foreach (var (input, gradient) in made)
            {
                Accumulate(input, gradient);
            }
        }
        step.Kept.ForEach(Drop);
        slopes.ForEach(Drop);
        foreach (var result in step.Results)
        {
            result.Gradient = null;
        }
    }

    /// <summary>The engine adds in place where it alone holds one of the sums.</summary>
    private void Accumulate(SimulatedTensor input, SimulatedStorage gradient)
    {
        if (input.Gradient is not { } before)
        {
            input.Gradient = gradient;
            return;
        }
        if (before.Holders == 1)
        {
            Drop(gradient);
        }
        else if (gradient.Holders == 1)
        {
            Drop(before);
            input.Gradient = gradient;
        }
        else
        {
            input.Gradient = Allocate(before.Bytes);
            Drop(before);
            Drop(gradient);
        }
    }

    private SimulatedTensor New(long elements, bool learns)
    {
        var storage = Allocate(elements * elementSize);
        _scopes.Peek().Add(storage);
        return new SimulatedTensor(storage.Bytes, learns) { Storage = storage };
    }

    private void Record(
        SimulatedTensor[] inputs, SimulatedTensor[] results, List<SimulatedStorage> kept, long parameters, long slopeWorkspace,
        bool passesSlope)
    {
        foreach (var storage in kept)
        {
            storage.Holders++;
        }
        _steps.Add(new Step(inputs, results, kept, parameters, slopeWorkspace, passesSlope));
    }

    private SimulatedStorage Allocate(long bytes)
    {
        _live += bytes;
        Peak = Math.Max(Peak, _live);
        return new SimulatedStorage(bytes) { Holders = 1 };
    }

    private void Drop(SimulatedStorage storage)
    {
        if (--storage.Holders == 0)
        {
            _live -= storage.Bytes;
        }
    }

    private sealed record Step(
        SimulatedTensor[] Inputs,
        SimulatedTensor[] Results,
        List<SimulatedStorage> Kept,
        long Parameters,
        long SlopeWorkspace,
        bool PassesSlope);
}
