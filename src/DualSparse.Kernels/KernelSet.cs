using DualSparse.Kernels.Gemm;

namespace DualSparse.Kernels;

/// <summary>One kernel for each weight format: what a model computes with.</summary>
public sealed class KernelSet
{
    private readonly PanelKernel[] kernels;

    /// <summary>Takes the kernel that <paramref name="choose"/> returns for each format.</summary>
    internal KernelSet(Func<WeightFormat, PanelKernel> choose) => kernels = [.. Enum.GetValues<WeightFormat>().Select(choose)];

    /// <summary>The best that this machine runs, or what <see cref="KernelTable.Variable"/> forces.</summary>
    /// <exception cref="InvalidOperationException">The variable names no kernel, or one that this machine can't run.</exception>
    public static KernelSet Best() => new(KernelTable.Choose);

    /// <summary>Those called <paramref name="name"/>, or the next below it where a format has none of this name.</summary>
    /// <exception cref="InvalidOperationException">No such kernel, or this machine can't run it.</exception>
    public static KernelSet Named(string name) => new(w => KernelTable.Choose(w, CpuFeatures.Current, name));

    /// <summary>The kernel for a weight format.</summary>
    internal PanelKernel this[WeightFormat format] => kernels[(int)format];
}
