using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Models.Safetensors;

/// <summary>Copies a matrix that is stored transposed, turning it: elements of two or four bytes, in squares that stay in the first-level cache.</summary>
internal static class Transposition
{
    // A stripe's share of each row, and what a tile has of each column: a cache line.
    private const int TileBytes = 64;

    /// <summary>Fills [rows, columns], dense.</summary>
    /// <param name="tensor">Of F32, BF16 or F16.</param>
    /// <param name="slice">A matrix whose columns lie side by side in it.</param>
    /// <param name="destination">At least as many bytes as the matrix has.</param>
    /// <param name="team">Who helps; null: the caller alone.</param>
    public static void Run(TensorView tensor, WeightSlice slice, byte[] destination, ThreadTeam? team)
    {
        int width = TileBytes / (tensor.Type.Bits() / 8), stripes = (slice.Columns + width - 1) / width;
        if (team is not null)
        {
            team.For(stripes, (stripe, _) => Stripe(stripe));
            return;
        }

        for (int stripe = 0; stripe < stripes; stripe++)
            Stripe(stripe);

        void Stripe(int stripe)
        {
            int column = stripe * width, lines = Math.Min(width, slice.Columns - column);
            var stored = tensor.ElementBytes(slice.First + column * slice.ColumnStep, (int)((lines - 1) * slice.ColumnStep) + slice.Rows);
            if (tensor.Type == TensorType.F32)
                Transpose<uint>(stored, (int)slice.ColumnStep, lines, slice.Rows, MemoryMarshal.Cast<byte, uint>(destination.AsSpan())[column..], slice.Columns, Square);
            else
                Transpose<ushort>(stored, (int)slice.ColumnStep, lines, slice.Rows, MemoryMarshal.Cast<byte, ushort>(destination.AsSpan())[column..], slice.Columns, Square);
        }
    }

    // [lines, rows], columns of the matrix, to [rows, lines]; steps from a line to the next in the source, from a row to the next in the
    // destination. Steps are often multiples of a page, all of whose lines share a place in the first-level cache: so a tile is turned
    // in a place of its own, and each cache line of both sides is touched once.
    private static void Transpose<T>(ReadOnlySpan<byte> stored, int lineStep, int lines, int rows, Span<T> destination, int rowStep, TransposeSquare<T> square)
        where T : unmanaged
    {
        int side = Vector128<T>.Count, width = TileBytes / Unsafe.SizeOf<T>();
        var source = MemoryMarshal.Cast<byte, T>(stored);
        Span<T> tile = stackalloc T[width * width];
        for (int r = 0; r < rows; r += width)
        {
            if (lines < width || r + width > rows)
            {
                Rest(source[r..], lineStep, lines, Math.Min(width, rows - r), destination[(r * rowStep)..], rowStep);
                continue;
            }

            for (int i = 0; i < width; i += side)
            {
                for (int j = 0; j < width; j += side)
                    square(source[(i * lineStep + r + j)..], lineStep, tile[(j * width + i)..], width);
            }

            for (int j = 0; j < width; j++)
                tile.Slice(j * width, width).CopyTo(destination[((r + j) * rowStep)..]);
        }
    }

    private static void Rest<T>(ReadOnlySpan<T> source, int lineStep, int lines, int rows, Span<T> destination, int rowStep)
    {
        for (int l = 0; l < lines; l++)
        {
            for (int r = 0; r < rows; r++)
                destination[r * rowStep + l] = source[l * lineStep + r];
        }
    }

    // Line i is shuffled with line i + 4, three times over: each time the index's highest bit becomes its lowest.
    private static void Square(ReadOnlySpan<ushort> source, int lineStep, Span<ushort> destination, int rowStep)
    {
        ref ushort from = ref MemoryMarshal.GetReference(source[..(7 * lineStep + 8)]), to = ref MemoryMarshal.GetReference(destination[..(7 * rowStep + 8)]);
        var (a0, a1) = (Load(ref from, 0), Load(ref from, lineStep));
        var (a2, a3) = (Load(ref from, 2 * lineStep), Load(ref from, 3 * lineStep));
        var (a4, a5) = (Load(ref from, 4 * lineStep), Load(ref from, 5 * lineStep));
        var (a6, a7) = (Load(ref from, 6 * lineStep), Load(ref from, 7 * lineStep));
        for (int round = 0; round < 3; round++)
        {
            var (b0, b1) = Zip(a0, a4);
            var (b2, b3) = Zip(a1, a5);
            var (b4, b5) = Zip(a2, a6);
            var (b6, b7) = Zip(a3, a7);
            (a0, a1, a2, a3, a4, a5, a6, a7) = (b0, b1, b2, b3, b4, b5, b6, b7);
        }

        a0.StoreUnsafe(ref to);
        a1.StoreUnsafe(ref to, (nuint)rowStep);
        a2.StoreUnsafe(ref to, (nuint)(2 * rowStep));
        a3.StoreUnsafe(ref to, (nuint)(3 * rowStep));
        a4.StoreUnsafe(ref to, (nuint)(4 * rowStep));
        a5.StoreUnsafe(ref to, (nuint)(5 * rowStep));
        a6.StoreUnsafe(ref to, (nuint)(6 * rowStep));
        a7.StoreUnsafe(ref to, (nuint)(7 * rowStep));
    }

    private static void Square(ReadOnlySpan<uint> source, int lineStep, Span<uint> destination, int rowStep)
    {
        ref uint from = ref MemoryMarshal.GetReference(source[..(3 * lineStep + 4)]), to = ref MemoryMarshal.GetReference(destination[..(3 * rowStep + 4)]);
        var (b0, b1) = WordTranspose.Zip(Load(ref from, 0), Load(ref from, 2 * lineStep));
        var (b2, b3) = WordTranspose.Zip(Load(ref from, lineStep), Load(ref from, 3 * lineStep));
        var (row0, row1) = WordTranspose.Zip(b0, b2);
        var (row2, row3) = WordTranspose.Zip(b1, b3);
        row0.StoreUnsafe(ref to);
        row1.StoreUnsafe(ref to, (nuint)rowStep);
        row2.StoreUnsafe(ref to, (nuint)(2 * rowStep));
        row3.StoreUnsafe(ref to, (nuint)(3 * rowStep));
    }

    private static Vector128<T> Load<T>(ref T from, int element) => Vector128.LoadUnsafe(ref from, (nuint)element);

    // a₀b₀a₁b₁… of the lower halves, and of the upper.
    private static (Vector128<ushort> Low, Vector128<ushort> High) Zip(Vector128<ushort> a, Vector128<ushort> b)
    {
        if (Sse2.IsSupported)
            return (Sse2.UnpackLow(a, b), Sse2.UnpackHigh(a, b));
        if (AdvSimd.Arm64.IsSupported)
            return (AdvSimd.Arm64.ZipLow(a, b), AdvSimd.Arm64.ZipHigh(a, b));
        return (
            Vector128.Create(a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3]),
            Vector128.Create(a[4], b[4], a[5], b[5], a[6], b[6], a[7], b[7]));
    }

    /// <summary>Turns a square of as many elements a side as a vector has.</summary>
    private delegate void TransposeSquare<T>(ReadOnlySpan<T> source, int lineStep, Span<T> destination, int rowStep);
}
