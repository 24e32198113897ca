using DualSparse.Kernels.Memory;

namespace DualSparse.Kernels.Packing;

/// <summary>Packed matrices of given shapes, one after another in one block of memory.</summary>
internal sealed class PackedSet : IDisposable
{
    private readonly AlignedBuffer block;

    /// <summary>Makes room for <paramref name="count"/> times matrices of some shapes; the weights are undefined until packed.</summary>
    /// <param name="format">The format of all.</param>
    /// <param name="count">How often the shapes are repeated.</param>
    /// <param name="shapes">[outputs, inputs] of each, without padding.</param>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public PackedSet(WeightFormat format, int count, params ReadOnlySpan<(int Outputs, int Inputs)> shapes)
    {
        block = new AlignedBuffer((nuint)count * SizeBytes(format, shapes));
        var matrices = new PackedMatrix[count * shapes.Length];
        nuint offset = 0;
        for (int i = 0; i < matrices.Length; i++)
        {
            var (outputs, inputs) = shapes[i % shapes.Length];
            matrices[i] = new PackedMatrix(format, outputs, inputs, block, offset);
            offset += matrices[i].Bytes;
        }

        Matrices = matrices;
    }

    /// <summary>Bytes of all weights, padding included.</summary>
    public nuint Bytes => block.Bytes;

    /// <summary>[count · shapes]: every shape once, then every shape again.</summary>
    public ArraySegment<PackedMatrix> Matrices { get; }

    /// <summary>Bytes that one matrix of each shape takes.</summary>
    public static nuint SizeBytes(WeightFormat format, params ReadOnlySpan<(int Outputs, int Inputs)> shapes)
    {
        nuint bytes = 0;
        foreach (var (outputs, inputs) in shapes)
            bytes += PackedMatrix.SizeBytes(format, outputs, inputs);
        return bytes;
    }

    /// <summary>Frees the weights of all.</summary>
    public void Dispose() => block.Dispose();
}
