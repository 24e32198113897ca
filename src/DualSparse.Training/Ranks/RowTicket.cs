using System.Diagnostics;
using System.Numerics.Tensors;
using DualSparse.Distributed;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Overlap;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Threading;
using DualSparse.Training.Ops;

namespace DualSparse.Training.Ranks;

/// <summary>
/// One layer's rows under way between ranks. A token's row goes once to every rank that has one of its experts, and that rank's sum comes back. The
/// backward pass goes the same ways: the gradient of the sums is a dispatch of the same tokens, and the gradient of the rows comes back like sums.
/// </summary>
internal sealed unsafe class RowTicket : IDisposable
{
    // Asking costs up to half a microsecond a message.
    private static readonly long ProgressTicks = Stopwatch.Frequency / 10_000;

    private const int CountBytes = 2 * sizeof(int);

    private readonly RankGroup group;
    private readonly ExpertPlacement placement;
    private readonly ExpertLane lane;
    private readonly int hidden;
    private readonly BlockExchange exchange;
    private readonly string what;
    private readonly Action progress;
    private ThreadTeam? team;
    private long asked, begun;
    private readonly ScratchBuffer outRows = new(), outPairs = new(), inRows = new(), inPairs = new(), inWeights = new(), sums = new(), returned = new(), gradients = new(), back = new(), pairGradients = new();

    // Rows and pairs that this rank sends to each, and gets from each: [ranks + 1].
    private readonly int[] rowsTo, pairsTo, rowsFrom, pairsFrom;

    // [rows sent] the token; [pairs sent] the pair of the plan.
    private int[] tokens = [], pairs = [];

    /// <summary>A layer's ticket.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="placement">Which has which expert.</param>
    /// <param name="lane">Whose rows these are, for tags.</param>
    /// <param name="hidden">Values of a row.</param>
    public RowTicket(RankGroup group, ExpertPlacement placement, ExpertLane lane, int hidden)
    {
        (this.group, this.placement, this.lane, this.hidden, exchange, what) = (group, placement, lane, hidden, new BlockExchange(group), $"layer {lane.Layer}'s experts");
        progress = Progress;
        (rowsTo, pairsTo, rowsFrom, pairsFrom) = (new int[group.Size + 1], new int[group.Size + 1], new int[group.Size + 1], new int[group.Size + 1]);
    }

    /// <summary>When rows, or gradients, were under way.</summary>
    public TravelTimes Travel { get; private set; }

    /// <summary>Rows that have come.</summary>
    public int Rows => rowsFrom[^1];

    /// <summary>Pairs that have come with them.</summary>
    public int Pairs => pairsFrom[^1];

    /// <summary>[rows, hidden] what has come: the experts' inputs.</summary>
    public float* Inputs => inRows.Current;

    /// <summary>[pairs] their weights.</summary>
    public float* Weights => inWeights.Current;

    /// <summary>[rows, hidden] f32 to fill with this rank's sums.</summary>
    public float* Sums => sums.Current;

    /// <summary>[rows, hidden] the gradient of the sums, once <see cref="ReceiveGradients"/> has waited for it.</summary>
    public float* Gradients => gradients.Current;

    /// <summary>[rows, hidden] f32 to fill with the gradient of <see cref="Inputs"/>.</summary>
    public float* InputGradients => sums.Current;

    /// <summary>[pairs] f32 to fill with the gradient of <see cref="Weights"/>.</summary>
    public float* WeightGradients => inPairs.Current;

