using System.Numerics.Tensors;

namespace DualSparse.Kernels.Ops;

/// <summary>Some rows of queries, (position, head) pairs of one key-value head ordered by position, against a span of keys.</summary>
internal unsafe ref struct AttentionBlock<TSimd, TVector>
    where TSimd : struct, ISimd<TVector>
    where TVector : struct
{
    /// <summary>Keys scored at a time: their values (32 KiB for 128 of them) and the scores stay in the caches near the core.</summary>
    public const int Keys = 64;

    private readonly AttentionShape shape;
    private readonly AttentionSegment segment;
    private readonly int head;
    private readonly int firstRow;
    private readonly int rows;
    private readonly float* queries;
    private readonly float* scores;

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
    public static nint Scratch(in AttentionShape shape, int rows) => (nint)rows * (Keys + shape.Cache.KeySize);

    /// <summary>Attends to the keys at positions from…to−1, <paramref name="from"/> a multiple of <see cref="Keys"/>.</summary>
    public readonly void Attend(int from, int to, AttentionState state)
    {
        for (int start = from; start < to; start += Keys)
        {
            float* page = segment.Pages[start / KvLayout.PageKeys];
            int slot = start % KvLayout.PageKeys;
            int count = Math.Min(Keys, to - start);
            Score(shape.Cache.Keys(page, head) + slot * (nint)shape.Cache.KeySize, start, count);
            Weigh(start, count, state);
            Collect(shape.Cache.Values(page, head) + slot * (nint)shape.Cache.ValueStride, start, count, state.Values);
        }
    }

    private readonly int Position(int row) => segment.First + (firstRow + row) / shape.Group;

    // Keys of the block that the row sees end here: at its own position.
    private readonly int End(int row, int start, int count) => Math.Min(count, Position(row) + 1 - start);

    // scores = queries · keysᵀ; what no row of a tile sees is left out.
    private readonly void Score(float* keys, int start, int count)
    {
        int size = shape.Cache.KeySize;
        for (int column = 0; column < count; column += 2 * TSimd.Width)
        {
            float* b0 = Column(keys, column, size), b1 = Column(keys, column + TSimd.Width, size);
            for (int r = 0; r < rows; r += AttentionTile.Rows)
            {
                int tile = Math.Min(AttentionTile.Rows, rows - r);
                if (End(r + tile - 1, start, count) > column)
                {
                    AttentionTile.Multiply<TSimd, TVector>(
                        tile, queries + r * (nint)size, size, b0, b1, KvLayout.PanelKeys, size, scores + r * Keys + column, Keys, add: false);
                }
            }
        }
    }

    private static float* Column(float* keys, int column, int size) =>
        keys + column / KvLayout.PanelKeys * KvLayout.PanelKeys * (nint)size + column % KvLayout.PanelKeys;

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

            new Span<float>(row, begin).Fill(float.NegativeInfinity);
            new Span<float>(row + end, Keys - end).Fill(float.NegativeInfinity);
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

            state.Sum[r] += Exponentiate(row, largest);
        }
    }

    private readonly void Rescale(int row, float scale, AttentionState state)
    {
        state.Sum[row] *= scale;
        float* values = state.Values + row * (nint)shape.Cache.ValueStride;
        var scales = TSimd.Create(scale);
        for (int i = 0; i < shape.Cache.ValueStride; i += TSimd.Width)
            TSimd.Store(TSimd.Multiply(TSimd.Load(values + i), scales), values + i);
    }

    private static float Largest(float* row, int end)
    {
        var lanes = TSimd.Load(row);
        for (int i = TSimd.Width; i < end; i += TSimd.Width)
            lanes = TSimd.Max(lanes, TSimd.Load(row + i));
        float* lane = stackalloc float[TSimd.Width];
        TSimd.Store(lanes, lane);
        float largest = lane[0];
        for (int i = 1; i < TSimd.Width; i++)
            largest = lane[i] > largest ? lane[i] : largest;
        return largest;
    }

    private static float Exponentiate(float* row, float largest)
    {
        var shift = TSimd.Create(largest);
        var sums = TSimd.Zero;
        for (int i = 0; i < Keys; i += TSimd.Width)
        {
            var weights = Exp.Of<TSimd, TVector>(TSimd.Subtract(TSimd.Load(row + i), shift));
            TSimd.Store(weights, row + i);
            sums = TSimd.Add(sums, weights);
        }

        float* lane = stackalloc float[TSimd.Width];
        TSimd.Store(sums, lane);
        float sum = 0;
        for (int i = 0; i < TSimd.Width; i++)
            sum += lane[i];
        return sum;
    }

    // state += weights · values; keys after the last that a tile sees have weight 0 and are left out.
    private readonly void Collect(float* values, int start, int count, float* sums)
    {
        int stride = shape.Cache.ValueStride;
        for (int column = 0; column < stride; column += 2 * TSimd.Width)
        {
            float* b = values + column;
            for (int r = 0; r < rows; r += AttentionTile.Rows)
            {
                int tile = Math.Min(AttentionTile.Rows, rows - r);
                int depth = End(r + tile - 1, start, count);
                if (depth > 0)
                {
                    AttentionTile.Multiply<TSimd, TVector>(
                        tile, scores + r * Keys, Keys, b, b + TSimd.Width, stride, depth, sums + r * (nint)stride + column, stride, add: true);
                }
            }
        }
    }
}
