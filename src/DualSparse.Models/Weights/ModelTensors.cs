namespace DualSparse.Models;

/// <summary>A tensor that a model needs.</summary>
/// <param name="Name">Its name in the checkpoint.</param>
/// <param name="Shape">Its shape: [out, in] for a projection, [n] for a norm or bias.</param>
internal sealed record TensorSpec(string Name, params long[] Shape)
{
    /// <summary>All elements: the product of the sizes.</summary>
    public long Count => Shape.Aggregate(1L, (product, n) => product * n);
}

/// <summary>Every tensor that a model needs, by its place in the forward pass.</summary>
internal sealed class ModelTensors
{
    private readonly ModelConfig model;

    internal ModelTensors(ModelConfig model) => this.model = model;

    /// <summary>The token embedding, [vocabulary, hidden].</summary>
    public TensorSpec Embedding => new(model.Names.Root + "embed_tokens.weight", model.VocabSize, model.HiddenSize);

    /// <summary>The norm before the head, [hidden].</summary>
    public TensorSpec FinalNorm => new(model.Names.Root + "norm.weight", model.HiddenSize);

    /// <summary>The head, [vocabulary, hidden]; the embedding itself where the two are tied.</summary>
    public TensorSpec Head => model.TieEmbeddings ? Embedding : new(model.Names.Head, model.VocabSize, model.HiddenSize);

    /// <summary>The tensors of one layer.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layer.</exception>
    public LayerTensors Layer(int layer)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(layer);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(layer, model.Layers);
        return new LayerTensors(model, layer);
    }

    /// <summary>The vision tower's; null: the model has none.</summary>
    public VisionTensors? Vision => model.Vision is { } vision ? new(vision, model.HiddenSize, model.Names.Vision) : null;

    /// <summary>All of them, each once, layer by layer.</summary>
    public IEnumerable<TensorSpec> All()
    {
        yield return Embedding;
        for (int layer = 0; layer < model.Layers; layer++)
        {
            foreach (var tensor in Layer(layer).All())
                yield return tensor;
        }

        yield return FinalNorm;
        if (!model.TieEmbeddings)
            yield return Head;
        foreach (var tensor in Vision?.All() ?? [])
            yield return tensor;
    }
}
