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

    // Zen 4 is family 25.
    [Theory]
    [InlineData(6, "avx512")]
    [InlineData(25, "avx512-dot")]
    public void Slow_dot_products_come_after_multiply_adds(int family, string expected)
    {
        if (!CpuFeatures.Current.Avx512Bf16)
            Assert.Skip("this processor has no AVX512-BF16");
        var cpu = CpuFeatures.Current with { AmxBf16 = false, AmxInt8 = false, AmxRefusal = "hidden", Family = family };
        Assert.Equal(expected, KernelTable.Choose(WeightFormat.Bf16, cpu, null).Name);
        Assert.Equal("avx512-dot", KernelTable.Choose(WeightFormat.Bf16, cpu, "avx512-dot").Name);
        if (cpu.Avx512Vnni)
            Assert.Equal("avx512-dot", KernelTable.Choose(WeightFormat.Int8, cpu, null).Name);
        if (CpuFeatures.Current.AmxBf16)
            Assert.Equal("amx", KernelTable.Choose(WeightFormat.Bf16, CpuFeatures.Current with { Family = family }, null).Name);
    }

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
