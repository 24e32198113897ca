using DualSparse.Models.Safetensors;
using DualSparse.Sparsify;

namespace DualSparse.Tests.Sparsify;

/// <summary>Reordering is undone by the inverse order, to the bit.</summary>
public class ReorderedCheckpointTests
{
    [Theory]
    [InlineData("mixtral")]
    [InlineData("qwen2_moe")]
    [InlineData("deepseek_v2")]
    [InlineData("scmoe/shared_expert")]
    public void There_and_back_is_the_original(string family)
    {
        using var folder = new TemporaryFolder();
        using var before = Checkpoint.Open(TestPaths.Golden(family));
        var random = new Random(3);
        int[][]?[] orders = [.. before.Config.LayerPlan.Select(layer => layer.IsMoe ? Orders() : null)];
        int[][]?[] inverse = [.. orders.Select(layer => layer?.Select(Invert).ToArray())];
        Write(before, orders, "there");
        using var between = Checkpoint.Open(folder.File("there"));
        Write(between, inverse, "back");
        using var after = Checkpoint.Open(folder.File("back"));
        Assert.Equal(before.Names.Order(), after.Names.Order());
        foreach (string name in before.Names)
            Assert.True(before.Get(name).Bytes.SequenceEqual(after.Get(name).Bytes), name);

        int[][] Orders() => [.. Enumerable.Range(0, before.Config.Moe!.Experts).Select(_ => Shuffled(before.Config.Moe.Intermediate))];

        int[] Shuffled(int count)
        {
            int[] order = [.. Enumerable.Range(0, count)];
            random.Shuffle(order);
            return order;
        }

        void Write(Checkpoint source, int[][]?[] to, string name)
        {
            Directory.CreateDirectory(folder.File(name));
            ReorderedCheckpoint.Write(source, to, folder.File(name), new Progress<double>(), TestContext.Current.CancellationToken);
        }
    }

    private static int[] Invert(int[] order)
    {
        int[] inverse = new int[order.Length];
        for (int place = 0; place < order.Length; place++)
            inverse[order[place]] = place;
        return inverse;
    }
}
