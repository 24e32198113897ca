using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using DualSparse.Kernels;
using DualSparse.Kernels.Memory;

namespace DualSparse.Models.Safetensors;

/// <summary>
/// A tensor inside a mapped file: row-major elements, readable as bytes or widened to singles. Rows run over the first dimension;
/// a row holds all elements of the others. Valid until its file is disposed.
/// </summary>
internal sealed class TensorView
{
    private readonly MappedFile map;
    private readonly long start;
    private readonly long[] shape;

    internal TensorView(string file, MappedFile map, TensorEntry entry, long dataStart)
    {
        (File, Name, Type, shape) = (file, entry.Name, entry.Type, entry.Shape);
        this.map = map;
        start = dataStart + entry.Begin;
        ByteLength = entry.End - entry.Begin;
        Rows = shape.Length == 0 ? 1 : shape[0];
        RowLength = shape.Length == 0 ? 1 : Shapes.Count(shape.AsSpan(1));
    }

    /// <summary>The path of the file that holds the tensor.</summary>
    public string File { get; }

    /// <summary>The tensor's name.</summary>
    public string Name { get; }

    /// <summary>The element type as stored.</summary>
    public TensorType Type { get; }

    /// <summary>The sizes of the dimensions, outermost first; empty for a scalar.</summary>
    public IReadOnlyList<long> Shape => shape;

    /// <summary>Size of the first dimension (1 for a scalar).</summary>
    public long Rows { get; }

    /// <summary>Elements in a row: the product of all dimensions but the first.</summary>
    public long RowLength { get; }

    /// <summary>All elements: <see cref="Rows"/> · <see cref="RowLength"/>.</summary>
    public long Count => Rows * RowLength;

    /// <summary>Length in bytes as stored; may exceed 2³¹.</summary>
    public long ByteLength { get; }

    /// <summary>All stored bytes, straight from the map.</summary>
    /// <exception cref="InvalidOperationException">There are more than 2³¹ − 1; read rows instead.</exception>
    public ReadOnlySpan<byte> Bytes => ByteLength <= int.MaxValue
        ? map.Span(start, (int)ByteLength)
        : throw new InvalidOperationException($"tensor '{Name}' has {ByteLength} bytes, too many for one span: read it by rows");

