using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Checkpoints;

/// <summary>
/// The state dicts in what a pickle holds: dictionaries from names to tensors, in dictionaries of other things. Training
/// scripts save <c>{"model": …, "optimizer": …, "epoch": …}</c>, each with words of its own; tensors beside a state dict, such
/// as <c>{"model": …, "best_acc1": …}</c>, are none.
/// </summary>
internal static class StateDicts
{
    private const int MostListed = 8;

    // What stands before every name where the model was wrapped: by DataParallel and its distributed kin, by torch.compile.
    private static readonly string[] Wrappers = ["module.", "_orig_mod."];

    /// <summary>The one state dict of a file, or that of a part of it.</summary>
    /// <exception cref="CheckpointException">There is none, several and no part said which, or none at that part.</exception>
    public static List<KeyValuePair<string, PickleTensor>> Choose(string path, object? root, string? part, AllocationBudget budget)
    {
        if (root is not PickleDictionary dictionary)
        {
            throw new CheckpointException(
                path, $"the pickle holds a {PickleCalls.Kind(root)}; it must hold a state dict, or a dict with one in it");
        }
        var found = Search(dictionary, budget);
        if (part is not null)
        {
            var chosen = found.FirstOrDefault(candidate => candidate.Place == part).Dictionary ?? throw new CheckpointException(
                path,
                $"there is no state dict at '{part}'{NearestNames.Hint(part, found.Select(candidate => candidate.Place))}; there is {List(found)}");
            return Tensors(chosen, budget);
        }
        return found.Count switch
        {
            0 => throw new CheckpointException(path, "the pickle holds no dict from names to tensors; save model.state_dict()"),
            1 => Tensors(found[0].Dictionary, budget),
            _ => throw new CheckpointException(path, $"the file holds several state dicts: {List(found)}; say which part is meant"),
        };
    }

    /// <summary>
    /// The innermost dictionaries with tensors that can be reached by names. What has numbers for keys or stands in lists is an
    /// optimizer's.
    /// </summary>
    private static List<(string Place, PickleDictionary Dictionary)> Search(PickleDictionary root, AllocationBudget budget)
    {
        var reached = new List<(string Place, PickleDictionary Dictionary, int Outer)>();
        var seen = new HashSet<PickleDictionary>(ReferenceEqualityComparer.Instance);
        var waiting = new Queue<(string Place, PickleDictionary Dictionary, int Outer)>();
        waiting.Enqueue(("", root, -1));
        while (waiting.TryDequeue(out var next))
        {
            // A pickle's dictionary can hold itself.
            if (!seen.Add(next.Dictionary))
                continue;
            budget.Take(260);
            reached.Add(next);
            foreach (var pair in next.Dictionary.Pairs)
            {
                if (pair is not { Key: string name, Value: PickleDictionary inner } || seen.Contains(inner))
                    continue;
                budget.Take(64 + (2L * (name.Length + next.Place.Length)));
                waiting.Enqueue((next.Place.Length == 0 ? name : $"{next.Place}/{name}", inner, reached.Count - 1));
            }
        }

        // What is inside was reached later, so that one pass from the last to the first tells it all the way out.
        var found = new List<(string, PickleDictionary)>();
        var hasInner = new bool[reached.Count];
        for (var index = reached.Count - 1; index >= 0; index--)
        {
            var (place, dictionary, outer) = reached[index];
            var isFound = !hasInner[index] && dictionary.Pairs.Any(pair => pair is { Key: string, Value: PickleTensor });
            if (isFound)
                found.Add((place, dictionary));
            if (outer >= 0)
                hasInner[outer] |= isFound || hasInner[index];
        }
        found.Reverse();
        return found;
    }

    private static List<KeyValuePair<string, PickleTensor>> Tensors(PickleDictionary dictionary, AllocationBudget budget)
    {
        var places = new Dictionary<string, int>(StringComparer.Ordinal);
        var tensors = new List<KeyValuePair<string, PickleTensor>>();
        foreach (var pair in dictionary.Pairs)
        {
            if (pair is not { Key: string name, Value: PickleTensor tensor })
                continue;
            budget.Take(150);
            if (places.TryAdd(name, tensors.Count))
                tensors.Add(new(name, tensor));
            else
                tensors[places[name]] = new(name, tensor);
        }
        while (Wrappers.FirstOrDefault(wrapper => AreAllIn(wrapper, tensors)) is { } wrapper)
            tensors = tensors.ConvertAll(pair => KeyValuePair.Create(pair.Key[wrapper.Length..], pair.Value));
        return tensors;
    }

    private static bool AreAllIn(string wrapper, List<KeyValuePair<string, PickleTensor>> tensors) =>
        tensors.Count > 0
        && tensors.TrueForAll(pair => pair.Key.Length > wrapper.Length && pair.Key.StartsWith(wrapper, StringComparison.Ordinal));

    private static string List(List<(string Place, PickleDictionary Dictionary)> found)
    {
        if (found.Count == 0)
            return "none in this file";
        var listed = found.Take(MostListed).Select(candidate =>
            $"'{SafetensorsHeader.Shortened(candidate.Place)}' "
                + $"({candidate.Dictionary.Pairs.Count(pair => pair is { Key: string, Value: PickleTensor })} tensors)");
        var more = found.Count > MostListed ? $", and {found.Count - MostListed} more" : "";
        return $"{string.Join(", ", listed)}{more}";
    }
}
