using DualSparse.Kernels.Ops;

namespace DualSparse.Tests.Kernels.Ops;

public class RopeTests
{
    public static TheoryData<int, bool> Shapes => [.. from n in Enumerable.Range(0, 36) from pairs in new[] { false, true } select (n, pairs)];

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Rotates_each_pair_by_its_angle(int n, bool interleaved)
    {
        const float factor = 1.25f;
        var random = new Random(n);
        var frequencies = Enumerable.Range(0, n).Select(i => MathF.Pow(10000, -i / (float)Math.Max(n, 1))).ToArray();
        var rope = new Rope(frequencies, factor, interleaved);
        Assert.Equal(2 * n, rope.Size);
        foreach (int position in new[] { 0, 1, 777, 4095 })
        {
            // Three values more than are turned: a partial rotation.
            var x = Enumerable.Range(0, 2 * n + 3).Select(_ => random.NextSingle() - 0.5f).ToArray();
            var y = x.ToArray();
            rope.Rotate(y, position);
            for (int i = 0; i < n; i++)
            {
                var (a, b) = interleaved ? (2 * i, 2 * i + 1) : (i, i + n);
                double angle = position * frequencies[i];
                Assert.Equal(factor * (x[a] * Math.Cos(angle) - x[b] * Math.Sin(angle)), y[a], 1e-6);
                Assert.Equal(factor * (x[b] * Math.Cos(angle) + x[a] * Math.Sin(angle)), y[b], 1e-6);
            }

            Assert.Equal(x[(2 * n)..], y[(2 * n)..]);
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_transpose_rotates_back(int n, bool interleaved)
    {
        const float factor = 1.25f;
        var random = new Random(n);
        var rope = new Rope([.. Enumerable.Range(0, n).Select(i => MathF.Pow(10000, -i / (float)Math.Max(n, 1)))], factor, interleaved);
        var x = Enumerable.Range(0, 2 * n + 3).Select(_ => random.NextSingle() - 0.5f).ToArray();
        var y = x.ToArray();
        rope.Rotate(y, 777);
        rope.Prepare(778);
        rope.RotateBack(y, rope.Turn(GridPlace.OfText(777), []));
        for (int i = 0; i < y.Length; i++)
            Assert.Equal(i < 2 * n ? factor * factor * x[i] : x[i], y[i], 1e-6);
    }

    [Fact]
    public void A_table_grown_on_demand_is_the_same_table()
    {
        float[] frequencies = [1, 0.1f, 0.01f];
        var (grown, prepared) = (new Rope(frequencies), new Rope(frequencies));
        prepared.Prepare(100);
        for (int p = 0; p < 100; p++)
        {
            float[] a = [1, 2, 3, 4, 5, 6], b = [1, 2, 3, 4, 5, 6];
            grown.Rotate(a, p);
            prepared.Rotate(b, p);
            Assert.Equal(b, a);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_pair_turns_by_its_own_number_of_a_place(bool interleaved)
    {
        float[] frequencies = [1, 0.5f, 0.25f, 0.125f];
        GridAxis[] axes = [GridAxis.Time, GridAxis.Row, GridAxis.Column, GridAxis.Row];
        var rope = new Rope(frequencies, 1.25f, interleaved, axes);
        rope.Prepare(10);
        var place = new GridPlace(3, 9, 5);
        float[] turned = [1, 2, 3, 4, 5, 6, 7, 8], expected = [.. turned];
        rope.Rotate(turned, rope.Turn(place, new float[rope.TurnRoom]));
        for (int i = 0; i < 4; i++)
        {
            var (a, b) = interleaved ? (2 * i, 2 * i + 1) : (i, i + 4);
            var alone = new Rope([frequencies[i]], 1.25f);
            float[] pair = [expected[a], expected[b]];
            alone.Rotate(pair, new[] { 3, 9, 5, 9 }[i]);
            Assert.Equal((pair[0], pair[1]), (turned[a], turned[b]));
        }

        // In a text all are alike: no other rotation than without axes.
        float[] text = [.. expected];
        rope.Rotate(text, rope.Turn(GridPlace.OfText(7), new float[rope.TurnRoom]));
        new Rope(frequencies, 1.25f, interleaved).Rotate(expected, 7);
        Assert.Equal(expected, text);
    }

    [Fact]
    public void A_head_too_short_is_refused() => Assert.Throws<ArgumentException>(() => new Rope([1, 0.5f]).Rotate(new float[3], 0));
}
