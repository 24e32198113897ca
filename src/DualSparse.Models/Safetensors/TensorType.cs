namespace DualSparse.Models.Safetensors;

/// <summary>Every element type that the safetensors format defines.</summary>
internal enum TensorType
{
    /// <summary>Truth value, one byte.</summary>
    Bool,

    /// <summary>4-bit float, two in a byte.</summary>
    F4,

    /// <summary>6-bit float, 2 exponent and 3 mantissa bits.</summary>
    F6E2M3,

    /// <summary>6-bit float, 3 exponent and 2 mantissa bits.</summary>
    F6E3M2,

    /// <summary>Unsigned byte.</summary>
    U8,

    /// <summary>Signed byte.</summary>
    I8,

    /// <summary>8-bit float, 5 exponent and 2 mantissa bits.</summary>
    F8E5M2,

    /// <summary>8-bit float, 4 exponent and 3 mantissa bits.</summary>
    F8E4M3,

    /// <summary>8-bit power of two (a block scale).</summary>
    F8E8M0,

    /// <summary>8-bit float, 4 exponent and 3 mantissa bits, no infinity and no negative zero.</summary>
    F8E4M3Fnuz,

    /// <summary>8-bit float, 5 exponent and 2 mantissa bits, no infinity and no negative zero.</summary>
    F8E5M2Fnuz,

    /// <summary>Signed 16-bit integer.</summary>
    I16,

    /// <summary>Unsigned 16-bit integer.</summary>
    U16,

    /// <summary>IEEE half.</summary>
    F16,

    /// <summary>bfloat16.</summary>
    BF16,

    /// <summary>Signed 32-bit integer.</summary>
    I32,

    /// <summary>Unsigned 32-bit integer.</summary>
    U32,

    /// <summary>IEEE single.</summary>
    F32,

    /// <summary>Complex number of two singles.</summary>
    C64,

    /// <summary>IEEE double.</summary>
    F64,

    /// <summary>Signed 64-bit integer.</summary>
    I64,

    /// <summary>Unsigned 64-bit integer.</summary>
    U64,
}

/// <summary>Names and sizes of <see cref="TensorType"/>.</summary>
internal static class TensorTypes
{
    // In the enum's order: the format's spelling, and bits per element.
    private static readonly (string Name, int Bits)[] Table =
    [
        ("BOOL", 8), ("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6), ("U8", 8), ("I8", 8), ("F8_E5M2", 8), ("F8_E4M3", 8), ("F8_E8M0", 8),
        ("F8_E4M3FNUZ", 8), ("F8_E5M2FNUZ", 8), ("I16", 16), ("U16", 16), ("F16", 16), ("BF16", 16), ("I32", 32), ("U32", 32), ("F32", 32),
        ("C64", 64), ("F64", 64), ("I64", 64), ("U64", 64),
    ];

    /// <summary>The type's size in bits.</summary>
    public static int Bits(this TensorType type) => Table[(int)type].Bits;

    /// <summary>The type's name as it stands in a header, such as <c>BF16</c>.</summary>
    public static string HeaderName(this TensorType type) => Table[(int)type].Name;

    /// <summary>Whether a weight may be stored so: <see cref="TensorType.F32"/>, <see cref="TensorType.BF16"/>, <see cref="TensorType.F16"/>.</summary>
    public static bool IsWeight(this TensorType type) => type is TensorType.F32 or TensorType.BF16 or TensorType.F16;

    /// <summary>Finds a type by its name in a header; false where the format defines no such type.</summary>
    public static bool TryParse(string? name, out TensorType type)
    {
        int index = Array.FindIndex(Table, entry => entry.Name == name);
        type = (TensorType)Math.Max(index, 0);
        return index >= 0;
    }
}
