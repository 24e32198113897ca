using DualSparse.Kernels;

namespace DualSparse.Tests.Kernels;

public class KernelTableTests
{
    [Fact]
    public void Entries_of_a_format_stand_in_order_of_preference()
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
    public void Kernels_are_what_the_table_says() => Assert.All(KernelTable.Entries, e =>
    {
        if (e.Refusal(CpuFeatures.Current) is not null)
            return;
        var kernel = e.Create();
        Assert.Equal((e.Name, e.Weights), (kernel.Name, kernel.Weights));
    });

    [Fact]
    public void A_bare_machine_runs_the_vector_kernels() =>
        Assert.All(Enum.GetValues<WeightFormat>(), f => Assert.Equal("vector", KernelTable.Choose(f, new CpuFeatures(), null).Name));

    [Fact]
    public void A_name_forces_a_kernel() =>
        Assert.All(Enum.GetValues<WeightFormat>(), f => Assert.Equal("scalar", KernelTable.Choose(f, CpuFeatures.Current, "scalar").Name));

    [Fact]
    public void An_unknown_or_impossible_name_is_an_error()
    {
        Assert.Contains("expected one of", Assert.Throws<InvalidOperationException>(() => KernelTable.Choose(WeightFormat.F32, CpuFeatures.Current, "sse")).Message);
        Assert.Contains("AVX2", Assert.Throws<InvalidOperationException>(() => KernelTable.Choose(WeightFormat.F32, new CpuFeatures(), "avx2")).Message);
    }
}
