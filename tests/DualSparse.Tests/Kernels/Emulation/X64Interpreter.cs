using DualSparse.Kernels.Jit;
using DualSparse.Kernels.Memory;
using Iced.Intel;

namespace DualSparse.Tests.Kernels.Emulation;

/// <summary>
/// Executes machine code one instruction at a time, so that code for processors that we don't have is tested to its last byte. It
/// knows the instructions that we emit and no other, lets them touch registered memory only, and holds the code to its promises:
/// no instruction beyond the allowed features, the caller's registers as they were, no tile state left behind.
/// </summary>
internal sealed unsafe class X64Interpreter
{
    // Far beyond the longest test: a loop that never ends fails instead.
    private const long MostInstructions = 100_000_000;
    private const int StackBytes = 32 << 10;
    private const ulong ReturnAddress = 0xDEAD_0000_BEEF;

    // What every x86-64 processor has, prefetches (SSE) and conditional moves included.
    private static readonly HashSet<CpuidFeature> Baseline =
        [CpuidFeature.INTEL8086, CpuidFeature.INTEL186, CpuidFeature.INTEL386, CpuidFeature.X64, CpuidFeature.CMOV, CpuidFeature.SSE];

    private static readonly Register[] SavedBySystemV =
        [Register.RBX, Register.RBP, Register.R12, Register.R13, Register.R14, Register.R15];

    private readonly byte[] code;
    private readonly Instruction[] decoded;
    private readonly HashSet<CpuidFeature> features;

    /// <param name="code">A function that may lie anywhere.</param>
    /// <param name="features">What it may use beyond x86-64.</param>
    public X64Interpreter(byte[] code, IEnumerable<CpuidFeature> features)
    {
        this.code = GC.AllocateUninitializedArray<byte>(code.Length, pinned: true);
        code.CopyTo(this.code, 0);
        decoded = new Instruction[code.Length];
        this.features = [.. Baseline, .. features];
    }

    /// <summary>Instructions up to the return that no call has reached yet.</summary>
    public IEnumerable<string> Unreached()
    {
        var decoder = Decoder.Create(64, code);
        for (var i = decoder.Decode(); ; decoder.Decode(out i))
        {
            if (decoded[i.IP].Length == 0)
                yield return $"{i.IP:x}: {i}";
            if (i.Mnemonic == Mnemonic.Ret)
                yield break;
        }
    }

    /// <summary>Calls the function with one pointer; <paramref name="memory"/> is what the pointer leads to.</summary>
    public void Call(CallAbi abi, void* argument, GuardedMemory memory)
    {
        using var stack = new AlignedBuffer(StackBytes);
        fixed (byte* start = code)
        {
            memory.Allow("the code", start, code.Length);
            memory.Allow("the stack", stack.Pointer, StackBytes, writable: true);
            var m = new MachineState(memory) { Next = (ulong)start };
            m.Scramble(new Random(7));
            ulong top = (ulong)stack.Pointer + StackBytes - 2 * sizeof(ulong);
            *(ulong*)top = ReturnAddress;
            m[Register.RSP] = top;
            m[abi == CallAbi.Windows ? Register.RCX : Register.RDI] = (ulong)argument;
            var before = Saved(m, abi);
            Run(m, (ulong)start);
            Assert.Equal(top + sizeof(ulong), m[Register.RSP]);
            Assert.Equal(before, Saved(m, abi));
            Assert.False(m.Tiles.Configured, "tiles are left configured");
            for (var r = Register.ZMM0; r <= Register.ZMM15; r++)
                if (m.Vector(r)[16..].IndexOfAnyExcept((byte)0) >= 0)
                    Assert.Fail($"{r} is left with an upper half: the caller's SSE code would be slow");
        }
    }

    private void Run(MachineState m, ulong start)
    {
        for (long count = 0; m.Next != ReturnAddress; count++)
        {
            Assert.True(count < MostInstructions, "it never ends");
            ref var i = ref At(m.Next, start);
            m.Next = i.NextIP;
            if (!ScalarInstructions.Execute(m, i) && !VectorInstructions.Execute(m, i) && !TileInstructions.Execute(m, i))
                Assert.Fail($"{i} is not modelled");
        }
    }

    private ref Instruction At(ulong address, ulong start)
    {
        if (address - start >= (ulong)code.Length)
            Assert.Fail($"control leaves the code for {address:x}");
        ref var i = ref decoded[address - start];
        if (i.Length == 0)
        {
            var decoder = Decoder.Create(64, new ByteArrayCodeReader(code, (int)(address - start), code.Length - (int)(address - start)), address);
            decoder.Decode(out i);
            Check(i);
        }

        return ref i;
    }

    private void Check(in Instruction i)
    {
        Assert.False(i.IsInvalid, $"no instruction at {i.IP:x}");
        foreach (var feature in i.CpuidFeatures)
            if (!features.Contains(feature))
                Assert.Fail($"{i} needs {feature}, which the kernel's entry doesn't ask for");
        Assert.False(
            i.HasOpMask || i.ZeroingMasking || i.SuppressAllExceptions || i.RoundingControl != RoundingControl.None || i.HasLockPrefix
            || i.HasRepPrefix || i.SegmentPrefix != Register.None, $"{i}: masks, roundings and prefixes are not modelled");
    }

    // What a caller finds again after the call.
    private static List<ulong> Saved(MachineState m, CallAbi abi)
    {
        List<ulong> values = [.. SavedBySystemV.Select(r => m[r])];
        if (abi == CallAbi.Windows)
        {
            values.AddRange(m[Register.RSI], m[Register.RDI]);
            for (var r = Register.XMM6; r <= Register.XMM15; r++)
                values.AddRange(BitConverter.ToUInt64(m.Vector(r)), BitConverter.ToUInt64(m.Vector(r)[8..]));
        }

        return values;
    }
}