    /// <summary>One row's stored bytes, straight from the map.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    /// <exception cref="InvalidOperationException">The elements are smaller than a byte.</exception>
    public ReadOnlySpan<byte> RowBytes(long row)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        return ElementBytes(row * RowLength, checked((int)RowLength));
    }

    /// <summary>Reads one row, widened from F32, BF16 or F16; <paramref name="destination"/> must have <see cref="RowLength"/> elements.</summary>
    /// <exception cref="ArgumentException">The destination has another length.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    /// <exception cref="ModelFormatException">The stored type is another.</exception>
    public void ReadRow(long row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        if (destination.Length != RowLength)
            throw new ArgumentException($"expected room for a row of {RowLength} elements, found {destination.Length}", nameof(destination));
        ReadFloats(row * RowLength, destination);
    }

    /// <summary>Reads elements from <paramref name="first"/> on (row-major), widened from F32, BF16 or F16, until <paramref name="destination"/> is full.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range doesn't lie inside the tensor.</exception>
    /// <exception cref="ModelFormatException">The stored type is another.</exception>
    public void ReadFloats(long first, Span<float> destination)
    {
        if (!Type.IsWeight())
            throw new ModelFormatException($"{File}: tensor '{Name}' is stored as {Type.HeaderName()}, expected F32, BF16 or F16");
        Widen(ElementBytes(first, destination.Length), destination);
    }

    /// <summary>Reads elements from <paramref name="first"/> on (row-major) of a BF16 tensor, as stored, until <paramref name="destination"/> is full.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range doesn't lie inside the tensor.</exception>
    /// <exception cref="ModelFormatException">The stored type is another.</exception>
    public void ReadBf16(long first, Span<ushort> destination)
    {
        RequireBf16();
        MemoryMarshal.Cast<byte, ushort>(ElementBytes(first, destination.Length)).CopyTo(destination);
    }

    /// <summary>Reads the whole tensor, widened from F32, BF16 or F16.</summary>
    /// <exception cref="ModelFormatException">The stored type is another.</exception>
    /// <exception cref="OverflowException">There are more than 2³¹ − 1 elements.</exception>
    public float[] ReadFloats()
    {
        var values = new float[checked((int)Count)];
        ReadFloats(0, values);
        return values;
    }

    /// <summary>The rows as token ids.</summary>
    /// <exception cref="ModelFormatException">The type isn't an integer one, or a value is below 0 or beyond 2³¹ − 1.</exception>
    public int[][] ReadIdRows()
    {
        try
        {
            long[] values = ReadInt64s();
            int wrong = Array.FindIndex(values, id => id is < 0 or > int.MaxValue);
            return wrong < 0 ? [.. values.Select(id => (int)id).Chunk((int)RowLength)] : throw new ModelFormatException($"{File}: tensor '{Name}' holds {values[wrong]}, which is no token id");
        }
        catch (OverflowException e)
        {
            throw new ModelFormatException($"{File}: tensor '{Name}' holds a number beyond {long.MaxValue}, which is no token id", e);
        }
    }

    /// <summary>Reads the whole tensor of whole numbers, widened from any integer type.</summary>
    /// <exception cref="ModelFormatException">The stored type is no integer type.</exception>
    /// <exception cref="OverflowException">There are more than 2³¹ − 1 elements, or a U64 beyond 2⁶³ − 1.</exception>
    public long[] ReadInt64s()
    {
        var values = new long[checked((int)Count)];
        switch (Type)
        {
            case TensorType.I64: MemoryMarshal.Cast<byte, long>(Bytes).CopyTo(values); break;
            case TensorType.U64: TensorPrimitives.ConvertChecked(MemoryMarshal.Cast<byte, ulong>(Bytes), values.AsSpan()); break;
            case TensorType.I32: TensorPrimitives.ConvertChecked(MemoryMarshal.Cast<byte, int>(Bytes), values.AsSpan()); break;
            case TensorType.U32: TensorPrimitives.ConvertChecked(MemoryMarshal.Cast<byte, uint>(Bytes), values.AsSpan()); break;
            case TensorType.I16: TensorPrimitives.ConvertChecked(MemoryMarshal.Cast<byte, short>(Bytes), values.AsSpan()); break;
            case TensorType.U16: TensorPrimitives.ConvertChecked(MemoryMarshal.Cast<byte, ushort>(Bytes), values.AsSpan()); break;
            case TensorType.I8: TensorPrimitives.ConvertChecked(MemoryMarshal.Cast<byte, sbyte>(Bytes), values.AsSpan()); break;
            case TensorType.U8 or TensorType.Bool: TensorPrimitives.ConvertChecked(Bytes, values.AsSpan()); break;
            default: throw new ModelFormatException($"{File}: tensor '{Name}' is stored as {Type.HeaderName()}, expected an integer type");
        }

        return values;
    }

    /// <summary>Checks the shape.</summary>
    /// <exception cref="ModelFormatException">It is another.</exception>
    public void Expect(params ReadOnlySpan<long> expected)
    {
        if (!expected.SequenceEqual(shape))
            throw new ModelFormatException($"{File}: tensor '{Name}' has shape {Shapes.Show(shape)}, expected {Shapes.Show(expected)}");
    }

    /// <summary>Looks whether the file still has all the bytes that it had when it was opened; a read of what is gone would end the process.</summary>
    /// <exception cref="ModelFormatException">It has become shorter.</exception>
    public void RequireWhole()
    {
        try
        {
            map.RequireWhole();
        }
        catch (IOException e)
        {
            throw new ModelFormatException($"{File}: {e.Message}: a model's files must stay as they are while it is used", e);
        }
    }

    /// <summary>
    /// Gives the memory behind the tensor's pages back to the system once it has been read (Linux; elsewhere nothing happens).
    /// The tensor stays readable: a later read loads it from the file again.
    /// </summary>
    public void Release() => map.Release(start, ByteLength);

    /// <exception cref="ModelFormatException">The stored type is another than BF16.</exception>
    internal void RequireBf16()
    {
        if (Type != TensorType.BF16)
            throw new ModelFormatException($"{File}: tensor '{Name}' is stored as {Type.HeaderName()}, expected BF16");
    }

    /// <summary>As <see cref="Release()"/>, for the <paramref name="count"/> elements from <paramref name="first"/> on.</summary>
    internal void Release(long first, long count) => map.Release(start + first * (Type.Bits() / 8), count * (Type.Bits() / 8));

    /// <summary>Widens stored bytes of a type that weights have; as many elements as <paramref name="destination"/> has.</summary>
    internal void Widen(ReadOnlySpan<byte> bytes, Span<float> destination)
    {
        if (Type == TensorType.F32)
            MemoryMarshal.Cast<byte, float>(bytes).CopyTo(destination);
        else if (Type == TensorType.BF16)
            Bf16.ToSingle(MemoryMarshal.Cast<byte, ushort>(bytes), destination);
        else
            TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(bytes), destination);
    }

    /// <summary>The stored bytes of <paramref name="count"/> elements from <paramref name="first"/> on, straight from the map.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range doesn't lie inside the tensor.</exception>
    /// <exception cref="InvalidOperationException">The elements are smaller than a byte.</exception>
    public ReadOnlySpan<byte> ElementBytes(long first, int count)
    {
        if (Type.Bits() < 8)
            throw new InvalidOperationException($"tensor '{Name}' has elements of {Type.Bits()} bits, which have no byte of their own");
        if (first < 0 || first > Count - count)
            throw new ArgumentOutOfRangeException(nameof(first), $"elements {first} to {first + count} don't lie inside tensor '{Name}' of {Count}");
        int size = Type.Bits() / 8;
        return map.Span(start + first * size, checked(count * size));
    }
}
