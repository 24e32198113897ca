using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using static DualSparse.Kernels.Jit.FunctionAssembler;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Jit;

/// <summary>The loop over the panels of one call.</summary>
/// <remarks>
/// With few rows a panel streams through the first-level cache and evicts what returning to the caller and calling again need: about 200 ns
/// on Zen 4, a sixth of an int4 panel of 2048 inputs. This loop needs only the arguments, which it advances in place.
/// </remarks>
internal static class PanelLoop
{
    /// <summary>Emits the loop; it modifies the arguments at rdi, so that the body sees those of one panel.</summary>
    /// <param name="c">The assembler.</param>
    /// <param name="body">Multiplies one panel. Every register but rdi and rsp is free.</param>
    public static void Emit(FunctionAssembler c, Action<FunctionAssembler> body)
    {
        var next = c.CreateLabel("nextPanel");
        var afterLast = __qword_ptr[rsp];
        c.mov(rax, Field(nameof(PanelArgs.Next)));
        c.push(rax);
        c.Mark(ref next);
        c.mov(rax, Field(nameof(PanelArgs.Panel)));
        c.add(rax, Field(nameof(PanelArgs.PanelBytes)));
        c.mov(rbx, Field(nameof(PanelArgs.PanelCount)));
        c.cmp(rbx, 1);
        c.cmove(rax, afterLast);
        c.mov(Field(nameof(PanelArgs.Next)), rax);
        body(c);
        c.mov(rax, Field(nameof(PanelArgs.RowCount)));
        c.shl(rax, (byte)int.Log2(PanelLayout.Columns * sizeof(float)));
        c.add(rax, Field(nameof(PanelArgs.Result)));
        c.mov(Field(nameof(PanelArgs.Result)), rax);
        c.mov(rax, Field(nameof(PanelArgs.Panel)));
        c.add(rax, Field(nameof(PanelArgs.PanelBytes)));
        c.mov(Field(nameof(PanelArgs.Panel)), rax);
        c.mov(rax, Field(nameof(PanelArgs.PanelCount)));
        c.dec(rax);
        c.mov(Field(nameof(PanelArgs.PanelCount)), rax);
        c.jnz(next);
        c.add(rsp, sizeof(ulong));
    }
}
