using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace DualSparse.Kernels.Gemm.Portable;

/// <summary>Sums of neighbouring elements.</summary>
internal static class Pairs
{
    /// <summary>
    /// Four sums of two neighbouring 16-bit products. A product is exact in 16 bits: a weight byte is at most 255, an activation at
    /// most 127 in magnitude, and 255 · 127 = 32385 is less than 2¹⁵; their sum is formed in 32 bits.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Sum(Vector128<short> products) => (products.AsInt32() << 16 >> 16) + (products.AsInt32() >> 16);

    /// <summary>The sums of neighbours, of <paramref name="low"/>'s two pairs and then of <paramref name="high"/>'s.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> AddNeighbours(Vector128<int> low, Vector128<int> high) =>
        Vector128.Narrow(low.AsInt64(), high.AsInt64()) + Vector128.Narrow(low.AsInt64() >>> 32, high.AsInt64() >>> 32);
}
