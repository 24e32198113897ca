using DualSparse.Engine.Vision;

namespace DualSparse.Engine.Loading;

/// <summary>The loaded parts of a model.</summary>
/// <param name="Embedding">The beginning of the forward pass.</param>
/// <param name="Layers">The layers' weights.</param>
/// <param name="Head">The end of the forward pass.</param>
/// <param name="Tower">The vision tower; null: the model has none, or another rank has it.</param>
internal sealed record ModelParts(Embedding Embedding, LayerWeights[] Layers, OutputHead Head, VisionTower? Tower = null);
