using DualSparse.Engine;
using DualSparse.Engine.Ranks;

namespace DualSparse.RankSuite;

/// <summary>A rank's sums with a bug in them, that shows in the middle of a pass.</summary>
/// <param name="whole">What they would be.</param>
internal sealed unsafe class FaultyCollective(ICollective whole) : ICollective
{
    private const int GoodOnes = 5;

    private int sums;

    /// <inheritdoc/>
    public void AllReduce(Pass pass, IReadOnlyList<nint> own, int rows, int width, float* y)
    {
        if (sums++ == GoodOnes)
            throw new NullReferenceException("a bug in a pass.");
        whole.AllReduce(pass, own, rows, width, y);
    }

    /// <inheritdoc/>
    public void GatherLogits(Pass pass, int rows, int vocabulary, float* logits) => whole.GatherLogits(pass, rows, vocabulary, logits);
}
