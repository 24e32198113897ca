namespace DualSparse.Tests.Kernels.Emulation;

/// <summary>The arithmetic of dot-product instructions as Intel's manual defines it, one 32-bit lane.</summary>
internal static class DotProducts
{
    // The exponent field of an IEEE single: zero in zeros and denormals.
    private const uint Exponent = 0x7F800000, Sign = 0x80000000;

    /// <summary>VDPBF16PS: the pair's odd product, then its even one, each a fused multiply-add.</summary>
    public static uint Bf16Pair(uint sum, uint left, uint right)
    {
        float odd = MultiplyAdd(Odd(left), Odd(right), Flush(BitConverter.UInt32BitsToSingle(sum)));
        return BitConverter.SingleToUInt32Bits(MultiplyAdd(Even(left), Even(right), odd));
    }

    /// <summary>VPDPBUSD: four unsigned bytes (second) times four signed bytes (third), without saturation.</summary>
    public static uint UnsignedSignedQuad(uint sum, uint unsigned, uint signed)
    {
        for (int shift = 0; shift < 32; shift += 8)
            sum += (uint)((byte)(unsigned >> shift) * (sbyte)(signed >> shift));
        return sum;
    }

    /// <summary>Of TDPBSSD: four signed bytes times four signed bytes, without saturation.</summary>
    public static uint SignedQuad(uint sum, uint left, uint right)
    {
        for (int shift = 0; shift < 32; shift += 8)
            sum += (uint)((sbyte)(left >> shift) * (sbyte)(right >> shift));
        return sum;
    }

    /// <summary>The lower bf16 of a pair, denormals as zero.</summary>
    public static float Even(uint pair) => Flush(BitConverter.UInt32BitsToSingle(pair << 16));

    /// <summary>The upper bf16 of a pair, denormals as zero.</summary>
    public static float Odd(uint pair) => Flush(BitConverter.UInt32BitsToSingle(pair & 0xFFFF0000));

    /// <summary>A fused multiply-add, rounded to nearest even, denormal results as zero.</summary>
    public static float MultiplyAdd(float a, float b, float sum) => Flush(MathF.FusedMultiplyAdd(a, b, sum));

    /// <summary>Denormals become zeros of their sign.</summary>
    public static float Flush(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (bits & Exponent) != 0 ? value : BitConverter.UInt32BitsToSingle(bits & Sign);
    }
}
