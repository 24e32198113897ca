namespace DualSparse.Models.Safetensors;

/// <summary>A tensor that is going to be written.</summary>
/// <param name="Name">Its name, unique in its file.</param>
/// <param name="Type">The element type it is stored as.</param>
/// <param name="Shape">Its shape, outermost dimension first; empty for a scalar.</param>
internal sealed record TensorDeclaration(string Name, TensorType Type, params long[] Shape)
{
    /// <summary>Length in bytes.</summary>
    /// <exception cref="OverflowException">It exceeds 2⁶³ − 1.</exception>
    public long ByteLength => checked(Shapes.Count(Shape) * Type.Bits()) / 8;
}
