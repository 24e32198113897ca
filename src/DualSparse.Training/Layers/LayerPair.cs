namespace DualSparse.Training.Layers;

/// <summary>A layer: attention, and what stands behind it.</summary>
/// <param name="Attention">The first half.</param>
/// <param name="Mlp">The second half.</param>
internal readonly record struct LayerPair(AttentionBlock Attention, IMlpBlock Mlp);
