using System.Numerics.Tensors;

namespace DualSparse.Kernels.Ops;

/// <summary>Some rows of queries, (position, head) pairs of one key-value head ordered by position, against a span of keys.</summary>
internal unsafe ref struct AttentionBlock<TSimd, TVector>
    where TSimd : struct, ISimd<TVector>
    where TVector : struct
{
    /// <summary>Keys scored at a time: a page's, which for heads of 128 are 64 KiB, as are their values; both stay in the second-level cache.</summary>
    public const int Keys = KvLayout.PageKeys;

    private readonly AttentionShape shape;
    private readonly AttentionSegment segment;
    private readonly int head;
    private readonly int firstRow;
    private readonly int rows;
    private readonly float* queries;
    private readonly float* scores;
    private readonly float* turned;

    /// <summary>Gathers and scales the rows' queries.</summary>
    /// <param name="shape">The call's shape.</param>
    /// <param name="segment">The sequence.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="firstRow">Row position · group + head in group.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="scratch"><see cref="Scratch"/> floats.</param>
    public AttentionBlock(in AttentionShape shape, in AttentionSegment segment, int head, int firstRow, int rows, float* scratch)
    {
        this.shape = shape;
        this.segment = segment;
        this.head = head;
        this.firstRow = firstRow;
        this.rows = rows;
        scores = scratch;
        queries = scratch + rows * Keys;
        turned = queries + rows * (nint)shape.Cache.KeySize;
        int group = shape.Group, size = shape.Cache.KeySize;
        for (int r = 0; r < rows; r++)
        {
            int row = firstRow + r;
            float* source = segment.Queries + row / group * segment.QueryStride + (head * group + row % group) * (nint)size;
            TensorPrimitives.Multiply(
                new ReadOnlySpan<float>(source, size), shape.Scale, new Span<float>(queries + r * (nint)size, size));
        }
    }

    /// <summary>Floats of scratch for so many rows.</summary>
    public static nint Scratch(in AttentionShape shape, int rows) => (nint)rows * (Keys + shape.Cache.KeySize) + 2 * shape.Cache.TurnedFloats;

    /// <summary>Attends to the keys at positions from…to−1, <paramref name="from"/> a multiple of <see cref="Keys"/>.</summary>
    public readonly void Attend(int from, int to, AttentionState state)
    {
        for (int start = from; start < to; start += Keys)
        {
            float* page = segment.Pages[start / KvLayout.PageKeys];
            int slot = start % KvLayout.PageKeys;
            int count = Math.Min(Keys, to - start);
            Score(page, slot, start, count);
            Weigh(start, count, state);
            Collect(page, slot, start, count, state.Values);
        }
    }

    private readonly int Position(int row) => segment.First + (firstRow + row) / shape.Group;

    // Keys of the block that the row sees end here: at its own position.
    private readonly int End(int row, int start, int count) => Math.Min(count, Position(row) + 1 - start);

    // scores = queries · keysᵀ; what no row of a tile sees is left out.
    private readonly void Score(float* page, int slot, int start, int count)
    {
        int size = shape.Cache.KeySize;
        for (int column = 0; column < count; column += 2 * TSimd.Width)
        {
            float* b0 = KeysAt(page, slot, column), b1 = KeysAt(page, slot, column + TSimd.Width);
            for (int r = 0, tile; r < rows; r += tile)
            {
                tile = AttentionTile.Take(rows - r);
                if (End(r + tile - 1, start, count) > column)
                {
                    AttentionTile.Multiply<TSimd, TVector>(
                        tile, queries + r * (nint)size, size, b0, b1, KvLayout.Panel, size, scores + r * Keys + column, Keys, add: false);
                }
            }
        }
    }

    // Keys from a column on, a multiple of the vectors' width; of those that must be turned first, two panels at a time.
    private readonly float* KeysAt(float* page, int slot, int column)
    {
        if (!shape.Cache.ValuesInKeys)
            return shape.Cache.Keys(page, head, slot + column);
        float* panel = turned + column / KvLayout.Panel % 2 * shape.Cache.TurnedFloats;
        if (column % KvLayout.Panel == 0)
            shape.Cache.TurnKeys(page, head, slot + column, panel);
        return panel + column % KvLayout.Panel;
    }

    // Scores become weights e^(s−m); the state is brought to the new m.
    private readonly void Weigh(int start, int count, AttentionState state)
    {
        for (int r = 0; r < rows; r++)
        {
            float* row = scores + r * Keys;
            int end = End(r, start, count);
            int begin = shape.Window is int window ? Math.Max(0, Position(r) - window + 1 - start) : 0;
            if (end <= begin)
            {
                new Span<float>(row, Keys).Clear();
                continue;
            }

            if (begin > 0)
                new Span<float>(row, begin).Fill(float.NegativeInfinity);
            // Rows of one tile are collected as far as its last one sees.
            int reach = End(Math.Min(r + AttentionTile.Rows, rows) - 1, start, count);
            reach = (reach + TSimd.Width - 1) / TSimd.Width * TSimd.Width;
            if (end < reach)
                new Span<float>(row + end, reach - end).Fill(float.NegativeInfinity);
            float largest = Largest(row, end);
            float before = state.Largest[r];
            if (largest > before)
            {
                state.Largest[r] = largest;
                if (!float.IsNegativeInfinity(before))
                    Rescale(r, MathF.Exp(before - largest), state);
            }
            else
            {
                largest = before;
            }

            state.Sum[r] += Exponentiate(row, reach, largest);
        }
    }

    private readonly void Rescale(int row, float scale, AttentionState state)
    {
        state.Sum[row] *= scale;
        float* values = state.Values + row * (nint)shape.Cache.PaddedValueSize;
        var scales = TSimd.Create(scale);
        for (int i = 0; i < shape.Cache.PaddedValueSize; i += TSimd.Width)
            TSimd.Store(TSimd.Multiply(TSimd.Load(values + i), scales), values + i);
    }

    private static float Largest(float* row, int end)
    {
        var lanes = TSimd.Load(row);
        for (int i = TSimd.Width; i < end; i += TSimd.Width)
            lanes = TSimd.Max(lanes, TSimd.Load(row + i));
        return TSimd.Largest(lanes);
    }

    private static float Exponentiate(float* row, int end, float largest)
    {
        var shift = TSimd.Create(largest);
        var sums = TSimd.Zero;
        for (int i = 0; i < end; i += TSimd.Width)
        {
            var weights = Exp.Of<TSimd, TVector>(TSimd.Subtract(TSimd.Load(row + i), shift));
            TSimd.Store(weights, row + i);
            sums = TSimd.Add(sums, weights);
        }

        return TSimd.Sum(sums);
    }

    // state += weights · values; keys after the last that a tile sees have weight 0 and are left out.
    private readonly void Collect(float* page, int slot, int start, int count, float* sums)
    {
        int size = shape.Cache.PaddedValueSize;
        for (int column = 0; column < size; column += 2 * TSimd.Width)
        {
            float* b0 = shape.Cache.Values(page, head, column) + slot * KvLayout.Panel;
            float* b1 = shape.Cache.Values(page, head, column + TSimd.Width) + slot * KvLayout.Panel;
            for (int r = 0, tile; r < rows; r += tile)
            {
                tile = AttentionTile.Take(rows - r);
                int depth = End(r + tile - 1, start, count);
                if (depth > 0)
                {
                    AttentionTile.Multiply<TSimd, TVector>(
                        tile, scores + r * Keys, Keys, b0, b1, KvLayout.Panel, depth, sums + r * (nint)size + column, size, add: true);
                }
            }
        }
    }
}
