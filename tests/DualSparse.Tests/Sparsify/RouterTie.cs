using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Sparsify;

namespace DualSparse.Tests.Sparsify;

/// <summary>A token whose last chosen expert's router logit is hardly above that of the first one not chosen.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Chosen">The expert that it goes to here.</param>
/// <param name="Other">The one that it may go to where sums are rounded otherwise.</param>
/// <param name="Gap">By how much the logits differ.</param>
/// <param name="Alone">What it adds to the sums of <paramref name="Chosen"/>.</param>
internal sealed record RouterTie(int Layer, int Chosen, int Other, double Gap, NeuronImportance Alone)
{
    /// <summary>The shipped model's on windows of text. It is run with one expert a token more than it has, which is then dropped again: the plan tells the runner-up.</summary>
    public static List<RouterTie> Find(int[][] windows, double within)
    {
        using var folder = new TemporaryFolder();
        foreach (string file in Directory.EnumerateFiles(TestPaths.Model))
            File.Copy(file, folder.File(Path.GetFileName(file)));
        string config = File.ReadAllText(folder.File("config.json"));
        File.WriteAllText(folder.File("config.json"), config.Replace("\"num_experts_per_tok\": 8", "\"num_experts_per_tok\": 9", StringComparison.Ordinal));
        using var stream = LayerStream.Open(folder.Path, new EngineOptions { Weights = WeightFormat.F32 });
        var moe = stream.Config.Moe!;
        int last = moe.TopK - 2;
        Assert.Equal(7, last);
        var allButTheLast = new DropRequest { Score = DropScore.Rank, Thresholds = new DropThresholds(1.5f / moe.TopK, 1.5f / moe.TopK) };
        List<RouterTie> ties = [];
        stream.Run(windows, [stream.Plan(DropRequest.None), stream.Plan(allButTheLast)], new StreamHooks { Watch = Watch }, cancel: TestContext.Current.CancellationToken);
        return ties;

        PassWatch? Watch(StreamStep step) => step.Variant == 0 ? null : new PassWatch { Neurons = (_, routing) => Observer(step, routing) };

        NeuronObserver Observer(StreamStep step, RoutingPlan plan)
        {
            return (token, expert, gate, up) =>
            {
                int pair = token * plan.TopK + last;
                // Softmax: the ratio of two weights is e to the difference of their logits.
                double gap = Math.Log((double)plan.Weights[pair] / plan.Weights[pair + 1]);
                if (plan.Experts[pair] != expert || gap > within)
                    return;
                var alone = new NeuronImportance(moe.Experts, moe.Intermediate);
                alone.Add(token, expert, gate, up);
                ties.Add(new RouterTie(step.Layer, expert, plan.Experts[pair + 1], gap, alone));
            };
        }
    }
}
