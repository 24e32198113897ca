using DualSparse.Models;

namespace DualSparse.Cli.Commands;

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
            idle = config.LayerPlan.Count(l => l.IsMoe) * (moe.Experts - moe.ExpertsPerToken) * expert;
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
