using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace DualSparse.Tests.Training;

/// <summary>Floats that stay where they are, for operators that take pointers.</summary>
internal sealed unsafe class FloatBlock
{
    public FloatBlock(int count) => Values = GC.AllocateArray<float>(count, pinned: true);

    public FloatBlock(ReadOnlySpan<float> values)
        : this(values.Length) => values.CopyTo(Values);

    public float[] Values { get; }

    public float* Pointer => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(Values));

    /// <summary>Values between −<paramref name="size"/> and <paramref name="size"/>.</summary>
    public static FloatBlock Random(int count, int seed, double size = 1)
    {
        var random = new Random(seed);
        var block = new FloatBlock(count);
        for (int i = 0; i < count; i++)
            block.Values[i] = (float)((2 * random.NextDouble() - 1) * size);
        return block;
    }
}
