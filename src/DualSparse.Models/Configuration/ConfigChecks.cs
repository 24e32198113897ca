namespace DualSparse.Models;

/// <summary>Whether a configuration's values agree with each other, and whether the whole is of a size that can exist.</summary>
internal static class ConfigChecks
{
    /// <summary>Largest width (hidden size, heads · head size, neurons, vocabulary): far above any model, and products of two stay well inside 64 bits.</summary>
    public const int MaxWidth = 1 << 24;

    /// <summary>Most layers: ten times the deepest model's.</summary>
    public const int MaxLayers = 2048;

    /// <summary>Most experts a layer.</summary>
    public const int MaxExperts = 1 << 16;

    /// <summary>Widest head: hundreds of times any model's.</summary>
    public const int MaxHeadSize = 1 << 16;

    // 2^44 parameters: sixteen times the largest models that exist.
    private const double MaxParameters = 1L << 44;

    /// <exception cref="ModelFormatException">They don't agree, or the whole is too large.</exception>
    public static void Check(ModelConfig model, ConfigFields fields)
    {
        var attention = model.Attention;
        Require(attention.Heads % attention.KeyValueHeads == 0, $"{attention.Heads} attention heads can't share {attention.KeyValueHeads} key-value heads evenly");
        Require(Math.Max(attention.HeadSize, attention.ValueSize) <= MaxHeadSize, $"a head of {Math.Max(attention.HeadSize, attention.ValueSize)} elements is too wide, expected at most {MaxHeadSize}");
        Require((long)attention.Heads * Math.Max(attention.HeadSize, attention.ValueSize) <= MaxWidth, $"{attention.Heads} heads of {attention.HeadSize} elements are too wide, expected at most {MaxWidth} together");
        if (model.Moe is { } moe)
        {
            Require(moe.TopK <= moe.Experts, $"{moe.TopK} experts a token, but there are only {moe.Experts}");
            Require(moe.Experts % moe.Groups == 0, $"{moe.Experts} experts can't be split into {moe.Groups} groups evenly");
            Require(moe.TopKGroups <= moe.Groups, $"{moe.TopKGroups} groups a token, but there are only {moe.Groups}");
            Require(moe.TopK <= moe.Experts / moe.Groups * moe.TopKGroups, $"{moe.TopK} experts a token, but {moe.TopKGroups} groups hold only {moe.Experts / moe.Groups * moe.TopKGroups}");
        }

        if (model.Vision is { } vision)
            Require((long)vision.Merge * vision.Merge * vision.HiddenSize <= MaxWidth && vision.PatchValues <= MaxWidth, $"{vision.Merge} × {vision.Merge} patches of {vision.HiddenSize} elements, made of {vision.PatchValues} numbers each, are too wide, expected at most {MaxWidth}");
        double parameters = Parameters(model);
        Require(parameters <= MaxParameters, $"the model would have {parameters:0.##e+0} parameters, expected at most {MaxParameters:0.##e+0}");

        void Require(bool holds, string message)
        {
            if (!holds)
                throw fields.Error(message);
        }
    }

    // In floating point, so that nothing overflows before it is refused; attention is counted roughly.
    private static double Parameters(ModelConfig model)
    {
        double hidden = model.HiddenSize, count = 2.0 * model.VocabSize * hidden;
        foreach (var layer in model.LayerPlan)
        {
            count += 4.0 * hidden * model.Attention.Heads * model.Attention.HeadSize;
            count += layer.IsMoe && model.Moe is { } moe
                ? 3.0 * hidden * ((double)moe.Experts * moe.Intermediate + moe.SharedIntermediate)
                : 3.0 * hidden * layer.DenseIntermediate;
        }

        if (model.Vision is not { } vision)
            return count;
        double width = vision.HiddenSize, merged = vision.MergedSize;
        count += vision.Layers * (4 * width * width + 2 * width * vision.Intermediate) + width * ((double)vision.PatchValues + (double)vision.GridSide * vision.GridSide);
        return count + (1 + vision.DeepLayers.Count) * merged * (merged + hidden);
    }
}
