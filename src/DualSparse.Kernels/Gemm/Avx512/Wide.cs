using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Narrow = System.Runtime.Intrinsics.X86.Avx2;

namespace DualSparse.Kernels.Gemm.Avx512;

/// <summary>
/// The 512-bit integer instructions that have no portable name. Where AVX-512 is missing each is two of AVX2: the kernels' logic can
/// then be tested, though never chosen.
/// </summary>
internal static class Wide
{
    /// <summary>Bytes to 16-bit integers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> ZeroExtend(Vector256<byte> values) => Avx512BW.IsSupported
        ? Avx512BW.ConvertToVector512Int16(values)
        : Vector512.Create(Narrow.ConvertToVector256Int16(values.GetLower()), Narrow.ConvertToVector256Int16(values.GetUpper()));

    /// <summary>16-bit to 32-bit integers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> ZeroExtend(Vector256<ushort> values) => Avx512F.IsSupported
        ? Avx512F.ConvertToVector512Int32(values)
        : Vector512.Create(Narrow.ConvertToVector256Int32(values.GetLower()), Narrow.ConvertToVector256Int32(values.GetUpper()));

    /// <summary>Sums of two neighbouring products of 16-bit integers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> MultiplyAddPairs(Vector512<short> a, Vector512<short> b) => Avx512BW.IsSupported
        ? Avx512BW.MultiplyAddAdjacent(a, b)
        : Vector512.Create(Narrow.MultiplyAddAdjacent(a.GetLower(), b.GetLower()), Narrow.MultiplyAddAdjacent(a.GetUpper(), b.GetUpper()));

    /// <summary>Sums of two neighbouring products of an unsigned and a signed byte, saturated.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> MultiplyAddPairs(Vector512<byte> a, Vector512<sbyte> b) => Avx512BW.IsSupported
        ? Avx512BW.MultiplyAddAdjacent(a, b)
        : Vector512.Create(Narrow.MultiplyAddAdjacent(a.GetLower(), b.GetLower()), Narrow.MultiplyAddAdjacent(a.GetUpper(), b.GetUpper()));

    /// <summary>The sums of neighbours, of <paramref name="low"/>'s eight pairs and then of <paramref name="high"/>'s.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> AddNeighbours(Vector512<int> low, Vector512<int> high)
    {
        // Each 64-bit pair's sum falls into its lower half.
        var first = Vector512.Narrow(low.AsInt64(), high.AsInt64());
        var second = Vector512.Narrow(low.AsInt64() >>> 32, high.AsInt64() >>> 32);
        return first + second;
    }
}
