using System.Numerics.Tensors;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Ops;

/// <summary>
/// Some rows of queries, (position, head) pairs of one key-value head ordered by position, against a span of keys, page by page: the scores
/// are a product with the keys' panels, the outputs a product with the values'.
/// </summary>
internal unsafe ref struct AttentionBlock<TSimd, TVector>
    where TSimd : struct, ISimd<TVector>
    where TVector : struct
{
    private const int Keys = KvLayout.PageKeys;
    private const int Columns = PanelLayout.Columns;

    private readonly PanelKernel kernel;
    private readonly AttentionShape shape;
    private readonly AttentionSegment segment;
    private readonly int head;
    private readonly int firstRow;
    private readonly int rows;

    // [rows, key inputs] and [rows, 128] in the kernel's form.
    private readonly byte* queries;
    private readonly byte* weights;

    // [panels, rows that see the page, 32]: scores, then weights · values.
    private readonly float* products;

    // [rows]: the factors of the state before weights · values are added.
    private readonly float* scales;

    /// <summary>Gathers and scales the rows' queries.</summary>
    /// <param name="kernel">Of the cache's format.</param>
    /// <param name="shape">The call's shape.</param>
    /// <param name="segment">The sequence.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="firstRow">Row position · group + head in group.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="scratch"><see cref="Scratch"/> floats.</param>
    public AttentionBlock(PanelKernel kernel, in AttentionShape shape, in AttentionSegment segment, int head, int firstRow, int rows, float* scratch)
    {
        this.kernel = kernel;
        this.shape = shape;
        this.segment = segment;
        this.head = head;
        this.firstRow = firstRow;
        this.rows = rows;
        int readable = PanelLayout.PadRows(rows) + PanelLayout.RowAlignment;
        products = scratch;
        scales = products + Products(shape, rows);
        float* wide = scales + PanelLayout.PadRows(rows);
        queries = (byte*)(wide + shape.Cache.KeyInputs);
        weights = queries + readable * QueryBytes;
        int group = shape.Group, size = shape.Cache.KeySize;
        for (int r = 0; r < rows; r++)
        {
            int row = firstRow + r;
            float* source = segment.Queries + row / group * segment.QueryStride + (head * group + row % group) * (nint)size;
            var scaled = new Span<float>(wide, size);
            TensorPrimitives.Multiply(new ReadOnlySpan<float>(source, size), shape.Scale, scaled);
            RowEncoder.Encode(kernel.Activations, scaled, shape.Cache.KeyInputs, queries + r * QueryBytes, null, null);
        }
    }

    private readonly int ElementBytes => kernel.Activations == ActivationFormat.F32 ? sizeof(float) : sizeof(ushort);

    private readonly nint QueryBytes => (nint)shape.Cache.KeyInputs * ElementBytes;

    private readonly nint WeightBytes => (nint)Keys * ElementBytes;

    /// <summary>Floats of scratch for <paramref name="rows"/> rows, a multiple of a cache line.</summary>
    public static nint Scratch(in AttentionShape shape, int rows)
    {
        nint readable = PanelLayout.PadRows(rows) + PanelLayout.RowAlignment;
        return Products(shape, rows) + PanelLayout.PadRows(rows) + shape.Cache.KeyInputs + readable * (shape.Cache.KeyInputs + Keys);
    }

    /// <summary>Attends to the keys at positions from…to−1, <paramref name="from"/> a multiple of a page's.</summary>
    public readonly void Attend(int from, int to, AttentionState state)
    {
        for (int start = from; start < to; start += Keys)
        {
            byte* page = segment.Pages[start / Keys];
            int count = Math.Min(Keys, to - start), first = FirstRowSeeing(start);
            Score(page, start, count, first);
            Exponentiate(start, count, first, state);
            byte* next = start + Keys < to ? shape.Cache.Keys(segment.Pages[start / Keys + 1], head) : null;
            Accumulate(page, start, count, first, state, next);
        }
    }

    private static nint Products(in AttentionShape shape, int rows) =>
        (nint)rows * Math.Max(Keys, shape.Cache.ValuePanels * Columns) + PanelLayout.RowAlignment * Columns;

    private readonly int Position(int row) => segment.First + (firstRow + row) / shape.Group;

    // The first row of this block that sees the key at a position.
    private readonly int FirstRowSeeing(int position) => !shape.Causal ? 0 : Math.Max(0, (position - segment.First) * shape.Group - firstRow);

    // Keys of the page that the row sees end here: at its own position, or with the sequence.
    private readonly int End(int row, int start, int count) => !shape.Causal ? count : Math.Min(count, Position(row) + 1 - start);

    // products = queries · keysᵀ, for each panel those rows that see it.
    private readonly void Score(byte* page, int start, int count, int first)
    {
        int panels = PanelLayout.PanelCount(count), sharing = rows - first;
        byte* keys = shape.Cache.Keys(page, head);
        // Panels that all rows see are multiplied in one call.
        for (int panel = 0, together; panel < panels; panel += together)
        {
            int from = Math.Max(first, FirstRowSeeing(start + panel * Columns));
            for (together = 1; from == first && panel + together < panels && FirstRowSeeing(start + (panel + together) * Columns) <= first;)
                together++;
            var args = Args(queries + from * QueryBytes, QueryBytes, rows - from, shape.Cache.KeyInputs);
            args.Panel = keys + panel * shape.Cache.KeyPanelBytes;
            args.PanelCount = together;
            args.PanelBytes = shape.Cache.KeyPanelBytes;
            args.Result = products + ((nint)panel * sharing + from - first) * Columns;
            args.Next = panel + together < panels ? args.Panel + together * args.PanelBytes : shape.Cache.Values(page, head);
            kernel.Multiply(args);
        }
    }

    // weights = e^(s−m); m becomes larger where a score exceeds it.
    private readonly void Exponentiate(int start, int count, int first, AttentionState state)
    {
        nint panelFloats = (nint)(rows - first) * Columns;
        for (int r = first; r < rows; r++)
        {
            float* row = products + (r - first) * Columns;
            byte* target = weights + r * WeightBytes;
            int end = End(r, start, count), panels = PanelLayout.PanelCount(end);
            int begin = shape.Window is int window ? Math.Max(0, Position(r) - window + 1 - start) : 0;
            scales[r] = 1;
            if (end <= begin)
            {
                new Span<byte>(target, (int)WeightBytes).Clear();
                continue;
            }

            for (int i = 0; i < begin; i++)
                row[i / Columns * panelFloats + i % Columns] = float.NegativeInfinity;
            if (end % Columns > 0)
                new Span<float>(row + (panels - 1) * panelFloats + end % Columns, Columns - end % Columns).Fill(float.NegativeInfinity);
            float before = state.Largest[r], largest = Math.Max(before, Largest(row, panels, panelFloats));
            if (largest > before)
            {
                state.Largest[r] = largest;
                scales[r] = MathF.Exp(before - largest);
            }

            state.Sum[r] = state.Sum[r] * scales[r] + ExponentiateRow(row, panels, panelFloats, largest, target);
            new Span<byte>(target + panels * Columns * ElementBytes, (Keys - panels * Columns) * ElementBytes).Clear();
        }
    }

    private static float Largest(float* row, int panels, nint panelFloats)
    {
        var lanes = TSimd.Load(row);
        for (int p = 0; p < panels; p++)
        {
            for (int i = 0; i < Columns; i += TSimd.Width)
                lanes = TSimd.Max(lanes, TSimd.Load(row + p * panelFloats + i));
        }

        return TSimd.Largest(lanes);
    }

    private readonly float ExponentiateRow(float* row, int panels, nint panelFloats, float largest, byte* target)
    {
        bool narrow = kernel.Activations == ActivationFormat.Bf16;
        var shift = TSimd.Create(largest);
        var sums = TSimd.Zero;
        for (int p = 0; p < panels; p++)
        {
            for (int i = 0; i < Columns; i += TSimd.Width)
            {
                var power = Exp.Of<TSimd, TVector>(TSimd.Subtract(TSimd.Load(row + p * panelFloats + i), shift));
                if (narrow)
                    TSimd.StoreBf16(power, (ushort*)target + p * Columns + i);
                else
                    TSimd.Store(power, (float*)target + p * Columns + i);
                sums = TSimd.Add(sums, power);
            }
        }

        return TSimd.Sum(sums);
    }

    // state = scale · state + weights · values, over as many keys as the rows see.
    private readonly void Accumulate(byte* page, int start, int count, int first, AttentionState state, byte* next)
    {
        const int step = PanelLayout.InputAlignment;
        for (int depth = step, from = first, end; depth <= Keys && from < rows; depth += step, from = end)
        {
            // The rows that see no further; at the last depth all remaining rows.
            end = depth < Keys && depth < count ? Math.Clamp(FirstRowSeeing(start + depth), from, rows) : rows;
            if (end == from)
                continue;
            var args = Args(weights + from * WeightBytes, WeightBytes, end - from, depth);
            args.Panel = shape.Cache.Values(page, head);
            args.PanelCount = shape.Cache.ValuePanels;
            args.PanelBytes = shape.Cache.ValuePanelBytes;
            args.Result = products;
            args.Next = next;
            kernel.Multiply(args);
            Add(from, end - from, state);
        }
    }

    private readonly void Add(int from, int count, AttentionState state)
    {
        int stride = shape.Cache.ValuePanels * Columns;
        float* product = products;
        for (int panel = 0; panel < shape.Cache.ValuePanels; panel++)
        {
            float* values = state.Values + from * (nint)stride + panel * Columns;
            for (int r = 0; r < count; r++, product += Columns, values += stride)
            {
                var scale = TSimd.Create(scales[from + r]);
                for (int i = 0; i < Columns; i += TSimd.Width)
                    TSimd.Store(TSimd.MultiplyAdd(TSimd.Load(values + i), scale, TSimd.Load(product + i)), values + i);
            }
        }
    }

    private static PanelArgs Args(byte* rows, nint rowBytes, int count, int inputs) =>
        new() { Rows = rows, RowBytes = rowBytes, RowCount = count, Inputs = inputs };
}
