using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace DualSparse.Kernels.Gemm.Avx512;

/// <summary>
/// The multiplying instructions alone, on random values in registers: what this processor could reach at most. Each of twelve chains
/// feeds on its own result, so that no iteration can be omitted. Each returns operations, 2 for each multiply-add.
/// </summary>
internal static class Avx512Ceiling
{
    private const int Chains = 12;

    // Keeps results alive, so that the compiler computes them.
    private static float sink;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Fma(int rounds)
    {
        // |x| < 1: the chains converge to y / (1 − x), neither overflow nor subnormal numbers slow them down.
        var half = Vector256.Create(0.31f, -0.72f, 0.55f, -0.13f, 0.87f, 0.42f, -0.66f, 0.29f);
        var x = Vector512.Create(half, -half);
        var y = Vector512.Create(Vector256.Create(1.7f, 0.3f, -2.1f, 0.9f, -1.3f, 0.6f, 1.1f, -0.4f), half);
        Vector512<float> a = x, b = y, c = x + y, d = x - y, e = a, f = b, g = c, h = d, i = a, j = b, k = c, l = d;
        for (int n = 0; n < rounds; n++)
        {
            a = Vector512.FusedMultiplyAdd(a, x, y);
            b = Vector512.FusedMultiplyAdd(b, x, y);
            c = Vector512.FusedMultiplyAdd(c, x, y);
            d = Vector512.FusedMultiplyAdd(d, x, y);
            e = Vector512.FusedMultiplyAdd(e, x, y);
            f = Vector512.FusedMultiplyAdd(f, x, y);
            g = Vector512.FusedMultiplyAdd(g, x, y);
            h = Vector512.FusedMultiplyAdd(h, x, y);
            i = Vector512.FusedMultiplyAdd(i, x, y);
            j = Vector512.FusedMultiplyAdd(j, x, y);
            k = Vector512.FusedMultiplyAdd(k, x, y);
            l = Vector512.FusedMultiplyAdd(l, x, y);
        }

        Volatile.Write(ref sink, Vector512.Sum(a + b + c + d + e + f + g + h + i + j + k + l));
        return 2L * rounds * Chains * Vector512<float>.Count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long MultiplyPairs16(int rounds)
    {
        var x = Vector512.Create(11, -7, 5, 93, -41, 27, 3, -15, 77, 21, -9, 63, -33, 19, 101, -55).AsInt16();
        Vector512<short> a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
        for (int n = 0; n < rounds; n++)
        {
            a = Wide.MultiplyAddPairs(a, x).AsInt16();
            b = Wide.MultiplyAddPairs(b, x).AsInt16();
            c = Wide.MultiplyAddPairs(c, x).AsInt16();
            d = Wide.MultiplyAddPairs(d, x).AsInt16();
            e = Wide.MultiplyAddPairs(e, x).AsInt16();
            f = Wide.MultiplyAddPairs(f, x).AsInt16();
            g = Wide.MultiplyAddPairs(g, x).AsInt16();
            h = Wide.MultiplyAddPairs(h, x).AsInt16();
            i = Wide.MultiplyAddPairs(i, x).AsInt16();
            j = Wide.MultiplyAddPairs(j, x).AsInt16();
            k = Wide.MultiplyAddPairs(k, x).AsInt16();
            l = Wide.MultiplyAddPairs(l, x).AsInt16();
        }

        Volatile.Write(ref sink, Vector512.Sum(a + b + c + d + e + f + g + h + i + j + k + l));
        return 2L * rounds * Chains * Vector512<short>.Count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long MultiplyPairs8(int rounds)
    {
        var x = Vector512.Create(11L, -7, 593, -41, 27, 3, -15, 77).AsSByte();
        Vector512<byte> a = x.AsByte(), b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a, k = a, l = a;
        for (int n = 0; n < rounds; n++)
        {
            a = Wide.MultiplyAddPairs(a, x).AsByte();
            b = Wide.MultiplyAddPairs(b, x).AsByte();
            c = Wide.MultiplyAddPairs(c, x).AsByte();
            d = Wide.MultiplyAddPairs(d, x).AsByte();
            e = Wide.MultiplyAddPairs(e, x).AsByte();
            f = Wide.MultiplyAddPairs(f, x).AsByte();
            g = Wide.MultiplyAddPairs(g, x).AsByte();
            h = Wide.MultiplyAddPairs(h, x).AsByte();
            i = Wide.MultiplyAddPairs(i, x).AsByte();
            j = Wide.MultiplyAddPairs(j, x).AsByte();
            k = Wide.MultiplyAddPairs(k, x).AsByte();
            l = Wide.MultiplyAddPairs(l, x).AsByte();
        }

        Volatile.Write(ref sink, Vector512.Sum(a + b + c + d + e + f + g + h + i + j + k + l));
        return 2L * rounds * Chains * Vector512<byte>.Count;
    }
}
