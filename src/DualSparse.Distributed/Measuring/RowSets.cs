namespace DualSparse.Distributed.Measuring;

/// <summary>
/// Which rows of each rank go to each group: each row once, however many of its experts are there. A group's ranks keep the rows in blocks by source:
/// those of the first part's ranks, group by group, then those of the second part's…, so that what a rank passes on within its group is one block.
/// </summary>
internal sealed class RowSets
{
    private readonly int[][][] tokens;
    private readonly long[][] first;

    /// <summary>Reads them off the routing.</summary>
    public RowSets(ShapedRouting routing, ExpertArrangement arrangement)
    {
        Arrangement = arrangement;
        tokens = [.. Enumerable.Range(0, routing.Ranks).Select(rank => Split(routing, arrangement, rank))];
        first = [.. Enumerable.Range(0, arrangement.Groups).Select(_ => new long[routing.Ranks])];
        for (int group = 0; group < arrangement.Groups; group++)
        {
            long next = 0;
            foreach (int source in Sources())
            {
                first[group][source] = next;
                next += Count(source, group);
            }
        }
    }

    /// <summary>Where experts are.</summary>
    public ExpertArrangement Arrangement { get; }

    /// <summary>The rows of a rank that go to a group, in their order.</summary>
    public ReadOnlySpan<int> Tokens(int source, int group) => tokens[source][group];

    /// <summary>n(r, g): how many they are.</summary>
    public int Count(int source, int group) => tokens[source][group].Length;

    /// <summary>Where a rank's rows begin among those of a group.</summary>
    public long First(int source, int group) => first[group][source];

    /// <summary>The rows of all ranks that have a part, of those of a group: where they begin.</summary>
    public long FirstOfPart(int part, int group) => First(Arrangement.RankOf(0, part), group);

    /// <summary>The rows of all ranks that have a part, of those of a group: how many they are.</summary>
    public long CountOfPart(int part, int group) => Enumerable.Range(0, Arrangement.Groups).Sum(from => (long)Count(Arrangement.RankOf(from, part), group));

    /// <summary>All rows of a group.</summary>
    public long Total(int group) => Enumerable.Range(0, Arrangement.Ranks).Sum(source => (long)Count(source, group));

    private IEnumerable<int> Sources() =>
        Enumerable.Range(0, Arrangement.Parts).SelectMany(part => Enumerable.Range(0, Arrangement.Groups).Select(from => Arrangement.RankOf(from, part)));

    private static int[][] Split(ShapedRouting routing, ExpertArrangement arrangement, int rank)
    {
        var lists = Enumerable.Range(0, arrangement.Groups).Select(_ => new List<int>()).ToArray();
        for (int token = 0; token < routing.Shape.Tokens; token++)
        {
            foreach (int expert in routing.Experts(rank, token))
            {
                var list = lists[arrangement.GroupOfExpert(expert, routing.Shape.Experts)];
                if (list is [] || list[^1] != token)
                    list.Add(token);
            }
        }

        return [.. lists.Select(list => list.ToArray())];
    }
}
