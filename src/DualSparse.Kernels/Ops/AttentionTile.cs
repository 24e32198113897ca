using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace DualSparse.Kernels.Ops;

/// <summary>
/// The small matrix product under attention: c[r, 2 vectors] (+)= Σ_k a[r, k] · b[k, 2 vectors], with fused multiply-adds in the order
/// of k for every number of rows, so that a row's result doesn't depend on its company.
/// </summary>
internal static unsafe class AttentionTile
{
    /// <summary>Rows that one pass holds in registers: 12 sums, two vectors of b and one of a are 15 of AVX2's 16.</summary>
    public const int Rows = 6;

    // With few rows memory is the limit, and a processor's own prefetching ends with each 4 KiB: those lines are asked for that far ahead.
    private const int AheadRows = 64;

    /// <summary>How many rows to multiply next where so many are left: 8 are better done as 4 and 4 than as 6, 1 and 1.</summary>
    public static int Take(int left) => left is 8 ? 4 : Math.Min(left, Rows);

    /// <summary>Multiplies 1…6 rows.</summary>
    /// <param name="rows">Rows.</param>
    /// <param name="a">[rows, depth].</param>
    /// <param name="aStride">Floats from one row of a to the next.</param>
    /// <param name="b0">The first vector of each row of b.</param>
    /// <param name="b1">The second vector of each row of b.</param>
    /// <param name="bStride">Floats from one row of b to the next.</param>
    /// <param name="depth">Products to sum.</param>
    /// <param name="c">[rows, 2 vectors].</param>
    /// <param name="cStride">Floats from one row of c to the next.</param>
    /// <param name="add">Whether c is added to rather than overwritten.</param>
    public static void Multiply<TSimd, TVector>(
        int rows, float* a, nint aStride, float* b0, float* b1, nint bStride, int depth, float* c, nint cStride, bool add)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        switch (rows)
        {
            case 6:
                Six<TSimd, TVector>(a, aStride, b0, b1, bStride, depth, c, cStride, add);
                return;
            case 5:
                Four<TSimd, TVector>(a, aStride, b0, b1, bStride, depth, c, cStride, add);
                One<TSimd, TVector>(a + 4 * aStride, b0, b1, bStride, depth, c + 4 * cStride, add);
                return;
            case 4:
                Four<TSimd, TVector>(a, aStride, b0, b1, bStride, depth, c, cStride, add);
                return;
            default:
                for (int r = 0; r < rows; r++)
                    One<TSimd, TVector>(a + r * aStride, b0, b1, bStride, depth, c + r * cStride, add);
                return;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Six<TSimd, TVector>(
        float* a, nint aStride, float* b0, float* b1, nint bStride, int depth, float* c, nint cStride, bool add)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector c00 = TSimd.Zero, c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00;
        TVector c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00;
        int w = TSimd.Width;
        float* d1 = c + cStride, d2 = d1 + cStride, d3 = d2 + cStride, d4 = d3 + cStride, d5 = d4 + cStride;
        if (add)
        {
            (c00, c01, c10, c11) = (TSimd.Load(c), TSimd.Load(c + w), TSimd.Load(d1), TSimd.Load(d1 + w));
            (c20, c21, c30, c31) = (TSimd.Load(d2), TSimd.Load(d2 + w), TSimd.Load(d3), TSimd.Load(d3 + w));
            (c40, c41, c50, c51) = (TSimd.Load(d4), TSimd.Load(d4 + w), TSimd.Load(d5), TSimd.Load(d5 + w));
        }

        float* a1 = a + aStride, a2 = a1 + aStride, a3 = a2 + aStride, a4 = a3 + aStride, a5 = a4 + aStride;
        for (nint k = 0; k < depth; k++)
        {
            TVector left = TSimd.Load(b0), right = TSimd.Load(b1), row = TSimd.Create(a[k]);
            c00 = TSimd.MultiplyAdd(row, left, c00);
            c01 = TSimd.MultiplyAdd(row, right, c01);
            row = TSimd.Create(a1[k]);
            c10 = TSimd.MultiplyAdd(row, left, c10);
            c11 = TSimd.MultiplyAdd(row, right, c11);
            row = TSimd.Create(a2[k]);
            c20 = TSimd.MultiplyAdd(row, left, c20);
            c21 = TSimd.MultiplyAdd(row, right, c21);
            row = TSimd.Create(a3[k]);
            c30 = TSimd.MultiplyAdd(row, left, c30);
            c31 = TSimd.MultiplyAdd(row, right, c31);
            row = TSimd.Create(a4[k]);
            c40 = TSimd.MultiplyAdd(row, left, c40);
            c41 = TSimd.MultiplyAdd(row, right, c41);
            row = TSimd.Create(a5[k]);
            c50 = TSimd.MultiplyAdd(row, left, c50);
            c51 = TSimd.MultiplyAdd(row, right, c51);
            b0 += bStride;
            b1 += bStride;
        }

        TSimd.Store(c00, c);
        TSimd.Store(c01, c + w);
        TSimd.Store(c10, d1);
        TSimd.Store(c11, d1 + w);
        TSimd.Store(c20, d2);
        TSimd.Store(c21, d2 + w);
        TSimd.Store(c30, d3);
        TSimd.Store(c31, d3 + w);
        TSimd.Store(c40, d4);
        TSimd.Store(c41, d4 + w);
        TSimd.Store(c50, d5);
        TSimd.Store(c51, d5 + w);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Four<TSimd, TVector>(
        float* a, nint aStride, float* b0, float* b1, nint bStride, int depth, float* c, nint cStride, bool add)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector c00 = TSimd.Zero, c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        int w = TSimd.Width;
        float* d1 = c + cStride, d2 = d1 + cStride, d3 = d2 + cStride;
        if (add)
        {
            (c00, c01, c10, c11) = (TSimd.Load(c), TSimd.Load(c + w), TSimd.Load(d1), TSimd.Load(d1 + w));
            (c20, c21, c30, c31) = (TSimd.Load(d2), TSimd.Load(d2 + w), TSimd.Load(d3), TSimd.Load(d3 + w));
        }

        float* a1 = a + aStride, a2 = a1 + aStride, a3 = a2 + aStride;
        for (nint k = 0; k < depth; k++)
        {
            TVector left = TSimd.Load(b0), right = TSimd.Load(b1), row = TSimd.Create(a[k]);
            c00 = TSimd.MultiplyAdd(row, left, c00);
            c01 = TSimd.MultiplyAdd(row, right, c01);
            row = TSimd.Create(a1[k]);
            c10 = TSimd.MultiplyAdd(row, left, c10);
            c11 = TSimd.MultiplyAdd(row, right, c11);
            row = TSimd.Create(a2[k]);
            c20 = TSimd.MultiplyAdd(row, left, c20);
            c21 = TSimd.MultiplyAdd(row, right, c21);
            row = TSimd.Create(a3[k]);
            c30 = TSimd.MultiplyAdd(row, left, c30);
            c31 = TSimd.MultiplyAdd(row, right, c31);
            Prefetch(b0 + AheadRows * bStride);
            b0 += bStride;
            b1 += bStride;
        }

        TSimd.Store(c00, c);
        TSimd.Store(c01, c + w);
        TSimd.Store(c10, d1);
        TSimd.Store(c11, d1 + w);
        TSimd.Store(c20, d2);
        TSimd.Store(c21, d2 + w);
        TSimd.Store(c30, d3);
        TSimd.Store(c31, d3 + w);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void One<TSimd, TVector>(float* a, float* b0, float* b1, nint bStride, int depth, float* c, bool add)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        TVector c0 = TSimd.Zero, c1 = c0;
        if (add)
            (c0, c1) = (TSimd.Load(c), TSimd.Load(c + TSimd.Width));
        for (nint k = 0; k < depth; k++)
        {
            var row = TSimd.Create(a[k]);
            c0 = TSimd.MultiplyAdd(row, TSimd.Load(b0), c0);
            c1 = TSimd.MultiplyAdd(row, TSimd.Load(b1), c1);
            Prefetch(b0 + AheadRows * bStride);
            b0 += bStride;
            b1 += bStride;
        }

        TSimd.Store(c0, c);
        TSimd.Store(c1, c + TSimd.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch(float* address)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0(address);
    }
}
