namespace DualSparse.Engine.Loading;

/// <summary>What loading makes of a checkpoint's tensors.</summary>
/// <param name="Embedding">The beginning of the forward pass.</param>
/// <param name="Layers">By layer.</param>
/// <param name="Head">Its end.</param>
internal sealed record ModelParts(Embedding Embedding, LayerWeights[] Layers, OutputHead Head);
