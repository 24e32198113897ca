using System.Runtime.InteropServices;
using DualSparse.Kernels.Gemm;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Kernels.Jit;

/// <summary>An assembler for functions of one <see cref="PanelArgs"/>*, which is in rdi.</summary>
internal sealed class FunctionAssembler() : Assembler(64)
{
    private readonly List<(Label Label, byte[] Bytes)> constants = [];

    /// <summary>A field of the argument, by its offset; needs rdi untouched.</summary>
    public static AssemblerMemoryOperand Field(string name) => __qword_ptr[rdi + (int)Marshal.OffsetOf<PanelArgs>(name)];

    /// <summary>A 512-bit register by its number.</summary>
    public static AssemblerRegisterZMM Zmm(int number) => new(Register.ZMM0 + number);

    /// <summary>A tile register by its number.</summary>
    public static AssemblerRegisterTMM Tmm(int number) => new(Register.TMM0 + number);

    /// <summary>Marks the next instruction. Several labels may mark the same one.</summary>
    public void Mark(ref Label label)
    {
        Label(ref label);
        zero_bytes();
    }

    /// <summary>Bytes placed after the code, at the returned label.</summary>
    public Label Constant(byte[] bytes)
    {
        var label = CreateLabel();
        constants.Add((label, bytes));
        return label;
    }

    /// <summary>Writes the constants, after the last instruction.</summary>
    public void WriteConstants()
    {
        foreach (var (label, bytes) in constants)
        {
            var copy = label;
            Label(ref copy);
            db(bytes);
        }
    }
}
