using DualSparse.Kernels.Jit;
using static DualSparse.Kernels.Gemm.Avx512Dot.DotRegisters;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Gemm.Avx512Dot;

/// <summary>
/// Asks for the panel's lines some KiB before their use and, near its end, for the first of <see cref="PanelArgs.Next"/>; without one
/// nothing beyond the panel is fetched: what lies there is often a neighbour's, or a half that is skipped in order not to be read.
/// </summary>
internal static class PanelPrefetch
{
    // What one core must keep in flight at 20 GB/s and 100 ns, twice.
    private const int LeadBytes = 4096;

    /// <summary>Before a loop: <see cref="Panel"/> and <see cref="Counter"/> are set. Leaves one word on the stack.</summary>
    public static void Begin(FunctionAssembler c, int roundBytes)
    {
        // While the panel lasts the line is some rounds ahead; once it would be past the end it is as far into the next panel,
        // or, without one, the line in hand: a distance of zero.
        c.imul(Ahead, Counter, roundBytes);
        c.add(Ahead, Panel);
        c.mov(WideScratch, FunctionAssembler.Field(nameof(PanelArgs.Next)));
        c.add(WideScratch, Rounds(roundBytes) * roundBytes);
        c.sub(WideScratch, Ahead);
        c.mov(Ahead, FunctionAssembler.Field(nameof(PanelArgs.Next)));
        c.cmp(Ahead, 0);
        c.cmove(WideScratch, Ahead);
        c.push(WideScratch);
        c.mov(Ahead, Rounds(roundBytes) * roundBytes);
    }

    /// <summary>At the start of each round.</summary>
    public static void Round(FunctionAssembler c, int roundBytes)
    {
        c.cmp(Counter, Rounds(roundBytes));
        c.cmovbe(Ahead, __qword_ptr[rsp]);
    }

    /// <summary>The line that belongs to the one at <paramref name="offset"/>.</summary>
    public static void Line(FunctionAssembler c, int offset) => c.prefetcht0(__byte_ptr[Panel + Ahead + offset]);

    /// <summary>After the loop: takes the word off the stack.</summary>
    public static void End(FunctionAssembler c) => c.pop(WideScratch);

    private static int Rounds(int roundBytes) => LeadBytes / roundBytes;
}
