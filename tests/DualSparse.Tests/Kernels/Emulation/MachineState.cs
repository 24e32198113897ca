using System.Runtime.InteropServices;
using Iced.Intel;

namespace DualSparse.Tests.Kernels.Emulation;

/// <summary>General registers, the flags that our code looks at, 512-bit registers, and the memory they load from.</summary>
internal sealed class MachineState(GuardedMemory memory)
{
    public const int VectorBytes = 64;
    private const int GeneralRegisters = 16, VectorRegisters = 32;
    private readonly ulong[] general = new ulong[GeneralRegisters];
    private readonly byte[] vectors = new byte[VectorRegisters * VectorBytes];

    public GuardedMemory Memory => memory;

    /// <summary>Tile registers.</summary>
    public TileState Tiles { get; } = new();

    /// <summary>The zero flag; null where the last instruction left it undefined.</summary>
    public bool? Zero { get; set; }

    /// <summary>The carry flag; null where the last instruction left it undefined.</summary>
    public bool? Carry { get; set; }

    /// <summary>Address of the instruction that comes next.</summary>
    public ulong Next { get; set; }

    /// <summary>Fills everything with noise: code must not count on anything.</summary>
    public void Scramble(Random random)
    {
        random.NextBytes(MemoryMarshal.AsBytes(general.AsSpan()));
        random.NextBytes(vectors);
        (Zero, Carry) = (null, null);
    }

    /// <summary>A general register of 32 or 64 bits; writing 32 bits clears the upper half.</summary>
    public ulong this[Register register]
    {
        get => register.IsGPR32() ? (uint)general[register.GetNumber()] : general[Wide(register)];
        set => general[register.IsGPR32() ? register.GetNumber() : Wide(register)] = register.IsGPR32() ? (uint)value : value;
    }

    /// <summary>A whole 512-bit register, or the one around an xmm or ymm register.</summary>
    public Span<byte> Vector(Register register)
    {
        if (!register.IsVectorRegister())
            Assert.Fail($"{register} is no vector register");
        return vectors.AsSpan(register.GetNumber() * VectorBytes, VectorBytes);
    }

    /// <summary>Copies what an operand of at most 512 bits holds: a register, memory, or one repeated element of memory.</summary>
    public void Load(in Instruction i, int operand, Span<byte> into)
    {
        if (i.GetOpKind(operand) == OpKind.Register)
        {
            Vector(i.GetOpRegister(operand))[..into.Length].CopyTo(into);
            return;
        }

        var element = memory.Read(Address(i), i.IsBroadcast ? sizeof(float) : into.Length, i);
        for (int at = 0; at < into.Length; at += element.Length)
            element.CopyTo(into[at..]);
    }

    /// <summary>The address of the memory operand.</summary>
    public ulong Address(in Instruction i)
    {
        if (i.IsIPRelativeMemoryOperand)
            return i.IPRelativeMemoryAddress;
        ulong index = i.MemoryIndex == Register.None ? 0 : this[i.MemoryIndex] * (ulong)i.MemoryIndexScale;
        return this[i.MemoryBase] + index + i.MemoryDisplacement64;
    }

    private static int Wide(Register register)
    {
        if (!register.IsGPR64())
            Assert.Fail($"{register} is not modelled");
        return register.GetNumber();
    }
}
