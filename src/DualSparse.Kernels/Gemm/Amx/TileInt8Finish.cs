using DualSparse.Kernels.Gemm.Avx512Dot;
using DualSparse.Kernels.Jit;
using DualSparse.Kernels.Packing;
using static DualSparse.Kernels.Jit.FunctionAssembler;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Amx;

/// <summary>
/// From raw integer sums in the result to the int8 product, in place: ((float)(Σ − 128·Σa)) · the column's scale · the row's scale.
/// </summary>
/// <remarks>Plain AVX-512, a dozen instructions a row on lines that the tiles have just written.</remarks>
internal static class TileInt8Finish
{
    private const int VectorBytes = 64;

    /// <summary>Emits the loop over rows; every register but rdi is free.</summary>
    public static void Emit(FunctionAssembler c)
    {
        var (result, rowsLeft, rowScales, sums, sumBytes) = (rbp, rdx, r13, r14, r15);
        var next = c.CreateLabel();
        var correction = zmm2;
        c.mov(rax, Field(nameof(PanelArgs.Panel)));
        c.vmovups(zmm0, __zmmword_ptr[rax]);
        c.vmovups(zmm1, __zmmword_ptr[rax + VectorBytes]);
        c.mov(result, Field(nameof(PanelArgs.Result)));
        c.mov(rowsLeft, Field(nameof(PanelArgs.RowCount)));
        c.mov(rowScales, Field(nameof(PanelArgs.RowScales)));
        c.mov(sums, Field(nameof(PanelArgs.RowSums)));
        c.mov(sumBytes, Field(nameof(PanelArgs.RowSumStride)));
        c.shl(sumBytes, 2);

        c.Mark(ref next);
        c.imul(eax, __dword_ptr[sums], -DotInt8.WeightOffset);
        c.vpbroadcastd(correction, eax);
        for (int half = 0; half < 2; half++)
        {
            var (columnScales, sum, at) = (Zmm(half), Zmm(3 + half), __zmmword_ptr[result + half * VectorBytes]);
            c.vpaddd(sum, correction, at);
            c.vcvtdq2ps(sum, sum);
            c.vmulps(sum, sum, columnScales);
            c.vmulps(sum, sum, __dword_bcst[rowScales]);
            c.vmovups(at, sum);
        }

        c.add(result, PanelLayout.StepBytes);
        c.add(rowScales, sizeof(float));
        c.add(sums, sumBytes);
        c.dec(rowsLeft);
        c.jnz(next);
    }
}
