using System.Text.Json;
using DualSparse.Engine;
using DualSparse.Evaluation.Tasks;
using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Benchmarks.Balancing.Vision;

/// <summary>
/// Variants that score tasks side by side: each batch of items by the model as it is, then by each variant, in this process, which computes what ranks
/// would, on one thread. A picture goes through the tower once for all. The models are loaded when the first items are scored.
/// </summary>
/// <param name="folder">The model's folder.</param>
/// <param name="variants">The variants.</param>
internal sealed class RealbRun(string folder, IReadOnlyList<RealbVariant> variants) : IDisposable
{
    private readonly Lazy<Tokenizer> tokenizer = new(() => Tokenizer.Load(folder));
    private readonly Lazy<Transformer> plain = new(() => Transformer.Load(folder, new EngineOptions { Threads = 1 }));
    private readonly Lazy<Transformer[]> models = new(() => [.. variants.Select(variant => Transformer.Load(folder, variant.Options(folder) with { Threads = 1 }))]);

    /// <summary>Scores items of a task.</summary>
    /// <returns>A step's JSON.</returns>
    public string Score(TaskSet task)
    {
        var model = plain.Value;
        var profile = new LoadProfile(model.Config.Layers, model.Config.Moe?.Experts ?? throw new ModelFormatException($"{folder} has no experts: loads between ranks are measured on them"));
        var texts = variants.Select((variant, i) => models.Value[i].NewText(variant.Drop)).ToArray();
        foreach (var other in models.Value)
            other.Balance.Clear();
        var results = TaskEvaluation.Run(
            [
                new TaskContender(model) { Watch = profile.Watch },
                .. variants.Select((variant, i) => new TaskContender(models.Value[i], texts[i])),
            ], tokenizer.Value, task);
        return JsonSerializer.Serialize(new
        {
            variants = results.Select((result, i) => i == 0
                ? RealbFigures.Of(null, result, null, 0)
                : RealbFigures.Of(variants[i - 1], result, models.Value[i - 1].Balance, texts[i - 1].Counts.Rate)),
            passes = profile.Passes,
        });
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (plain.IsValueCreated)
            plain.Value.Dispose();
        if (models.IsValueCreated)
            Array.ForEach(models.Value, model => model.Dispose());
    }
}
