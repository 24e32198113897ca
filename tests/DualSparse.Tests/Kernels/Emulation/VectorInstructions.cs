using System.Runtime.InteropServices;
using Iced.Intel;

namespace DualSparse.Tests.Kernels.Emulation;

/// <summary>512-bit vectors, unmasked, and the 128-bit moves that save a caller's registers.</summary>
internal static class VectorInstructions
{
    private const int Bytes = MachineState.VectorBytes;

    /// <summary>Executes one instruction; false where it is none of these.</summary>
    public static bool Execute(MachineState m, in Instruction i)
    {
        switch (i.Mnemonic)
        {
            case Mnemonic.Vzeroupper:
                for (var r = Register.ZMM0; r <= Register.ZMM15; r++)
                    m.Vector(r)[16..].Clear();
                return true;
            case Mnemonic.Vmovups or Mnemonic.Vmovdqu32 or Mnemonic.Vmovdqa32:
                Move(m, i);
                return true;
            case Mnemonic.Vpbroadcastd:
                Broadcast(m, i);
                return true;
            case Mnemonic.Vpmovzxwd:
                Span<byte> words = stackalloc byte[Bytes / 2];
                m.Load(i, 1, words);
                var widened = As<uint>(Target(m, i));
                for (int lane = 0; lane < widened.Length; lane++)
                    widened[lane] = As<ushort>(words)[lane];
                return true;
            case Mnemonic.Vpslld:
                Shift<uint>(m, i, (x, n) => x << n);
                return true;
            case Mnemonic.Vpsrlw:
                Shift<ushort>(m, i, (x, n) => (ushort)(x >> n));
                return true;
            case Mnemonic.Vpxord:
                Combine<uint>(m, i, (_, a, b) => a ^ b);
                return true;
            case Mnemonic.Vpandd:
                Combine<uint>(m, i, (_, a, b) => a & b);
                return true;
            case Mnemonic.Vpaddd:
                Combine<uint>(m, i, (_, a, b) => a + b);
                return true;
            case Mnemonic.Vpsubb:
                Combine<byte>(m, i, (_, a, b) => (byte)(a - b));
                return true;
            case Mnemonic.Vmulps:
                Combine<float>(m, i, (_, a, b) => a * b);
                return true;
            case Mnemonic.Vfmadd231ps:
                Combine<float>(m, i, (sum, a, b) => MathF.FusedMultiplyAdd(a, b, sum));
                return true;
            case Mnemonic.Vcvtdq2ps:
                Span<byte> integers = stackalloc byte[Bytes];
                m.Load(i, 1, integers);
                var floats = As<float>(Target(m, i));
                for (int lane = 0; lane < floats.Length; lane++)
                    floats[lane] = As<int>(integers)[lane];
                return true;
            case Mnemonic.Vdpbf16ps:
                Combine<uint>(m, i, DotProducts.Bf16Pair);
                return true;
            case Mnemonic.Vpdpbusd:
                Combine<uint>(m, i, DotProducts.UnsignedSignedQuad);
                return true;
            default:
                return false;
        }
    }

    private static void Move(MachineState m, in Instruction i)
    {
        var source = i.Op1Kind == OpKind.Register ? i.Op1Register : i.Op0Register;
        int bytes = source.GetSize();
        if (bytes is not (16 or Bytes))
            Assert.Fail($"{i} is not modelled");
        if (i.Op0Kind == OpKind.Memory)
        {
            m.Vector(source)[..bytes].CopyTo(m.Memory.Write(m.Address(i), bytes, i));
            return;
        }

        Span<byte> value = stackalloc byte[Bytes];
        m.Load(i, 1, value[..bytes]);
        value.CopyTo(m.Vector(i.Op0Register));
    }

    private static void Broadcast(MachineState m, in Instruction i)
    {
        uint value = i.Op1Kind == OpKind.Register && i.Op1Register.IsGPR32()
            ? (uint)m[i.Op1Register]
            : BitConverter.ToUInt32(m.Memory.Read(m.Address(i), sizeof(uint), i));
        As<uint>(Target(m, i)).Fill(value);
    }

    private static void Shift<T>(MachineState m, in Instruction i, Func<T, int, T> shift) where T : unmanaged
    {
        Span<byte> source = stackalloc byte[Bytes];
        m.Load(i, 1, source);
        int count = (int)i.GetImmediate(2);
        var target = As<T>(Target(m, i));
        for (int lane = 0; lane < target.Length; lane++)
            target[lane] = shift(As<T>(source)[lane], count);
    }

    // target = f(target, second operand, third operand), lane by lane.
    private static void Combine<T>(MachineState m, in Instruction i, Func<T, T, T, T> f) where T : unmanaged
    {
        Span<byte> left = stackalloc byte[Bytes], right = stackalloc byte[Bytes];
        m.Load(i, 1, left);
        m.Load(i, 2, right);
        var target = As<T>(Target(m, i));
        var a = As<T>(left);
        var b = As<T>(right);
        for (int lane = 0; lane < target.Length; lane++)
            target[lane] = f(target[lane], a[lane], b[lane]);
    }

    private static Span<byte> Target(MachineState m, in Instruction i)
    {
        if (!i.Op0Register.IsZMM())
            Assert.Fail($"{i} is not modelled");
        return m.Vector(i.Op0Register);
    }

    private static Span<T> As<T>(Span<byte> bytes) where T : unmanaged => MemoryMarshal.Cast<byte, T>(bytes);
}
