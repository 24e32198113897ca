using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Training.Data;

namespace DualSparse.Training;

/// <summary>
/// The first values of a new model: matrices are normal with mean 0 and one deviation, norms 1, biases 0. What adds to the residual stream
/// has its deviation divided by √(2 · layers), so that the stream's variance doesn't grow with the depth (GPT-2, §2.3).
/// </summary>
internal static class Initialisation
{
    /// <summary>The deviation where the configuration has no <c>initializer_range</c>: GPT-2's, and the default of the families here.</summary>
    public const double DefaultDeviation = 0.02;

    /// <summary>Fills a model's tensors; each has random numbers of its own, so that threads change nothing.</summary>
    /// <param name="set">The tensors.</param>
    /// <param name="config">The model.</param>
    /// <param name="deviation">The standard deviation of matrices.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="team">The threads.</param>
    public static void Fill(ParameterSet set, ModelConfig config, double deviation, ulong seed, ThreadTeam team)
    {
        var residual = Residual(config).ToHashSet(StringComparer.Ordinal);
        team.For(set.All.Count, (index, _) =>
        {
            var parameter = set.All[index];
            var values = set.ValuesOf(parameter);
            if (parameter.Shape.Length < 2)
                values.Fill(parameter.Name.EndsWith(".bias", StringComparison.Ordinal) ? 0 : 1);
            else
                Normal(values, residual.Contains(parameter.Name) ? deviation / Math.Sqrt(2 * config.Layers) : deviation, seed, index);
        });
    }

    // The outputs of attention and of every MLP and expert.
    private static IEnumerable<string> Residual(ModelConfig config)
    {
        for (int l = 0; l < config.Layers; l++)
        {
            var layer = config.Tensors.Layer(l);
            yield return layer.Attention.Output.Name;
            var experts = Enumerable.Range(0, config.LayerPlan[l].IsMoe ? config.Moe!.Experts : 0).Select(layer.Expert);
            foreach (var mlp in experts.Prepend(layer.SharedExpert).Prepend(layer.Mlp).OfType<MlpTensors>())
                yield return mlp.Down.Tensor.Name;
        }

        for (int block = 0; block < (config.Vision?.Layers ?? 0); block++)
        {
            var own = config.Tensors.Vision!.Block(block);
            yield return own.Output.Weight.Name;
            yield return own.Mlp.Down.Weight.Name;
        }
    }

    // Box and Muller: two at a time.
    private static void Normal(Span<float> values, double deviation, ulong seed, int index)
    {
        var random = RandomStream.Of(seed, RandomPurpose.Initialisation, index);
        for (int i = 0; i < values.Length; i += 2)
        {
            // 1 − u is never 0.
            double radius = deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextUnit()));
            var (sine, cosine) = Math.SinCos(2 * Math.PI * random.NextUnit());
            values[i] = (float)(radius * cosine);
            if (i + 1 < values.Length)
                values[i + 1] = (float)(radius * sine);
        }
    }
}
