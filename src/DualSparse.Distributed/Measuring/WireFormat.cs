using System.Runtime.InteropServices;
using DualSparse.Kernels;

namespace DualSparse.Distributed.Measuring;

/// <summary>How values travel.</summary>
internal enum WireFormat
{
    /// <summary>bfloat16, two bytes.</summary>
    Bf16,

    /// <summary>IEEE single, four bytes.</summary>
    F32,
}

/// <summary>Values as bytes, and back.</summary>
internal static class WireFormats
{
    /// <summary>Bytes of a value.</summary>
    public static int Bytes(this WireFormat format) => format == WireFormat.Bf16 ? sizeof(ushort) : sizeof(float);

    /// <summary>The largest relative error of one rounding to the format; 0 where it holds every float.</summary>
    public static double Rounding(this WireFormat format) => format == WireFormat.Bf16 ? Math.ScaleB(1, -8) : 0;

    /// <summary>Writes values, rounded to nearest.</summary>
    public static void Encode(this WireFormat format, ReadOnlySpan<float> values, Span<byte> bytes)
    {
        if (format == WireFormat.Bf16)
            Bf16.FromSingle(values, MemoryMarshal.Cast<byte, ushort>(bytes));
        else
            MemoryMarshal.AsBytes(values).CopyTo(bytes);
    }

    /// <summary>Reads values.</summary>
    public static void Decode(this WireFormat format, ReadOnlySpan<byte> bytes, Span<float> values)
    {
        if (format == WireFormat.Bf16)
            Bf16.ToSingle(MemoryMarshal.Cast<byte, ushort>(bytes), values);
        else
            bytes.CopyTo(MemoryMarshal.AsBytes(values));
    }
}
