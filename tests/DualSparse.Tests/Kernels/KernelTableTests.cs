using DualSparse.Kernels;

namespace DualSparse.Tests.Kernels;

public class KernelTableTests
{
    [Fact]
    public void EntriesOfAFormatStandInOrderOfPreference()
    {
        var names = KernelTable.Names.ToList();
        foreach (var format in Enum.GetValues<WeightFormat>())
        {
            var ranks = KernelTable.Entries.Where(e => e.Weights == format).Select(e => names.IndexOf(e.Name)).ToArray();
            Assert.DoesNotContain(-1, ranks);
            Assert.Equal(ranks.Distinct().Order(), ranks);
            Assert.Equal("scalar", names[ranks[^1]]);
        }
    }

    [Fact]
    public void KernelsAreWhatTheTableSays() => Assert.All(KernelTable.Entries, e =>
    {
        if (e.Refusal(CpuFeatures.Current) is not null)
            return;
        var kernel = e.Create();
        Assert.Equal((e.Name, e.Weights), (kernel.Name, kernel.Weights));
    });

    [Fact]
    public void ABareMachineRunsTheVectorKernels() =>
        Assert.All(Enum.GetValues<WeightFormat>(), f => Assert.Equal("vector", KernelTable.Choose(f, new CpuFeatures(), null).Name));

    [Fact]
    public void ANameForcesAKernel() =>
        Assert.All(Enum.GetValues<WeightFormat>(), f => Assert.Equal("scalar", KernelTable.Choose(f, CpuFeatures.Current, "scalar").Name));

    [Fact]
    public void AnUnknownOrImpossibleNameIsAnError()
    {
        Assert.Contains("expected one of", Assert.Throws<InvalidOperationException>(() => KernelTable.Choose(WeightFormat.F32, CpuFeatures.Current, "sse")).Message);
        Assert.Contains("AVX2", Assert.Throws<InvalidOperationException>(() => KernelTable.Choose(WeightFormat.F32, new CpuFeatures(), "avx2")).Message);
    }
}