    /// <summary>Begins to send each token's row to the ranks of its experts.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="plan">The pairs.</param>
    /// <param name="x">[tokens, hidden] f32.</param>
    public void Dispatch(ThreadTeam team, RoutingPlan plan, float* x)
    {
        Sort(plan);
        int* counts = stackalloc int[4 * group.Size];
        int[] each = [.. Enumerable.Range(0, group.Size + 1)];
        for (int rank = 0; rank < group.Size; rank++)
            (counts[2 * rank], counts[2 * rank + 1]) = (rowsTo[rank + 1] - rowsTo[rank], pairsTo[rank + 1] - pairsTo[rank]);
        int* theirs = counts + 2 * group.Size;
        exchange.Begin(RankTag.Rows(lane), counts, each, theirs, each, CountBytes);
        float* rows = Gather(team, x);
        exchange.End(what);
        for (int rank = 0; rank < group.Size; rank++)
            (rowsFrom[rank + 1], pairsFrom[rank + 1]) = (rowsFrom[rank] + theirs[2 * rank], pairsFrom[rank] + theirs[2 * rank + 1]);
        exchange.Begin(RankTag.Rows(lane), outPairs.Current, pairsTo, inPairs.Floats((nint)sizeof(WirePair) / sizeof(float) * Pairs), pairsFrom, sizeof(WirePair));
        exchange.Begin(RankTag.MoreRows(lane), rows, rowsTo, inRows.Floats((nint)Rows * hidden), rowsFrom, RowBytes);
        Leave(team);
    }

    /// <summary>Waits for the rows of all ranks, and sorts them by expert.</summary>
    /// <param name="lists">Receives the rows' order.</param>
    /// <param name="first">The first expert of this rank.</param>
    /// <param name="count">How many it has.</param>
    public void Receive(ExpertLists lists, int first, int count)
    {
        Arrive();
        var came = new ReadOnlySpan<WirePair>(inPairs.Current, Pairs);
        int[] experts = new int[Pairs], firstPair = new int[Rows + 1];
        float* weights = inWeights.Floats(Pairs);
        for (int rank = 0; rank < group.Size; rank++)
        {
            for (int pair = pairsFrom[rank]; pair < pairsFrom[rank + 1]; pair++)
            {
                (experts[pair], weights[pair]) = (came[pair].Expert, came[pair].Weight);
                firstPair[rowsFrom[rank] + came[pair].Row + 1]++;
            }
        }

        for (int row = 0; row < Rows; row++)
            firstPair[row + 1] += firstPair[row];
        lists.Build(experts, firstPair, rowsFrom, first, count);
        new Span<float>(sums.Floats((nint)Rows * hidden), Rows * hidden).Clear();
    }

    /// <summary>Begins to send the sums back.</summary>
    public void Answer()
    {
        exchange.Begin(RankTag.Sums(lane), sums.Current, rowsFrom, returned.Floats((nint)rowsTo[^1] * hidden), rowsTo, RowBytes);
        Leave(team!);
    }

    /// <summary>Adds what comes back from each rank, in their order.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="y">[tokens, hidden] f32, added to.</param>
    public void Return(ThreadTeam team, float* y)
    {
        Arrive();
        Add(team, returned.Current, y);
    }

    /// <summary>Begins to send the gradient of the sums where the rows went.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="dy">[tokens, hidden] f32.</param>
    public void DispatchGradients(ThreadTeam team, float* dy)
    {
        exchange.Begin(RankTag.MoreRows(lane), Gather(team, dy), rowsTo, gradients.Floats((nint)Rows * hidden), rowsFrom, RowBytes);
        Leave(team);
    }

    /// <summary>Waits for the gradients of all ranks.</summary>
    public void ReceiveGradients()
    {
        Arrive();
        new Span<float>(sums.Floats((nint)Rows * hidden), Rows * hidden).Clear();
        inPairs.Floats(Pairs);
    }

    /// <summary>Begins to send the gradients of rows and weights back.</summary>
    public void AnswerGradients()
    {
        exchange.Begin(RankTag.Sums(lane), InputGradients, rowsFrom, back.Floats((nint)rowsTo[^1] * hidden), rowsTo, RowBytes);
        exchange.Begin(RankTag.Rows(lane), WeightGradients, pairsFrom, pairGradients.Floats(pairsTo[^1]), pairsTo, sizeof(float));
        Leave(team!);
    }

