namespace DualSparse.LlamaCpp.Gguf;

/// <summary>How a tensor's elements are stored, by the format's own numbers.</summary>
internal enum GgufType
{
    /// <summary>32-bit floats.</summary>
    F32 = 0,

    /// <summary>Blocks of 32: a 16-bit float, the scale, and 32 signed bytes.</summary>
    Q8_0 = 8,

    /// <summary>The upper half of 32-bit floats.</summary>
    BF16 = 30,
}
