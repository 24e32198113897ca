using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Vision;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>
/// A model's own routing of requests with pictures, for a layer with so many times as many experts, of which a row takes so many times as many: each of the
/// model's experts stands for some that are side by side, as a complete transformation makes them.
/// </summary>
internal static class RequestPlans
{
    /// <summary>Runs requests through the model.</summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="options">Weights, threads, kernels.</param>
    /// <param name="requests">The requests, as many rows in each, and of them as many of pictures.</param>
    /// <param name="layers">The layers to keep.</param>
    /// <param name="times">Experts that each of the model's stands for.</param>
    /// <returns>[requests][layers], the rows of pictures first.</returns>
    /// <exception cref="ArgumentException">A request doesn't fit the model.</exception>
    /// <exception cref="ModelFormatException">The folder is damaged or not implemented.</exception>
    public static RoutingPlan[][] Capture(string folder, EngineOptions options, IReadOnlyList<PicturePrompt> requests, int[] layers, int times)
    {
        using var model = Transformer.Load(folder, options with { Threads = options.Threads ?? ThreadTeam.Available });
        return [.. requests.Select(Run)];

        RoutingPlan[] Run(PicturePrompt request)
        {
            var vision = model.Config.Vision ?? throw PicturePrompt.TextOnly(model.Config);
            var pictures = TextPictures.Of(request.Ids, vision.ImageToken, [.. request.Pictures.Select(model.Encode)]);
            int[] order = [.. Enumerable.Range(0, request.Ids.Length).OrderBy(row => request.Ids[row] == vision.ImageToken ? 0 : 1)];
            var plans = new RoutingPlan[layers.Length];
            using var cache = model.NewCache(request.Ids.Length);
            model.Forward([new SequenceChunk(cache, request.Ids, LogitRows.None, Pictures: pictures)], new PassWatch
            {
                Routed = (layer, plan) =>
                {
                    if (Array.IndexOf(layers, layer) is >= 0 and var kept)
                        plans[kept] = Of(plan, order, times);
                },
            });
            return plans;
        }
    }

    /// <summary>A rank's rows, of several requests: those of pictures first.</summary>
    /// <param name="requests">Their plans in a layer.</param>
    /// <param name="marked">Rows of pictures of each.</param>
    public static RoutingPlan Join(IReadOnlyList<RoutingPlan> requests, int marked)
    {
        var all = EpRouting.Joined(requests);
        int rows = requests[0].Tokens;
        return Of(all, [.. Enumerable.Range(0, all.Tokens).OrderBy(row => row % rows < marked ? 0 : 1)], 1);
    }

    // A plan's rows in another order, each expert as several.
    private static RoutingPlan Of(RoutingPlan plan, int[] order, int times)
    {
        var made = new RoutingPlan();
        made.Reset(plan.Tokens, plan.TopK * times);
        int to = 0;
        foreach (int row in order)
        {
            for (int from = row * plan.TopK; from < (row + 1) * plan.TopK; from++)
            {
                for (int part = 0; part < times; part++, to++)
                    (made.Experts[to], made.Weights[to], made.Scores[to]) = (plan.Experts[from] * times + part, plan.Weights[from], plan.Scores[from] / times);
            }
        }

        return made;
    }
}
