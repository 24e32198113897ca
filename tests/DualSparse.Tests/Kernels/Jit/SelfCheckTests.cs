using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Jit;

namespace DualSparse.Tests.Kernels.Jit;

public class SelfCheckTests
{
    [Fact]
    public void A_wrong_kernel_is_refused_and_the_next_serves()
    {
        // A name that no emitted kernel has: what was found of one by its name holds for the process.
        KernelEntry[] table =
        [
            new("avx512", WeightFormat.Int8, _ => null, () => SelfCheck.Verified(new OffByOne(), _ => null)),
            new("avx2", WeightFormat.Int8, _ => null, () => throw new KernelRefusedException("no memory")),
            .. KernelTable.Entries.Where(e => e.Name == "scalar"),
        ];
        Assert.Equal("scalar", KernelTable.Choose(table, WeightFormat.Int8, CpuFeatures.Current, null).Name);
        Assert.Contains("row 44 of 45, output 31", table[0].TryCreate(CpuFeatures.Current, out _));
        var forced = Assert.Throws<InvalidOperationException>(() => KernelTable.Choose(table, WeightFormat.Int8, CpuFeatures.Current, "avx512"));
        Assert.StartsWith("DUALSPARSE_KERNEL=avx512: its self-check failed", forced.Message);
    }

    [Fact]
    public void What_a_processor_cannot_run_is_not_tried() =>
        Assert.IsType<OffByOne>(SelfCheck.Verified(new OffByOne(), _ => "this processor can't"));

    [Fact]
    public void Every_entry_serves_is_available_or_says_why_not()
    {
        var report = KernelReport.Of(CpuFeatures.Current, null);
        Assert.Equal(KernelTable.Entries.Count, report.Count);
        Assert.All(report, line => Assert.Equal(line.State == KernelState.Refused, line.Reason is not null));
        Assert.All(Enum.GetValues<WeightFormat>(), f => Assert.Single(report, l => l.Weights == f && l.State == KernelState.Used));
        var bare = KernelReport.Of(new CpuFeatures { AmxRefusal = "this processor has no AMX" }, null);
        Assert.Contains(new KernelStatus(WeightFormat.Bf16, "amx", KernelState.Refused, "this processor has no AMX"), bare);
        Assert.Contains(new KernelStatus(WeightFormat.Int4, "avx512-dot", KernelState.Refused, "this processor has no AVX512-VNNI"), bare);
        Assert.Contains(new KernelStatus(WeightFormat.Int4, "vector", KernelState.Used, null), bare);
    }

    private sealed class OffByOne() : PanelKernel("avx512", WeightFormat.Int8, ActivationFormat.Int8)
    {
        public override void Multiply(in PanelArgs args)
        {
            KernelTable.Entries.First(e => e.Name == "scalar" && e.Weights == WeightFormat.Int8).Create().Multiply(args);
            unsafe
            {
                if (args.RowCount > 1)
                    args.Result[args.RowCount * 32 - 1] = MathF.BitIncrement(args.Result[args.RowCount * 32 - 1]);
            }
        }
    }
}
