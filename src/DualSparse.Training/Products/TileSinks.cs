using System.Numerics;
using System.Runtime.CompilerServices;
using DualSparse.Kernels.Packing;

namespace DualSparse.Training.Products;

/// <summary>Receives a tile of products while it is in the nearest cache.</summary>
internal unsafe interface ITileSink
{
    /// <summary>Takes [rows, 32], dense.</summary>
    /// <param name="tile">The products.</param>
    /// <param name="row">The first row.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="column">The first column, a multiple of 32.</param>
    /// <param name="columns">Columns that are outputs, at most 32.</param>
    void Take(float* tile, int row, int rows, int column, int columns);
}

/// <summary>y = tile.</summary>
internal readonly unsafe struct StoreTile(float* y, nint stride) : ITileSink
{
    public void Take(float* tile, int row, int rows, int column, int columns)
    {
        float* target = y + row * stride + column;
        for (int r = 0; r < rows; r++, tile += PanelLayout.Columns, target += stride)
            Unsafe.CopyBlockUnaligned(target, tile, (uint)columns * sizeof(float));
    }
}

/// <summary>y += tile.</summary>
internal readonly unsafe struct AddTile(float* y, nint stride) : ITileSink
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Take(float* tile, int row, int rows, int column, int columns)
    {
        float* target = y + row * stride + column;
        for (int r = 0; r < rows; r++, tile += PanelLayout.Columns, target += stride)
        {
            int c = 0;
            for (; c + Vector<float>.Count <= columns; c += Vector<float>.Count)
                (Vector.Load(target + c) + Vector.Load(tile + c)).Store(target + c);
            for (; c < columns; c++)
                target[c] += tile[c];
        }
    }
}

/// <summary>The same of rows that lie in two blocks: the first <paramref name="split"/> in y, the others in z.</summary>
internal readonly unsafe struct AddTwoTiles(float* y, float* z, int split, nint stride) : ITileSink
{
    public void Take(float* tile, int row, int rows, int column, int columns)
    {
        int first = Math.Clamp(split - row, 0, rows);
        if (first > 0)
            new AddTile(y, stride).Take(tile, row, first, column, columns);
        if (first < rows)
            new AddTile(z, stride).Take(tile + first * PanelLayout.Columns, row + first - split, rows - first, column, columns);
    }
}
