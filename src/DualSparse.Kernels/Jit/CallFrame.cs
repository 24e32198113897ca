using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Jit;

/// <summary>The calling convention of a function.</summary>
internal enum CallAbi
{
    /// <summary>Linux and macOS: argument in rdi; rbx, rbp and r12–r15 are callee-saved; no vector register is.</summary>
    SystemV,

    /// <summary>Windows: argument in rcx; rsi, rdi and xmm6–xmm15 are callee-saved too.</summary>
    Windows,
}

/// <summary>
/// The prologue and epilogue of every body, so that bodies follow one convention: the argument is in rdi, and every vector register and
/// general register but rsp is free.
/// </summary>
internal static class CallFrame
{
    private const int FirstSavedVector = 6, SavedVectors = 10, VectorBytes = 16;

    /// <summary>The calling convention of this system.</summary>
    public static CallAbi Native => OperatingSystem.IsWindows() ? CallAbi.Windows : CallAbi.SystemV;

    /// <summary>Saves the caller's registers and brings the argument to rdi.</summary>
    public static void Enter(Assembler c, CallAbi abi)
    {
        foreach (var register in Saved(abi))
            c.push(register);
        if (abi != CallAbi.Windows)
            return;
        c.sub(rsp, SavedVectors * VectorBytes);
        for (int i = 0; i < SavedVectors; i++)
            c.vmovups(__xmmword_ptr[rsp + i * VectorBytes], Vector(i));
        c.mov(rdi, rcx);
    }

    /// <summary>Restores the caller's registers and returns.</summary>
    public static void Leave(Assembler c, CallAbi abi)
    {
        // Without it the caller's SSE code would wait for unused upper halves.
        c.vzeroupper();
        if (abi == CallAbi.Windows)
        {
            for (int i = 0; i < SavedVectors; i++)
                c.vmovups(Vector(i), __xmmword_ptr[rsp + i * VectorBytes]);
            c.add(rsp, SavedVectors * VectorBytes);
        }

        foreach (var register in Saved(abi).Reverse())
            c.pop(register);
        c.ret();
    }

    private static IEnumerable<AssemblerRegister64> Saved(CallAbi abi) =>
        abi == CallAbi.Windows ? [rbx, rbp, r12, r13, r14, r15, rsi, rdi] : [rbx, rbp, r12, r13, r14, r15];

    private static AssemblerRegisterXMM Vector(int i) => new(Register.XMM0 + FirstSavedVector + i);
}
