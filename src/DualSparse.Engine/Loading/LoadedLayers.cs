namespace DualSparse.Engine.Loading;

/// <summary>The weights of the layers of a group, while it runs.</summary>
internal sealed class LoadedLayers : IDisposable
{
    private readonly LayerGroup group;
    private readonly List<LayerWeights> weights = [];

    /// <summary>Loads them.</summary>
    /// <exception cref="Models.ModelFormatException">A weight can't be read.</exception>
    public LoadedLayers(ModelLoader loader, LayerGroup group)
    {
        this.group = group;
        try
        {
            foreach (int layer in Indices)
                weights.Add(loader.LoadLayer(layer));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Whether the forward pass begins with them.</summary>
    public bool IsFirst => group.First == 0;

    /// <summary>The layers.</summary>
    public IEnumerable<int> Indices => Enumerable.Range(group.First, group.Count);

    /// <summary>Their operators.</summary>
    public Operator[] Operators => group.Operators;

    /// <summary>A layer's weights.</summary>
    public LayerWeights Of(int layer) => weights[layer - group.First];

    /// <summary>Frees them.</summary>
    public void Dispose() => weights.ForEach(layer => layer.Dispose());
}
