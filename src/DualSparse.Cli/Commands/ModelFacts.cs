using DualSparse.Models;

namespace DualSparse.Cli.Commands;

/// <summary>A model's shape in words.</summary>
internal static class ModelFacts
{
    public static IEnumerable<(string Name, string Value)> Of(ModelConfig config)
    {
        var attention = config.Attention;
        yield return ("family", config.ModelType);
        yield return ("layers", $"{config.Layers}, of which {config.LayerPlan.Count(l => l.IsMoe)} with experts");
        yield return ("hidden size", $"{config.HiddenSize}");
        yield return ("attention", attention.Mla is { } mla
            ? $"{attention.Heads} heads over a latent of {mla.KvRank} + {mla.RopeSize} (MLA)"
            : $"{attention.Heads} heads of {attention.HeadSize}, {attention.KeyValueHeads} of keys and values");
        if (config.Moe is { } moe)
        {
            string groups = moe.Groups > 1 ? $", in {moe.TopKGroups} of {moe.Groups} groups" : "";
            yield return ("experts", $"{moe.Experts} of {moe.Intermediate} neurons, {moe.TopK} a token{groups}");
            if (moe.SharedIntermediate > 0)
                yield return ("shared expert", $"{moe.SharedIntermediate} neurons{(moe.SharedGate ? ", gated" : "")}");
        }

        yield return ("context", $"{config.MaxPositions} tokens");
        yield return ("vocabulary", $"{config.VocabSize}{(config.TieEmbeddings ? ", head tied to the embedding" : "")}");
    }
}

/// <summary>How many numbers a model has, and how many of them a token's way leads through.</summary>
/// <param name="Total">All parameters; a tied head counts once.</param>
/// <param name="Active">Those without the experts that a token doesn't visit.</param>
internal readonly record struct ModelSize(long Total, long Active)
{
    public static ModelSize Of(ModelConfig config)
    {
        long total = config.Tensors.All().Sum(t => t.Count);
        long idle = 0;
        if (config.Moe is { } moe)
        {
            long expert = 3L * config.HiddenSize * moe.Intermediate;
            idle = config.LayerPlan.Count(l => l.IsMoe) * (moe.Experts - moe.TopK) * expert;
        }

        return new(total, total - idle);
    }

    /// <summary>"14.7 M".</summary>
    public static string Show(long parameters) => parameters switch
    {
        >= 1_000_000_000 => $"{parameters / 1e9:0.00} B",
        >= 1_000_000 => $"{parameters / 1e6:0.0} M",
        _ => $"{parameters}",
    };
}
