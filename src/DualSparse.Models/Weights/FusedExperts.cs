using DualSparse.Models.Safetensors;

namespace DualSparse.Models;

/// <summary>
/// Finds out how a checkpoint stores its experts. Which way fused ones lie, shapes tell: both tensors lie the same way in everything that
/// is released, and no shapes fit both ways, since 2 · neurons = hidden and neurons = hidden can't both hold. So one tensor that fits
/// both ways is no riddle: the other decides (OLMoE's gate and up are [64, 2048, 2048], its down [64, 2048, 1024]).
/// </summary>
internal static class FusedExperts
{
    // Where transformers 5 has router and experts in every family; ours that named it otherwise is Mixtral.
    private const string Block = "mlp";

    /// <summary>The checkpoint's configuration, its names those of the tensors that are there.</summary>
    /// <exception cref="ModelFormatException">Experts are there in both forms, or a layer's two tensors don't fit together.</exception>
    public static ModelConfig Find(Checkpoint checkpoint)
    {
        var config = checkpoint.Config;
        foreach (string block in new[] { config.Names.Moe, Block }.Distinct())
        {
            var fused = Stored(config, block, ExpertStorage.Fused);
            foreach (var (gateUp, down) in Layers(fused).Select(layer => (layer.ExpertsGateUp!.Name, layer.ExpertsDown!.Name)))
            {
                bool either = checkpoint.TryGet(gateUp, out _) | checkpoint.TryGet(down, out _);
                if (!either)
                    continue;
                if (Layers(config).SelectMany(layer => layer.All()).FirstOrDefault(t => IsExperts(t) && checkpoint.TryGet(t.Name, out _)) is { } separate)
                    throw new ModelFormatException($"{checkpoint.Folder}: '{gateUp}' and '{down}' hold all experts of their layer, and yet there is '{separate.Name}': expected one form or the other");
                return Oriented(fused, checkpoint.Get(gateUp), checkpoint.Get(down), Stored(config, block, ExpertStorage.FusedTransposed));
            }
        }

        return config;
    }

    private static ModelConfig Oriented(ModelConfig fused, TensorView gateUp, TensorView down, ModelConfig transposed)
    {
        var (way, other) = (Layers(fused).First(), Layers(transposed).First());
        bool fits = Fits(gateUp, way.ExpertsGateUp!), fitsTransposed = Fits(gateUp, other.ExpertsGateUp!);
        if (!fits && !fitsTransposed)
            throw Neither(gateUp, way.ExpertsGateUp!, other.ExpertsGateUp!);
        if (fits != fitsTransposed)
            return fits ? fused : transposed;
        if (!Fits(down, way.ExpertsDown!) && !Fits(down, other.ExpertsDown!))
            throw Neither(down, way.ExpertsDown!, other.ExpertsDown!);
        return Fits(down, way.ExpertsDown!) ? fused : transposed;
    }

    private static ModelFormatException Neither(TensorView tensor, TensorSpec way, TensorSpec other) => new(
        $"{tensor.File}: tensor '{tensor.Name}' has shape {Shapes.Show([.. tensor.Shape])}, expected {Shapes.Show(way.Shape)} or, transposed, {Shapes.Show(other.Shape)}");

    private static bool Fits(TensorView tensor, TensorSpec spec) => tensor.Shape.SequenceEqual(spec.Shape);

    private static bool IsExperts(TensorSpec tensor) => tensor.Name.Contains(".experts.", StringComparison.Ordinal);

    private static ModelConfig Stored(ModelConfig config, string block, ExpertStorage storage) =>
        config with { Names = config.Names with { Moe = block, Experts = storage } };

    private static IEnumerable<LayerTensors> Layers(ModelConfig config) =>
        Enumerable.Range(0, config.Layers).Where(layer => config.LayerPlan[layer].IsMoe).Select(layer => config.Tensors.Layer(layer));
}
