using System.Numerics.Tensors;
using DualSparse.Kernels.Gemm;

namespace DualSparse.Engine.Moe.Balance;

/// <summary>Rows in a lower precision.</summary>
internal static unsafe class LowPrecision
{
    // Rows that one thread rounds at a time.
    private const int RowsPerItem = 8;

    /// <summary>Encodes rows as experts of a lower precision read them, each by itself.</summary>
    /// <param name="work">Threads, kernels.</param>
    /// <param name="low">The lower precision.</param>
    /// <param name="x">[rows, D] f32, dense.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="hidden">D.</param>
    /// <param name="target">Receives [rows, D].</param>
    public static void Encode(Workspace work, LowFormat low, float* x, int rows, int hidden, ActivationRows target)
    {
        MatMul.Encode(work, target, work.Kernels[LowExperts.Format(low)].Activations, x, rows, hidden, hidden);
        if (Rounding(low) is not { } round)
            return;
        work.Team.For((rows + RowsPerItem - 1) / RowsPerItem, (item, _) =>
        {
            for (int r = item * RowsPerItem; r < Math.Min(rows, (item + 1) * RowsPerItem); r++)
                round(new Span<float>((float*)target.Row(r), hidden));
        });
    }

    /// <summary>What an emulated format makes of a row of f32, also of an expert's intermediate row; null: its kernel does so by itself.</summary>
    public static RowRounding? Rounding(LowFormat low) => low switch
    {
        LowFormat.NvFp4 => row => Fp4.RoundNv(row, Fp4.NvScale(MathF.Abs(TensorPrimitives.MaxMagnitude<float>(row)))),
        LowFormat.MxFp4 => Fp4.RoundMx,
        _ => null,
    };
}
