using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Sparsify;
using DualSparse.Sparsify.Complete;
using DualSparse.Tests.Models.Weights;

namespace DualSparse.Tests.Sparsify;

/// <summary>What is made of a checkpoint whose experts are fused is what is made of one whose experts aren't, to the bit.</summary>
public class FusedSparsifyTests
{
    public static TheoryData<string, bool> Cases => FusedExpertsTests.Cases;

    private static EngineOptions F32 => new() { Weights = WeightFormat.F32 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Cases))]
    public void Reordered_they_stay_fused_and_are_the_same_model(string family, bool transposed)
    {
        using TemporaryFolder fused = FusedFolder.Write(TestPaths.Golden(family), transposed), folder = new();
        int[][] windows = [.. Enumerable.Range(0, 8).Select(w => Enumerable.Range(w * 5, 40).ToArray())];
        string expected = folder.File("expected"), found = folder.File("found");
        Sparsifier.Run(TestPaths.Golden(family), expected, new(windows[..6], windows[6..]), "test", ImportanceMetric.Parse("4w"), F32, cancel: Cancel);
        Sparsifier.Run(fused.Path, found, new(windows[..6], windows[6..]), "test", ImportanceMetric.Parse("4w"), F32, cancel: Cancel);
        Assert.Equal(File.ReadAllBytes(Path.Combine(expected, DropProfile.FileName)), File.ReadAllBytes(Path.Combine(found, DropProfile.FileName)));
        Assert.Equal(File.ReadAllBytes(Path.Combine(expected, CompensationFile.FileName)), File.ReadAllBytes(Path.Combine(found, CompensationFile.FileName)));

        using (Checkpoint before = Checkpoint.Open(fused.Path), after = Checkpoint.Open(found))
        {
            Assert.Equal(before.Names.Order(), after.Names.Order());
            Assert.All(before.Names, name => Assert.Equal((before.Get(name).Type, Shape(before, name)), (after.Get(name).Type, Shape(after, name))));
            Assert.Contains(before.Names, name => !before.Get(name).Bytes.SequenceEqual(after.Get(name).Bytes));
        }

        // Fused by the test itself, what came of the separate experts is what came of the fused ones.
        using var again = FusedFolder.Write(expected, transposed);
        Same(again.Path, found);
        Assert.Equal(Logits(expected), Logits(found));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Cut_they_become_the_ordinary_checkpoint_that_separate_ones_become(string family, bool transposed)
    {
        using TemporaryFolder fused = FusedFolder.Write(TestPaths.Golden(family), transposed), folder = new();
        foreach (int parts in new[] { 1, 4 })
        {
            string expected = folder.File($"expected{parts}"), found = folder.File($"found{parts}");
            CompleteTransformation.Run(TestPaths.Golden(family), expected, parts, cancel: Cancel);
            var config = CompleteTransformation.Run(fused.Path, found, parts, cancel: Cancel);
            Assert.Equal(ExpertStorage.Separate, config.Names.Experts);
            Same(expected, found);
            Assert.Equal(File.ReadAllBytes(Path.Combine(expected, "config.json")), File.ReadAllBytes(Path.Combine(found, "config.json")));
        }
    }

    [Fact]
    public void What_cannot_be_cut_exactly_names_the_fused_tensor()
    {
        using TemporaryFolder fused = FusedFolder.Write(TestPaths.Golden("olmoe"), true), folder = new();
        string message = Assert.Throws<ArgumentException>("allowRounding", () => CompleteTransformation.Run(fused.Path, folder.File("out"), 3, cancel: Cancel)).Message;
        Assert.Contains("'model.layers.0.mlp.experts.down_proj' is stored as BF16", message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }

    private static void Same(string expected, string found)
    {
        using Checkpoint one = Checkpoint.Open(expected), other = Checkpoint.Open(found);
        Assert.Equal(one.Names.Order(), other.Names.Order());
        foreach (string name in one.Names)
            Assert.True(one.Get(name).Type == other.Get(name).Type && one.Get(name).Bytes.SequenceEqual(other.Get(name).Bytes), name);
    }

    private static string Shape(Checkpoint checkpoint, string name) => string.Join(", ", checkpoint.Get(name).Shape);

    private static float[] Logits(string folder)
    {
        using var model = Transformer.Load(folder, F32);
        using var cache = model.NewCache(30);
        return model.Forward(cache, [.. Enumerable.Range(5, 30)], LogitRows.All).ToArray();
    }
}