    /// <summary>Takes what comes back from each rank, in their order.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="dx">[tokens, hidden] f32, added to.</param>
    /// <param name="dWeights">[tokens, k] f32, overwritten.</param>
    public void ReturnGradients(ThreadTeam team, float* dx, float* dWeights)
    {
        Arrive();
        float* theirWeights = pairGradients.Current;
        Add(team, back.Current, dx);
        for (int i = 0; i < pairsTo[^1]; i++)
            dWeights[pairs[i]] = theirWeights[i];
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var buffer in new[] { outRows, outPairs, inRows, inPairs, inWeights, sums, returned, gradients, back, pairGradients })
            buffer.Dispose();
    }

    // Messages move on between what the threads do.
    private void Leave(ThreadTeam threads)
    {
        team = threads;
        team.Between += progress;
        begun = Stopwatch.GetTimestamp();
        // The first way of two begins anew.
        Travel = Travel.Answered == 0 && Travel.RowsCame > 0 ? Travel with { Answered = begun } : new TravelTimes { Lane = lane, Sent = begun };
        asked = 0;
    }

    private void Arrive()
    {
        exchange.End(what);
        team!.Between -= progress;
        Came();
    }

    private void Progress()
    {
        long now = Stopwatch.GetTimestamp();
        if (now - asked < ProgressTicks)
            return;
        asked = now;
        if (exchange.Progress())
            Came();
    }

    // Seen for the first time.
    private void Came()
    {
        long now = Stopwatch.GetTimestamp();
        if (Travel.Answered > 0 && Travel.SumsCame == 0)
            Travel = Travel with { SumsCame = now };
        else if (Travel.Answered == 0 && Travel.RowsCame == 0)
            Travel = Travel with { RowsCame = now };
    }

    private int RowBytes => hidden * sizeof(float);

    // Which rows go where, each rank's in the order of tokens.
    private void Sort(RoutingPlan plan)
    {
        int most = plan.Tokens * plan.TopK;
        if (pairs.Length < most)
            (tokens, pairs) = (new int[most], new int[most]);
        var wire = new Span<WirePair>(outPairs.Floats((nint)sizeof(WirePair) / sizeof(float) * most), most);
        int row = 0, pair = 0;
        for (int rank = 0; rank < group.Size; rank++)
        {
            for (int token = 0; token < plan.Tokens; token++)
            {
                int before = pair;
                for (int p = token * plan.TopK; p < (token + 1) * plan.TopK; p++)
                {
                    if (placement.RankOf[plan.Experts[p]] != rank)
                        continue;
                    wire[pair] = new WirePair(row - rowsTo[rank], plan.Experts[p], plan.Weights[p]);
                    pairs[pair++] = p;
                }

                if (pair > before)
                    tokens[row++] = token;
            }

            (rowsTo[rank + 1], pairsTo[rank + 1]) = (row, pair);
        }
    }

    private float* Gather(ThreadTeam team, float* from)
    {
        const int rowsPerItem = 64;
        int rows = rowsTo[^1];
        float* to = outRows.Floats((nint)rows * hidden);
        team.For((rows + rowsPerItem - 1) / rowsPerItem, (item, _) =>
        {
            for (int row = item * rowsPerItem; row < Math.Min(rows, (item + 1) * rowsPerItem); row++)
                new ReadOnlySpan<float>(from + (nint)tokens[row] * hidden, hidden).CopyTo(new Span<float>(to + (nint)row * hidden, hidden));
        });
        return to;
    }

    private void Add(ThreadTeam team, float* rows, float* to)
    {
        const int rowsPerItem = 64;
        for (int rank = 0; rank < group.Size; rank++)
        {
            int first = rowsTo[rank], end = rowsTo[rank + 1];
            team.For((end - first + rowsPerItem - 1) / rowsPerItem, (item, _) =>
            {
                for (int row = first + item * rowsPerItem; row < Math.Min(end, first + (item + 1) * rowsPerItem); row++)
                {
                    var sum = new Span<float>(to + (nint)tokens[row] * hidden, hidden);
                    TensorPrimitives.Add(sum, new ReadOnlySpan<float>(rows + (nint)row * hidden, hidden), sum);
                }
            });
        }
    }

    /// <summary>A pair on the wire.</summary>
    /// <param name="Row">Which of the rows that go to the same rank.</param>
    /// <param name="Expert">Its expert.</param>
    /// <param name="Weight">The weight.</param>
    private readonly record struct WirePair(int Row, int Expert, float Weight);
}
