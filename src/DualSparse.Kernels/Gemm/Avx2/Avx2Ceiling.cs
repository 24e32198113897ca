using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fma256 = System.Runtime.Intrinsics.X86.Fma;
using Isa = System.Runtime.Intrinsics.X86.Avx2;

namespace DualSparse.Kernels.Gemm.Avx2;

/// <summary>
/// The multiplying instructions alone, on random values in registers: what this processor could reach at most. Each of twelve chains
/// feeds on its own result, so that no iteration can be omitted. Each returns operations, 2 for each multiply-add.
/// </summary>
internal static class Avx2Ceiling
{
    private const int Chains = 12;

    // Keeps results alive, so that the compiler computes them.
    private static float sink;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Fma(int rounds)
    {
        // |x| < 1: the chains converge to y / (1 − x), neither overflow nor subnormal numbers slow them down.
        var x = Vector256.Create(0.31f, -0.72f, 0.55f, -0.13f, 0.87f, 0.42f, -0.66f, 0.29f);
        var y = Vector256.Create(1.7f, 0.3f, -2.1f, 0.9f, -1.3f, 0.6f, 1.1f, -0.4f);
        Vector256<float> a = x, b = y, c = x + y, d = x - y, e = a, f = b, g = c, h = d, i = a, j = b, k = c, l = d;
        for (int n = 0; n < rounds; n++)
        {
            a = Fma256.MultiplyAdd(a, x, y);
            b = Fma256.MultiplyAdd(b, x, y);
            c = Fma256.MultiplyAdd(c, x, y);
            d = Fma256.MultiplyAdd(d, x, y);
            e = Fma256.MultiplyAdd(e, x, y);
            f = Fma256.MultiplyAdd(f, x, y);
            g = Fma256.MultiplyAdd(g, x, y);
            h = Fma256.MultiplyAdd(h, x, y);
            i = Fma256.MultiplyAdd(i, x, y);
            j = Fma256.MultiplyAdd(j, x, y);
            k = Fma256.MultiplyAdd(k, x, y);
            l = Fma256.MultiplyAdd(l, x, y);
        }

        Volatile.Write(ref sink, Vector256.Sum(a + b + c + d + e + f + g + h + i + j + k + l));
        return 2L * rounds * Chains * Vector256<float>.Count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long MultiplyPairs16(int rounds)
    {
        var x = Vector256.Create((short)11, -7, 5, 93, -41, 27, 3, -15, 77, 21, -9, 63, -33, 19, 101, -55);
        Vector256<short> a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
        for (int n = 0; n < rounds; n++)
        {
            a = Isa.MultiplyAddAdjacent(a, x).AsInt16();
            b = Isa.MultiplyAddAdjacent(b, x).AsInt16();
            c = Isa.MultiplyAddAdjacent(c, x).AsInt16();
            d = Isa.MultiplyAddAdjacent(d, x).AsInt16();
            e = Isa.MultiplyAddAdjacent(e, x).AsInt16();
            f = Isa.MultiplyAddAdjacent(f, x).AsInt16();
            g = Isa.MultiplyAddAdjacent(g, x).AsInt16();
            h = Isa.MultiplyAddAdjacent(h, x).AsInt16();
            i = Isa.MultiplyAddAdjacent(i, x).AsInt16();
            j = Isa.MultiplyAddAdjacent(j, x).AsInt16();
            k = Isa.MultiplyAddAdjacent(k, x).AsInt16();
            l = Isa.MultiplyAddAdjacent(l, x).AsInt16();
        }

        Volatile.Write(ref sink, Vector256.Sum(a + b + c + d + e + f + g + h + i + j + k + l));
        return 2L * rounds * Chains * Vector256<short>.Count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long MultiplyPairs8(int rounds)
    {
        var x = Vector256.Create(11, -7, 5, 93, -41, 27, 3, -15).AsSByte();
        Vector256<byte> a = x.AsByte(), b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a, k = a, l = a;
        for (int n = 0; n < rounds; n++)
        {
            a = Isa.MultiplyAddAdjacent(a, x).AsByte();
            b = Isa.MultiplyAddAdjacent(b, x).AsByte();
            c = Isa.MultiplyAddAdjacent(c, x).AsByte();
            d = Isa.MultiplyAddAdjacent(d, x).AsByte();
            e = Isa.MultiplyAddAdjacent(e, x).AsByte();
            f = Isa.MultiplyAddAdjacent(f, x).AsByte();
            g = Isa.MultiplyAddAdjacent(g, x).AsByte();
            h = Isa.MultiplyAddAdjacent(h, x).AsByte();
            i = Isa.MultiplyAddAdjacent(i, x).AsByte();
            j = Isa.MultiplyAddAdjacent(j, x).AsByte();
            k = Isa.MultiplyAddAdjacent(k, x).AsByte();
            l = Isa.MultiplyAddAdjacent(l, x).AsByte();
        }

        Volatile.Write(ref sink, Vector256.Sum(a + b + c + d + e + f + g + h + i + j + k + l));
        return 2L * rounds * Chains * Vector256<byte>.Count;
    }
}
