using CsCheck;
using DualSparse.Kernels.Ops;

namespace DualSparse.Tests.Kernels.Ops;

public class TopKTests
{
    private static readonly float[] s_odd = [float.NaN, float.NegativeInfinity, -1, -0f, 0, 1, float.Epsilon, float.MaxValue, float.PositiveInfinity];

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
    public void Agrees_with_a_stable_sort_whatever_the_numbers() =>
        (from scores in Gen.Int[0, s_odd.Length - 1].Select(i => s_odd[i]).Array[0, 300]
         from few in Gen.Int[0, 20]
         select (scores, k: Math.Min(few, scores.Length))).Sample(
        t =>
        {
            var indices = new int[t.k];
            var values = new float[t.k];
            TopK.Select(t.scores, indices, values);
            var expected = Enumerable.Range(0, t.scores.Length).OrderByDescending(i => float.IsNaN(t.scores[i])).ThenByDescending(i => t.scores[i]).Take(t.k).ToArray();
            return indices.SequenceEqual(expected)
                && values.Select(BitConverter.SingleToInt32Bits).SequenceEqual(expected.Select(i => BitConverter.SingleToInt32Bits(t.scores[i])));
        });

    // Among hundreds the ones to be found stand anywhere in a vector and in the rest after the last.
    [Fact]
    public void Finds_the_largest_wherever_they_stand() =>
        (from count in Gen.Int[1, 530]
         from k in Gen.Int[1, Math.Min(count, 16)]
         from seed in Gen.Int
         select (count, k, seed)).Sample(
        t =>
        {
            var scores = new float[t.count];
            var random = new Random(t.seed);
            for (int i = 0; i < scores.Length; i++)
                scores[i] = random.NextSingle();
            var indices = new int[t.k];
            TopK.Select(scores, indices, new float[t.k]);
            return indices.SequenceEqual(Enumerable.Range(0, t.count).OrderByDescending(i => scores[i]).Take(t.k));
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
