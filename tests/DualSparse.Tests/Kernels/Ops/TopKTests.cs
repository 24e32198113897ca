using CsCheck;
using DualSparse.Kernels.Ops;

namespace DualSparse.Tests.Kernels.Ops;

public class TopKTests
{
    [Fact]
    public void Agrees_with_a_stable_sort() =>
        (from scores in Gen.Float[-2, 2].Select(v => MathF.Round(v * 4)).Array[0, 70]
         from k in Gen.Int[0, scores.Length]
         select (scores, k)).Sample(
        t =>
        {
            var indices = new int[t.k];
            var values = new float[t.k];
            TopK.Select(t.scores, indices, values);
            var expected = Enumerable.Range(0, t.scores.Length).OrderByDescending(i => t.scores[i]).Take(t.k).ToArray();
            return indices.SequenceEqual(expected) && values.SequenceEqual(expected.Select(i => t.scores[i]));
        });

    [Fact]
    public void NaN_comes_first()
    {
        var indices = new int[3];
        TopK.Select([1, float.NaN, float.PositiveInfinity, float.NaN], indices, new float[3]);
        Assert.Equal([1, 3, 2], indices);
    }

    [Fact]
    public void More_than_there_are_is_refused() =>
        Assert.Throws<ArgumentException>(() => TopK.Select([1f], new int[2], new float[2]));
}
