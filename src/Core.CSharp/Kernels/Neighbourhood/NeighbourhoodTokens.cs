namespace LocalAttention.Core.Kernels.Neighbourhood;

/// <summary>
/// Where the tokens of a group stand in a row of a map: of the projected one, <c>3C</c> channels to a token, or of one like
/// the output, <c>C</c> channels.
/// </summary>
internal unsafe struct NeighbourhoodTokens
{
    private int _group;

    /// <summary>For each sequence, the place of each of its extended tokens: <c>[sequences of a group, Extended]</c>.</summary>
    public int* Rows;

    /// <summary>For each key in reach of a lane's queries: <c>[Reach, lanes]</c>. Lanes without a sequence repeat the first.</summary>
    public int* Keys;

    /// <summary>Bytes of scratch memory.</summary>
    public static nuint Bytes(in NeighbourhoodShape shape) =>
        Scratch.Size<int>((long)shape.SequencesPerGroup * shape.Extended) + Scratch.Size<int>((long)shape.Reach * shape.Lanes);

    /// <summary>Takes the memory.</summary>
    public static NeighbourhoodTokens Take(in NeighbourhoodShape shape, Scratch scratch) => new()
    {
        _group = -1,
        Rows = scratch.Take<int>((long)shape.SequencesPerGroup * shape.Extended),
        Keys = scratch.Take<int>((long)shape.Reach * shape.Lanes),
    };

    /// <summary>Finds the places of a group, unless they are those that were found last.</summary>
    /// <param name="shape">The sizes.</param>
    /// <param name="group">Which group.</param>
    /// <param name="parts">3 for the projected map, 1 for the output.</param>
    public void Find(in NeighbourhoodShape shape, int group, int parts)
    {
        if (group == _group)
        {
            return;
        }
        _group = group;
        var existing = shape.SequencesOf(group);
        for (var index = 0; index < existing; index++)
        {
            var (head, residue) = shape.Sequence((group * shape.SequencesPerGroup) + index);
            var length = shape.LengthOf(shape.Width, residue);
            var row = Rows + (index * shape.Extended);
            for (var place = 0; place < shape.Extended; place++)
            {
                var column = residue + (shape.Resolve(place, length) * shape.Dilation);
                row[place] = (column * parts * shape.Channels) + (head * shape.Depth);
            }
        }
        for (var lane = 0; lane < shape.Lanes; lane++)
        {
            var (index, stretch) = Math.DivRem(lane, shape.Stretches);
            var row = Rows + (index < existing ? (index * shape.Extended) + (stretch * shape.Segment) : 0);
            for (var place = 0; place < shape.Reach; place++)
            {
                Keys[(place * shape.Lanes) + lane] = row[place];
            }
        }
    }
}
