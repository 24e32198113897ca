using System.Runtime.InteropServices;

namespace DualSparse.Engine.Moe.Balance;

/// <summary>
/// What all ranks' rows ask of each rank in a layer, by the level of its thresholds (<see cref="DropLevels"/>): whole numbers, so that they are the same
/// in whichever order ranks are added. It is what a rank tells the others before rows are sent.
/// </summary>
internal sealed class LoadTable
{
    /// <summary>Bytes that a rank may take to tell the others; with very many experts, or ranks, levels are few and it takes more.</summary>
    public const int MessageBytes = 2048;

    // Fewer would leave L* too far above what a rank keeps; more than fit a byte can't be.
    private const int LeastLevels = 8, MostLevels = 250;

    private readonly ExpertPlacement placement;
    private readonly long[] neurons;
    private readonly long[] pairs, marked;
    private readonly byte[] highestMajor, highestMinor;

    /// <summary>An empty table.</summary>
    /// <param name="placement">Which rank has which part of an expert.</param>
    public LoadTable(ExpertPlacement placement)
    {
        this.placement = placement;
        int ranks = placement.Ranks, units = placement.RankOf.Length;
        // Of each rank: a count for every level, for those that none drops and level 0, its pairs, its marked ones.
        Levels = Math.Clamp((MessageBytes - sizeof(uint) - 2 * units) / (sizeof(uint) * ranks) - 4, LeastLevels, MostLevels);
        neurons = new long[ranks * (Levels + 2)];
        (pairs, marked) = (new long[ranks], new long[ranks]);
        (highestMajor, highestMinor) = (new byte[units], new byte[units]);
    }

    /// <summary>B, the levels of thresholds.</summary>
    public int Levels { get; }

    /// <summary>Rows of all ranks.</summary>
    public long Rows { get; private set; }

    /// <summary>Bytes of a message.</summary>
    public int Bytes => sizeof(uint) * Words + highestMajor.Length + highestMinor.Length;

    private int Words => 1 + neurons.Length + pairs.Length + marked.Length;

    /// <summary>Row-part pairs of a rank, whatever is dropped.</summary>
    public long Pairs(int rank) => pairs[rank];

    /// <summary>Those of marked rows.</summary>
    public long Marked(int rank) => marked[rank];

    /// <summary>Neurons that a rank computes of all rows, with thresholds of a level.</summary>
    public long Neurons(int rank, int level)
    {
        long sum = 0;
        foreach (long count in neurons.AsSpan(rank * (Levels + 2) + level + 1, Levels + 1 - level))
            sum += count;
        return sum;
    }

    /// <summary>Whether any row computes a part's major half at a level, and whether its minor half: what isn't computed isn't read.</summary>
    public (bool Major, bool Minor) Reads(int part, int level) => (highestMajor[part] > level, highestMinor[part] > level);

    /// <summary>Empties it.</summary>
    public void Clear()
    {
        Array.Clear(neurons);
        Array.Clear(pairs);
        Array.Clear(marked);
        Array.Clear(highestMajor);
        Array.Clear(highestMinor);
        Rows = 0;
    }

    /// <summary>Adds rows.</summary>
    /// <param name="plan">Their routing.</param>
    /// <param name="levels">Their pairs' levels.</param>
    /// <param name="major">Neurons of a part's major half …</param>
    /// <param name="minor">… and of its minor half.</param>
    /// <param name="marks">[rows] whether each is marked; empty: none is.</param>
    public void Add(RoutingPlan plan, DropLevels levels, int major, int minor, ReadOnlySpan<bool> marks)
    {
        var rankOf = placement.RankOf;
        ReadOnlySpan<int> experts = plan.Experts;
        ReadOnlySpan<byte> majors = levels.Major, minors = levels.Minor;
        Rows += plan.Tokens;
        for (int token = 0, i = 0; token < plan.Tokens; token++)
        {
            int mark = !marks.IsEmpty && marks[token] ? 1 : 0;
            for (int end = i + plan.TopK; i < end; i++)
            {
                for (int part = experts[i] * placement.Parts; part < (experts[i] + 1) * placement.Parts; part++)
                {
                    int rank = rankOf[part], row = rank * (Levels + 2);
                    neurons[row + majors[i]] += major;
                    neurons[row + minors[i]] += minor;
                    highestMajor[part] = Math.Max(highestMajor[part], majors[i]);
                    highestMinor[part] = Math.Max(highestMinor[part], minors[i]);
                    pairs[rank]++;
                    marked[rank] += mark;
                }
            }
        }
    }

    /// <summary>Writes it for other ranks.</summary>
    /// <param name="message">[<see cref="Bytes"/>].</param>
    public void Write(Span<byte> message)
    {
        var numbers = MemoryMarshal.Cast<byte, uint>(message[..(sizeof(uint) * Words)]);
        numbers[0] = checked((uint)Rows);
        int at = 1;
        foreach (long[] counts in (ReadOnlySpan<long[]>)[neurons, pairs, marked])
        {
            foreach (long count in counts)
                numbers[at++] = checked((uint)count);
        }

        highestMajor.CopyTo(message[(sizeof(uint) * Words)..]);
        highestMinor.CopyTo(message[(sizeof(uint) * Words + highestMajor.Length)..]);
    }

    /// <summary>Adds another rank's, which it wrote.</summary>
    public void Merge(ReadOnlySpan<byte> message)
    {
        var numbers = MemoryMarshal.Cast<byte, uint>(message[..(sizeof(uint) * Words)]);
        Rows += numbers[0];
        int at = 1;
        foreach (long[] counts in (ReadOnlySpan<long[]>)[neurons, pairs, marked])
        {
            for (int i = 0; i < counts.Length; i++)
                counts[i] += numbers[at++];
        }

        Highest(message.Slice(sizeof(uint) * Words, highestMajor.Length), highestMajor);
        Highest(message.Slice(sizeof(uint) * Words + highestMajor.Length, highestMinor.Length), highestMinor);

        static void Highest(ReadOnlySpan<byte> from, byte[] to)
        {
            for (int i = 0; i < to.Length; i++)
                to[i] = Math.Max(to[i], from[i]);
        }
    }
}
