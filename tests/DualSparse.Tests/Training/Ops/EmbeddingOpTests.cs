using DualSparse.Training.Ops;

namespace DualSparse.Tests.Training.Ops;

public unsafe class EmbeddingOpTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(21)]
    public void Rows_come_by_id_and_gradients_go_back_in_order(int width)
    {
        const int vocabulary = 150, tokens = 300;
        var random = new Random(1);
        // Few ids are common, as in a text.
        int[] ids = [.. Enumerable.Range(0, tokens).Select(_ => (int)(vocabulary * Math.Pow(random.NextDouble(), 4)))];
        FloatBlock table = FloatBlock.Random(vocabulary * width, 2), dy = FloatBlock.Random(tokens * width, 3), before = FloatBlock.Random(vocabulary * width, 4);
        float[] result = GradientCheck.WithAnyThreads(team =>
        {
            FloatBlock y = new(tokens * width), dTable = new(before.Values);
            EmbeddingOp.Forward(team, table.Pointer, ids, width, y.Pointer);
            EmbeddingOp.Backward(team, dy.Pointer, ids, width, dTable.Pointer);
            return [.. y.Values, .. dTable.Values];
        });
        var expected = before.Values.ToArray();
        for (int t = 0; t < tokens; t++)
        {
            Assert.Equal(table.Values[(ids[t] * width)..((ids[t] + 1) * width)], result[(t * width)..((t + 1) * width)]);
            for (int i = 0; i < width; i++)
                expected[ids[t] * width + i] += dy.Values[t * width + i];
        }

        Assert.Equal(expected, result[(tokens * width)..]);
    }
}
