using System.Runtime.InteropServices;
using DualSparse.Distributed;
using DualSparse.Distributed.Measuring;
using DualSparse.Engine;
using DualSparse.Engine.Moe;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>A model's own routing of a text: rank r's rows are the r-th piece of it.</summary>
internal static class TextPlans
{
    /// <summary>Runs pieces of a text through the model, over all ranks, and keeps each layer's routing.</summary>
    /// <param name="group">The ranks; null: there is one process.</param>
    /// <param name="folder">The model's folder.</param>
    /// <param name="options">Weights, threads, kernels.</param>
    /// <param name="kind">How experts are placed meanwhile.</param>
    /// <param name="pieces">[sequences] the ids, as many in each.</param>
    /// <param name="layers">The layers to keep.</param>
    /// <returns>[sequences][layers], on every rank.</returns>
    /// <exception cref="ArgumentException">A piece doesn't fit the model.</exception>
    /// <exception cref="Models.ModelFormatException">The folder is damaged or not implemented.</exception>
    public static RoutingPlan[][] Capture(RankGroup? group, string folder, EngineOptions options, PlacementKind kind, int[][] pieces, int[] layers)
    {
        var plans = pieces.Select(_ => new RoutingPlan[layers.Length]).ToArray();
        if (group is null)
        {
            using var whole = Transformer.Load(folder, options);
            for (int piece = 0; piece < pieces.Length; piece++)
                Run(whole, [piece]);
            return plans;
        }

        options = RankPlacement.Choose(folder, group.Size, kind).Apply(options);
        using var meeting = new RankMeeting(group, options);
        using var model = Transformer.Load(folder, options with { Rank = group.Rank, Peers = meeting.Peers });
        if (meeting.Exchange is not { } exchange)
        {
            // Every rank has all rows.
            for (int piece = 0; piece < pieces.Length; piece++)
                Run(model, [piece]);
            return plans;
        }

        for (int first = 0; first < pieces.Length; first += group.Size)
        {
            exchange.BeginPass([.. Enumerable.Range(first, group.Size).Select(piece => piece < pieces.Length ? pieces[piece].Length : 0)]);
            int own = first + group.Rank;
            Run(model, own < pieces.Length ? [own] : []);
        }

        return Share(group, plans, pieces[0].Length);

        void Run(Transformer transformer, int[] which)
        {
            using var cache = transformer.NewCache(pieces[0].Length);
            var watch = new PassWatch { Routed = (layer, plan) => Keep(which, layer, plan) };
            transformer.Forward([.. which.Select(piece => new SequenceChunk(cache, pieces[piece], LogitRows.None))], watch);
        }

        void Keep(int[] which, int layer, RoutingPlan plan)
        {
            if (which.Length == 0 || Array.IndexOf(layers, layer) is not (>= 0 and var kept))
                return;
            plans[which[0]][kept] = new RoutingPlan();
            plans[which[0]][kept].CopyFrom(plan);
        }
    }

    // Every rank gets all plans: rank 0 collects them and passes them on.
    private static RoutingPlan[][] Share(RankGroup group, RoutingPlan[][] plans, int tokens)
    {
        int topK = plans[group.Rank][0].TopK, layers = plans[0].Length, pairs = tokens * topK;
        List<double> own = [];
        for (int piece = group.Rank; piece < Padded(); piece += group.Size)
        {
            for (int layer = 0; layer < layers; layer++)
            {
                var plan = piece < plans.Length ? plans[piece][layer] : null;
                for (int i = 0; i < pairs; i++)
                    own.AddRange(plan is null ? [0, 0, 0] : [plan.Experts[i], plan.Weights[i], plan.Scores[i]]);
            }
        }

        double[][] all = new Rendezvous(group).Gather([.. own]);
        using var letter = new RankLetter();
        if (group.Rank == 0)
            letter.SendToAll(group, RankTag.Figures, MemoryMarshal.AsBytes<double>(all.SelectMany(rank => rank).ToArray()), "the routing of the text");
        double[] numbers = group.Rank == 0 ? [.. all.SelectMany(rank => rank)] : MemoryMarshal.Cast<byte, double>(letter.Receive(group, 0, RankTag.Figures)).ToArray();
        int at = 0;
        for (int rank = 0; rank < group.Size; rank++)
        {
            for (int piece = rank; piece < Padded(); piece += group.Size)
            {
                for (int layer = 0; layer < layers; layer++, at += 3 * pairs)
                {
                    if (piece < plans.Length)
                        plans[piece][layer] = Read(numbers.AsSpan(at, 3 * pairs), tokens, topK);
                }
            }
        }

        return plans;

        int Padded() => (plans.Length + group.Size - 1) / group.Size * group.Size;
    }

    private static RoutingPlan Read(ReadOnlySpan<double> numbers, int tokens, int topK)
    {
        var plan = new RoutingPlan();
        plan.Reset(tokens, topK);
        for (int i = 0; i < tokens * topK; i++)
            (plan.Experts[i], plan.Weights[i], plan.Scores[i]) = ((int)numbers[3 * i], (float)numbers[3 * i + 1], (float)numbers[3 * i + 2]);
        return plan;
    }
}
