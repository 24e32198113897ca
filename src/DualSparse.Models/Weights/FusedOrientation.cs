using DualSparse.Models.Safetensors;

namespace DualSparse.Models;

/// <summary>
/// Which way fused experts lie, which shapes tell: both tensors lie the same way in everything that is released, and no shapes fit both
/// ways, since 2 · neurons = hidden and neurons = hidden can't both hold. So one tensor that fits both ways is no riddle: the other decides
/// (OLMoE's gate and up are [64, 2048, 2048], its down [64, 2048, 1024]).
/// </summary>
internal static class FusedOrientation
{
    /// <summary>Fused or transposed, by a layer's two tensors.</summary>
    /// <param name="gateUp">Gates and ups as stored.</param>
    /// <param name="down">Downs as stored.</param>
    /// <param name="way">What the layer would have as they are.</param>
    /// <param name="other">What it would have transposed.</param>
    /// <exception cref="ModelFormatException">They fit neither way.</exception>
    public static ExpertStorage Of(TensorView gateUp, TensorView down, LayerTensors way, LayerTensors other)
    {
        bool fits = Fits(gateUp, way.ExpertsGateUp!), fitsTransposed = Fits(gateUp, other.ExpertsGateUp!);
        if (!fits && !fitsTransposed)
            throw Neither(gateUp, way.ExpertsGateUp!, other.ExpertsGateUp!);
        if (fits == fitsTransposed)
        {
            (fits, fitsTransposed) = (Fits(down, way.ExpertsDown!), Fits(down, other.ExpertsDown!));
            if (!fits && !fitsTransposed)
                throw Neither(down, way.ExpertsDown!, other.ExpertsDown!);
        }

        return fits ? ExpertStorage.Fused : ExpertStorage.FusedTransposed;
    }

    private static ModelFormatException Neither(TensorView tensor, TensorSpec way, TensorSpec other) => new(
        $"{tensor.File}: tensor '{tensor.Name}' has shape {Shapes.Show([.. tensor.Shape])}, expected {Shapes.Show(way.Shape)} or, transposed, {Shapes.Show(other.Shape)}");

    private static bool Fits(TensorView tensor, TensorSpec spec) => tensor.Shape.SequenceEqual(spec.Shape);
}
