namespace LocalAttention.Core.Specification;

/// <summary>Collects mistakes; each view of it, made by <see cref="At"/>, adds its place to them.</summary>
internal sealed class Problems
{
    private readonly List<Problem> _found;
    private readonly string _place;

    public Problems()
        : this([], "")
    {
    }

    private Problems(List<Problem> found, string place) => (_found, _place) = (found, place);

    public bool IsEmpty => _found.Count == 0;

    public Problems At(string place) => new(_found, place);

    public ValueList<Problem> ToList() => ValueList.From(_found);

    public void Add(string mistake, string remedy) => _found.Add(new Problem(_place, mistake, remedy));

    public bool CheckRange(string what, int value, int least, int most)
    {
        if (value >= least && value <= most)
        {
            return true;
        }
        Add($"{what}: {value}", value < least ? $"use at least {least}" : $"use at most {most}");
        return false;
    }

    public void CheckOdd(string what, int value, int most)
    {
        if (CheckRange(what, value, 1, most) && value % 2 == 0)
        {
            Add($"{what}: {value} is even, so it has no centre", value < most ? $"use {value - 1} or {value + 1}" : $"use {value - 1}");
        }
    }

    public void CheckHeads(int heads, int channels)
    {
        // A width that is itself out of range is named where it is given.
        if (CheckRange("heads", heads, 1, Limits.Channels) && channels is > 0 and <= Limits.Channels && channels % heads != 0)
        {
            Add($"{heads} heads do not divide {channels} channels", $"use {NearestDivisors(channels, heads)} heads");
        }
    }

    public void AddDivision(string what, ImageSize size, string divisor, int multiple) => Add(
        $"the {what} of {size} is not a multiple of {divisor}, and the size policy is exact",
        $"use {Nearest(size, multiple)}, or let the size policy pad");

    private static string NearestDivisors(int channels, int heads)
    {
        var below = heads;
        while (below > 1 && channels % below != 0)
        {
            below--;
        }
        var above = heads;
        while (above < channels && channels % above != 0)
        {
            above++;
        }
        return above > channels || channels % above != 0 || above == below ? $"{below}" : $"{below} or {above}";
    }

    private static string Nearest(ImageSize size, int multiple)
    {
        var above = size.DividedBy(multiple).Times(multiple);
        var below = new ImageSize(size.Height / multiple * multiple, size.Width / multiple * multiple);
        return below is { Height: > 0, Width: > 0 } && below != above ? $"{below} or {above}" : $"{above}";
    }
}
