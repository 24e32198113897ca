using System.Diagnostics;
using DualSparse.Engine;
using DualSparse.Kernels;
using DualSparse.Models;

namespace DualSparse.Tests.Engine;

[Collection("alone")]
public class LoadDisposeTests
{
    [Fact]
    public void A_hundred_loads_give_their_memory_back()
    {
        // The allocator, the JIT compiler and the garbage collector take their share in the first rounds.
        for (int i = 0; i < 40; i++)
            LoadAndWrite(i);
        long before = Resident();
        for (int i = 0; i < 100; i++)
            LoadAndWrite(i);
        long grown = Resident() - before;

        // What 250 KB kept of each would come to; a model takes 8 to 56 MB.
        Assert.True(grown < 24 << 20, $"{grown >> 20} MiB more after a hundred models than before");
    }

    [Fact]
    public void A_load_that_is_cancelled_ends_before_the_next_tensor()
    {
        using var cancel = new CancellationTokenSource();
        var progress = new CancelAtOnce(cancel);
        Assert.Throws<OperationCanceledException>(() => MoeModel.Load(TestPaths.Model, progress: progress, cancel: cancel.Token));
        Assert.Equal(1, progress.Reports);
    }

    [Theory]
    [InlineData("mixtral")]
    [InlineData("deepseek_v2")]
    public void Progress_ends_at_the_whole(string family)
    {
        List<LoadProgress> seen = [];
        using var model = Transformer.Load(TestPaths.Golden(family), progress: new Listener(seen.Add));
        Assert.Equal(seen[^1].TotalBytes, seen[^1].DoneBytes);
    }

    private sealed class Listener(Action<LoadProgress> told) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => told(value);
    }

    private sealed class CancelAtOnce(CancellationTokenSource source) : IProgress<LoadProgress>
    {
        public int Reports { get; private set; }

        public void Report(LoadProgress value)
        {
            Reports++;
            source.Cancel();
        }
    }

    private static void LoadAndWrite(int round)
    {
        var format = Enum.GetValues<WeightFormat>()[round % 4];
        using var model = MoeModel.Load(TestPaths.Model, new EngineOptions { Weights = format, Threads = 2 });
        using var session = model.NewSession();
        session.Append([1, 2, 3]);
        Assert.Equal(2, session.Generate(new() { MaxTokens = 2 }, TestContext.Current.CancellationToken).Count());
    }

    private static long Resident()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64;
    }

    [Fact]
    public void A_checkpoint_cut_short_while_it_is_used_is_one_sentence()
    {
        if (OperatingSystem.IsWindows())
            Assert.Skip("Windows lets nobody cut a mapped file");
        using var folder = TemporaryFolder.CopyOf("olmoe");
        using var model = Transformer.Load(folder.Path, new EngineOptions { Threads = 1 });
        using var cache = model.NewCache(8);
        using (var file = new FileStream(folder.File("model.safetensors"), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            file.SetLength(4096);
        var error = Assert.Throws<ModelFormatException>(() => model.Forward(cache, [1, 2]).Length);
        Assert.Contains("model.safetensors: the file has 4096 bytes, it had", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, cache.Length);
    }
}
