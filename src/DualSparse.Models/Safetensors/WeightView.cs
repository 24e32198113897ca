using System.Buffers;
using System.Runtime.InteropServices;
using DualSparse.Kernels.Threading;

namespace DualSparse.Models.Safetensors;

/// <summary>
/// A matrix inside a tensor, [outputs, inputs], read by rows: straight from the mapped file, or, where the tensor has it transposed, from a
/// copy that was turned when this was made. Valid until it or its file is disposed.
/// </summary>
internal sealed class WeightView : IDisposable
{
    private readonly WeightSlice slice;
    private readonly int size;
    private byte[]? turned;

    internal WeightView(TensorView tensor, WeightSlice slice, ThreadTeam? team)
    {
        (Tensor, this.slice, size) = (tensor, slice, tensor.Type.Bits() / 8);
        tensor.RequireWhole();
        if (!slice.IsTransposed)
            return;
        if (ByteLength > Array.MaxLength)
            throw new ModelFormatException($"{tensor.File}: tensor '{tensor.Name}' has transposed matrices of {ByteLength} bytes, expected at most {Array.MaxLength}");
        turned = ArrayPool<byte>.Shared.Rent((int)ByteLength);
        Transposition.Run(tensor, slice, turned, team);
    }

    /// <summary>The tensor that it lies in.</summary>
    public TensorView Tensor { get; }

    /// <summary>The element type as stored.</summary>
    public TensorType Type => Tensor.Type;

    /// <summary>Outputs.</summary>
    public int Rows => slice.Rows;

    /// <summary>Inputs.</summary>
    public int Columns => slice.Columns;

    /// <summary>All elements.</summary>
    public long Count => slice.Count;

    /// <summary>Length in bytes as stored.</summary>
    public long ByteLength => Count * size;

    /// <summary>One row's stored bytes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    public ReadOnlySpan<byte> RowBytes(int row)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        return Run((long)row * Columns, Columns);
    }

    /// <summary>Reads elements from <paramref name="first"/> on (row-major), widened from F32, BF16 or F16, until <paramref name="destination"/> is full.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range doesn't lie inside the matrix.</exception>
    public void ReadFloats(long first, Span<float> destination)
    {
        CheckRange(first, destination.Length);
        while (!destination.IsEmpty)
        {
            var bytes = Run(first, destination.Length);
            int count = bytes.Length / size;
            Tensor.Widen(bytes, destination[..count]);
            first += count;
            destination = destination[count..];
        }
    }

    /// <summary>Reads elements from <paramref name="first"/> on (row-major) of a BF16 tensor, as stored, until <paramref name="destination"/> is full.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range doesn't lie inside the matrix.</exception>
    /// <exception cref="ModelFormatException">The stored type is another.</exception>
    public void ReadBf16(long first, Span<ushort> destination)
    {
        CheckRange(first, destination.Length);
        Tensor.RequireBf16();
        while (!destination.IsEmpty)
        {
            var values = MemoryMarshal.Cast<byte, ushort>(Run(first, destination.Length));
            values.CopyTo(destination);
            first += values.Length;
            destination = destination[values.Length..];
        }
    }

    /// <summary>Reads one row, widened; <paramref name="destination"/> must have <see cref="Columns"/> elements.</summary>
    /// <exception cref="ArgumentException">The destination has another length.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    public void ReadRow(int row, Span<float> destination)
    {
        if (destination.Length != Columns)
            throw new ArgumentException($"expected room for a row of {Columns} elements, found {destination.Length}", nameof(destination));
        Tensor.Widen(RowBytes(row), destination);
    }

    /// <summary>Reads the whole matrix, widened.</summary>
    /// <exception cref="OverflowException">There are more than 2³¹ − 1 elements.</exception>
    public float[] ReadFloats()
    {
        float[] values = new float[checked((int)Count)];
        ReadFloats(0, values);
        return values;
    }

    /// <summary>Gives back a turned copy, and to the system the memory behind the tensor's pages, as <see cref="TensorView.Release()"/> does.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref turned, null) is { } copy)
            ArrayPool<byte>.Shared.Return(copy);
        Tensor.Release(slice.First, slice.Extent);
    }

    // The bytes from an element on that lie side by side, at most so many elements.
    private ReadOnlySpan<byte> Run(long first, int most)
    {
        if (slice.IsTransposed)
        {
            ObjectDisposedException.ThrowIf(turned is null, this);
            return turned.AsSpan((int)(first * size), most * size);
        }

        var (row, column) = Math.DivRem(first, Columns);
        int count = slice.RowStep == Columns ? most : (int)Math.Min(most, Columns - column);
        return Tensor.ElementBytes(slice.First + row * slice.RowStep + column, count);
    }

    private void CheckRange(long first, int count)
    {
        if (first < 0 || first > Count - count)
            throw new ArgumentOutOfRangeException(nameof(first), $"elements {first} to {first + count} don't lie inside a matrix of {Count} in tensor '{Tensor.Name}'");
    }
}
