using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace DualSparse.Kernels.Packing;

/// <summary>[rows, n] words of four bytes to [n, rows]: the core of packing weights, in every format, and keys.</summary>
internal static unsafe class WordTranspose
{
    /// <summary>Writes <paramref name="count"/> steps, the words of one row to each place in them.</summary>
    /// <param name="rows">Rows.</param>
    /// <param name="stride">Words from one row to the next.</param>
    /// <param name="columns">How many rows, a multiple of 4: words of a step.</param>
    /// <param name="count">Words of a row, a multiple of 4.</param>
    /// <param name="steps">[count, columns], dense.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(uint* rows, nint stride, int columns, int count, uint* steps)
    {
        for (int c = 0; c < columns; c += 4, rows += 4 * stride, steps += 4)
        {
            for (int k = 0; k < count; k += 4)
            {
                uint* row = rows + k;
                uint* step = steps + k * columns;
                var (ac0, ac1) = Zip(Vector128.Load(row), Vector128.Load(row + 2 * stride));
                var (bd0, bd1) = Zip(Vector128.Load(row + stride), Vector128.Load(row + 3 * stride));
                var (step0, step1) = Zip(ac0, bd0);
                var (step2, step3) = Zip(ac1, bd1);
                step0.Store(step);
                step1.Store(step + columns);
                step2.Store(step + 2 * columns);
                step3.Store(step + 3 * columns);
            }
        }
    }

    /// <summary>a₀b₀a₁b₁ and a₂b₂a₃b₃.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector128<uint> Low, Vector128<uint> High) Zip(Vector128<uint> a, Vector128<uint> b)
    {
        if (Sse2.IsSupported)
            return (Sse2.UnpackLow(a, b), Sse2.UnpackHigh(a, b));
        if (AdvSimd.Arm64.IsSupported)
            return (AdvSimd.Arm64.ZipLow(a, b), AdvSimd.Arm64.ZipHigh(a, b));
        return (Vector128.Create(a[0], b[0], a[1], b[1]), Vector128.Create(a[2], b[2], a[3], b[3]));
    }
}
