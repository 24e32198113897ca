namespace DualSparse.Distributed.Measuring;

/// <summary>The experts and weights of every rank's rows. They come from a seed, so that each rank knows the others' without asking.</summary>
internal sealed class ShapedRouting
{
    private const int Seed = 13, SeedsOfLayer = 1 << 16;

    private readonly int[][] experts;
    private readonly float[][] weights;

    /// <summary>Draws each row's experts without replacement.</summary>
    /// <param name="shape">What is routed.</param>
    /// <param name="ranks">Ranks that have rows.</param>
    /// <param name="favour">[experts] what is added to the logarithm of each one's popularity; null: nothing.</param>
    /// <param name="layer">Layers are drawn independently.</param>
    public ShapedRouting(ExchangeShape shape, int ranks, double[]? favour = null, int layer = 0)
    {
        Shape = shape;
        experts = new int[ranks][];
        weights = new float[ranks][];
        double[] popularity = [.. Enumerable.Range(1, shape.Experts).Select(i => (favour?[i - 1] ?? 0) - shape.Zipf * Math.Log(i))];
        double[] keys = new double[shape.Experts];
        int[] order = new int[shape.Experts];
        for (int rank = 0; rank < ranks; rank++)
        {
            var random = new Random(Seed + rank + SeedsOfLayer * layer);
            experts[rank] = new int[shape.Tokens * shape.TopK];
            weights[rank] = new float[shape.Tokens * shape.TopK];
            for (int token = 0; token < shape.Tokens; token++)
            {
                // The k largest of log p + Gumbel noise are k draws without replacement by p.
                for (int e = 0; e < shape.Experts; e++)
                    (keys[e], order[e]) = (Math.Log(-Math.Log(1 - random.NextDouble())) - popularity[e], e);
                Array.Sort(keys, order);
                int first = token * shape.TopK;
                order.AsSpan(0, shape.TopK).CopyTo(experts[rank].AsSpan(first));
                for (int k = 0; k < shape.TopK; k++)
                    weights[rank][first + k] = (1 + random.NextSingle()) / shape.TopK;
            }
        }
    }

    /// <summary>What is routed.</summary>
    public ExchangeShape Shape { get; }

    /// <summary>Ranks that have rows.</summary>
    public int Ranks => experts.Length;

    /// <summary>[k] a row's experts.</summary>
    public ReadOnlySpan<int> Experts(int rank, int token) => experts[rank].AsSpan(token * Shape.TopK, Shape.TopK);

    /// <summary>[k] their weights.</summary>
    public ReadOnlySpan<float> Weights(int rank, int token) => weights[rank].AsSpan(token * Shape.TopK, Shape.TopK);
}
