using Iced.Intel;

namespace DualSparse.Tests.Kernels.Emulation;

/// <summary>General registers, branches, the stack.</summary>
internal static class ScalarInstructions
{
    /// <summary>Executes one instruction; false where it is none of these.</summary>
    public static bool Execute(MachineState m, in Instruction i)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Mov:
                Write(m, i, Read(m, i, 1));
                return true;
            case Mnemonic.Lea:
                m[i.Op0Register] = m.Address(i);
                return true;
            case Mnemonic.Add:
                ulong sum = Truncate(i, m[i.Op0Register] + Read(m, i, 1));
                Flags(m, sum, sum < m[i.Op0Register]);
                m[i.Op0Register] = sum;
                return true;
            case Mnemonic.Sub or Mnemonic.Cmp:
                ulong left = m[i.Op0Register], right = Read(m, i, 1);
                Flags(m, Truncate(i, left - right), left < right);
                if (i.Mnemonic == Mnemonic.Sub)
                    m[i.Op0Register] = left - right;
                return true;
            case Mnemonic.Dec:
                ulong less = Truncate(i, Read(m, i, 0) - 1);
                Write(m, i, less);
                Flags(m, less, m.Carry);
                return true;
            case Mnemonic.Imul:
                m[i.Op0Register] = Read(m, i, 1) * Read(m, i, 2);
                Flags(m, null, null);
                return true;
            case Mnemonic.Shl or Mnemonic.Shr:
                int count = (int)Read(m, i, 1);
                Assert.InRange(count, 1, 31);
                m[i.Op0Register] = i.Mnemonic == Mnemonic.Shl ? m[i.Op0Register] << count : m[i.Op0Register] >> count;
                Flags(m, m[i.Op0Register], null);
                return true;
            case Mnemonic.Push:
                m[Register.RSP] -= sizeof(ulong);
                BitConverter.TryWriteBytes(m.Memory.Write(m[Register.RSP], sizeof(ulong), i), m[i.Op0Register]);
                return true;
            case Mnemonic.Pop:
                m[i.Op0Register] = Pop(m, i);
                return true;
            case Mnemonic.Ret:
                m.Next = Pop(m, i);
                return true;
            case Mnemonic.Prefetcht0 or Mnemonic.Prefetcht1:
                m.Memory.Prefetch(m.Address(i), i);
                return true;
        }

        if (i.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch && i.Op0Kind == OpKind.NearBranch64)
        {
            if (Holds(m, i))
                m.Next = i.NearBranch64;
            return true;
        }

        if (i.ConditionCode == ConditionCode.None)
            return false;
        if (i.Mnemonic is not (Mnemonic.Cmova or Mnemonic.Cmovb or Mnemonic.Cmovbe or Mnemonic.Cmove))
            Assert.Fail($"{i} is not modelled");
        if (Holds(m, i))
            m[i.Op0Register] = Read(m, i, 1);
        return true;
    }

    private static bool Holds(MachineState m, in Instruction i) => i.ConditionCode switch
    {
        ConditionCode.None => true,
        ConditionCode.e => Known(m.Zero, i),
        ConditionCode.ne => !Known(m.Zero, i),
        ConditionCode.b => Known(m.Carry, i),
        ConditionCode.ae => !Known(m.Carry, i),
        ConditionCode.be => Known(m.Carry, i) || Known(m.Zero, i),
        ConditionCode.a => !Known(m.Carry, i) && !Known(m.Zero, i),
        _ => throw new InvalidOperationException($"{i} is not modelled"),
    };

    private static bool Known(bool? flag, in Instruction i) => flag ?? throw new InvalidOperationException($"{i} looks at an undefined flag");

    private static void Flags(MachineState m, ulong? result, bool? carry) => (m.Zero, m.Carry) = (result is null ? null : result == 0, carry);

    private static ulong Pop(MachineState m, in Instruction i)
    {
        ulong value = BitConverter.ToUInt64(m.Memory.Read(m[Register.RSP], sizeof(ulong), i));
        m[Register.RSP] += sizeof(ulong);
        return value;
    }

    private static ulong Read(MachineState m, in Instruction i, int operand)
    {
        switch (i.GetOpKind(operand))
        {
            case OpKind.Register:
                return m[i.GetOpRegister(operand)];
            case OpKind.Memory:
                int bytes = i.MemorySize.GetSize();
                if (bytes is not (4 or 8))
                    Assert.Fail($"{i} is not modelled");
                var source = m.Memory.Read(m.Address(i), bytes, i);
                return bytes == 4 ? BitConverter.ToUInt32(source) : BitConverter.ToUInt64(source);
            default:
                return Truncate(i, i.GetImmediate(operand));
        }
    }

    private static void Write(MachineState m, in Instruction i, ulong value)
    {
        if (i.Op0Kind == OpKind.Register)
            m[i.Op0Register] = value;
        else if (i.MemorySize.GetSize() == sizeof(ulong))
            BitConverter.TryWriteBytes(m.Memory.Write(m.Address(i), sizeof(ulong), i), value);
        else
            Assert.Fail($"{i} is not modelled");
    }

    private static ulong Truncate(in Instruction i, ulong value) => i.Op0Register.IsGPR32() ? (uint)value : value;
}
