using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using static DualSparse.Kernels.Jit.FunctionAssembler;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Jit;

/// <summary>From panel to panel within one call.</summary>
/// <remarks>
/// A panel of few rows streams through the first-level cache and takes with it what the way out to the caller and in again needs: some
/// 200 ns on Zen 4, a sixth of an int4 panel of 2048 inputs. Here nothing is needed but the arguments, which move on in place.
/// </remarks>
internal static class PanelLoop
{
    /// <summary>Emits the loop; the arguments in rdi, which are the function's to change, are those of one panel for the body.</summary>
    /// <param name="c">Where to.</param>
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
