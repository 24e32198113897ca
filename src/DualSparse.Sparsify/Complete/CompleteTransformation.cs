using System.Numerics;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Sparsify.Complete;

/// <summary>
/// The complete transformation (arXiv 2508.18376) of a checkpoint: every routed expert cut into P, an ordinary finer-grained
/// checkpoint that computes the same function in any engine, to be fine-tuned or served. Neurons keep their order: of a checkpoint that
/// <see cref="Sparsifier"/> wrote, the first parts hold the important ones.
/// </summary>
internal static class CompleteTransformation
{
    /// <summary>Writes the new checkpoint. Its folder appears whole, at the end, or not at all; a tensor at a time is in memory.</summary>
    /// <param name="model">The model's folder.</param>
    /// <param name="output">The folder to make; it must not exist.</param>
    /// <param name="parts">P, the experts that each expert becomes.</param>
    /// <param name="allowRounding">Whether W2 may be rounded where its type can't hold P times its values: BF16 and F16 with a P other than 2, 4, 8….</param>
    /// <param name="progress">Told how far it has come.</param>
    /// <param name="cancel">Ends it between two tensors; nothing stays behind.</param>
    /// <param name="leftOut">Told what of the folder isn't copied, by name, once all is written: weights in other forms.</param>
    /// <returns>The new checkpoint's configuration.</returns>
    /// <exception cref="ArgumentException">P doesn't divide the neurons, or would round W2 without leave (it names <paramref name="allowRounding"/> then), or the model has no routed experts.</exception>
    /// <exception cref="ModelFormatException">The model can't be read, or W2 times P is beyond its type's largest number.</exception>
    /// <exception cref="IOException">The folder exists, or writing failed, say because the disk is full.</exception>
    public static ModelConfig Run(
        string model, string output, int parts, bool allowRounding = false, IProgress<SparsifyProgress>? progress = null, CancellationToken cancel = default,
        Action<IReadOnlyList<string>>? leftOut = null)
    {
        output = CheckpointFolder.Free(output);
        using var source = Checkpoint.Open(model);
        var moe = source.Config.Moe ?? throw new ArgumentException($"{model}: the model has no routed experts, so there is nothing to cut");
        if (source.Config.Vision is not null)
            throw new ArgumentException($"{model}: the experts of a model that reads pictures can't be cut yet ({source.Config.ModelType}): leave out --complete");
        if (source.Config.ModelType == "scmoe" && moe.TopK == 1 && parts > 1)
            throw new ArgumentException($"{model}: this family renormalises the scores of several experts a token but not of one, so experts can't be cut where a token takes one");
        var completion = CompletionRule.Of(RouterKind.Of(moe), parts);
        if (moe.Intermediate % parts != 0)
            throw new ArgumentException($"{model}: experts of {moe.Intermediate} neurons can't be cut into {parts} equal parts");
        RefuseRounding(source, completion.DownScale, allowRounding);
        ModelConfig? completed = null;
        IReadOnlyList<string> left = [];
        CheckpointFolder.Make(output, folder =>
        {
            completed = WriteConfig(source, folder, CompleteConfig.Expected(moe, completion, parts), parts);
            new CompleteWeights(source, completed, completion, parts).Write(folder, new StageProgress(progress, "writing"), cancel);
            left = CopiedFiles.Copy(source, folder);
            // What is about to get its name has every tensor that its own configuration asks for.
            Checkpoint.Open(folder).Dispose();
        });
        leftOut?.Invoke(left);
        return completed!;
    }

    private static void RefuseRounding(Checkpoint source, int scale, bool allowRounding)
    {
        if (allowRounding || BitOperations.IsPow2(scale))
            return;
        foreach (var expert in Experts(source.Config))
        {
            var down = source.Get(expert.Down.Tensor);
            if (down.Type != TensorType.F32)
            {
                throw new ArgumentException(
                    $"{down.File}: tensor '{down.Name}' is stored as {down.Type.HeaderName()}, which can't hold {scale} times its values exactly: " +
                    "take 2, 4, 8… parts, or allow rounding to nearest (other engines would round F32 as well when they load it)",
                    nameof(allowRounding));
            }
        }
    }

    private static IEnumerable<MlpTensors> Experts(ModelConfig config)
    {
        for (int l = 0; l < config.Layers; l++)
        {
            for (int e = 0; config.LayerPlan[l].IsMoe && e < config.Moe!.Experts; e++)
                yield return config.Tensors.Layer(l).Expert(e);
        }
    }

    private static ModelConfig WriteConfig(Checkpoint source, string folder, MoeConfig expected, int parts)
    {
        const string name = "config.json";
        byte[] json = ModelFile.Read(Path.Combine(source.Folder, name), ModelConfig.MaxConfigBytes);
        File.WriteAllBytes(Path.Combine(folder, name), CompleteConfig.Rewrite(json, source.Config, expected, parts));
        ModelConfig config;
        try
        {
            config = ModelConfig.Load(folder);
        }
        catch (ModelFormatException e)
        {
            throw new ArgumentException($"{source.Folder}: cut into {parts} parts it would not load: {e.Message}", e);
        }

        // Experts get the family's own names, which every reader of it takes; the rest is copied under the names that it has.
        return config.Moe == expected
            ? config with { Names = config.Names with { Root = source.Config.Names.Root, Head = source.Config.Names.Head } }
            : throw new ModelFormatException($"{source.Folder}: its {name} doesn't spell the experts so that they could be changed (model_type '{config.ModelType}')");
    }
}
