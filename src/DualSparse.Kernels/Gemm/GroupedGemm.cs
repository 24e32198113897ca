using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Gemm;

/// <summary>
/// All experts of a layer on their own rows: y[token] += weight · expert(x[token]). Two loops over panels with one barrier between
/// them; the instructions are the kernel's.
/// <list type="number">
/// <item>Gate and up, panel by panel, SiLU·up as soon as a tile is done. A major-only row isn't in the lists of the minor half's panels, so
/// these are read only if another row needs them.</item>
/// <item>Down, panel by panel, all experts of a panel by the same thread in order, so that each sum is made in one order.</item>
/// </list>
/// </summary>
internal static unsafe class GroupedGemm
{
    // Panels of gate and up in one work item: 64 neurons, the granularity of the cut between major and minor half.
    private const int PanelsPerItem = PanelLayout.InputAlignment / NeuronLayout.PerPanel;

    // The most panels of the second product in one work item. More panels are a longer stream from memory, and the intermediate rows are
    // read once for all of them; but with many tokens their sums, a panel's columns of every token, would leave the cache.
    private const int MostPanels = 4, MostPanelsOfFew = 8, FewTokens = 64;

    // Rows that one thread encodes in a few microseconds: not worth another parallel loop.
    private const int LateRows = 64;

    /// <summary>Adds the experts' weighted outputs to y.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="experts">The weights.</param>
    /// <param name="batch">Rows by expert.</param>
    /// <param name="x">[<paramref name="tokens"/>, D] f32, dense.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="y">[tokens, D] f32, dense: added to.</param>
    public static void Forward(Workspace work, PackedExperts experts, ExpertBatch batch, float* x, int tokens, float* y)
    {
        if (batch.Tokens.Count == 0)
            return;
        Encode(work, experts, x, tokens, work.Rows);
        Forward(work, experts, batch, work.Rows, tokens, y, add: true);
    }

    /// <summary>Converts rows into the form in which the experts' kernel reads them, on all threads: what an exchange sends.</summary>
    /// <param name="work">Threads, kernels.</param>
    /// <param name="experts">The weights.</param>
    /// <param name="x">[<paramref name="tokens"/>, D] f32, dense.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="rows">Receives [tokens, D], encoded.</param>
    public static void Encode(Workspace work, PackedExperts experts, float* x, int tokens, ActivationRows rows) =>
        MatMul.Encode(work, rows, work.Kernels[experts.Format].Activations, x, tokens, experts.Hidden, experts.Hidden);

    /// <summary>The experts' weighted outputs of rows that are encoded.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="experts">The weights.</param>
    /// <param name="batch">Rows by expert, at least one.</param>
    /// <param name="encoded">[<paramref name="tokens"/>, D], by <see cref="Encode"/>.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="y">[tokens, D] f32, dense.</param>
    /// <param name="add">Whether y is added to, or overwritten: with zeros where a token has no expert.</param>
    /// <param name="rounding">What is made of each intermediate row, of f32 experts, before it is multiplied; null: nothing.</param>
    /// <param name="goOn">Whether y holds the sums of the same tokens' earlier experts, which go on: the bits are those of all experts at once.</param>
    public static void Forward(Workspace work, PackedExperts experts, ExpertBatch batch, ActivationRows encoded, int tokens, float* y, bool add, RowRounding? rounding = null, bool goOn = false)
    {
        var kernel = work.Kernels[experts.Format];
        var rows = Gather(work, batch, encoded, tokens, experts.Hidden);
        GateUp(work, kernel, experts, batch, rows);
        if (rounding is not null)
            Round(work, experts, batch, rounding);
        Down(work, kernel, experts, batch, tokens, y, add, goOn);
    }

    // Each expert's rows side by side. Where they lie so already (one token, or every token in order) nothing is copied.
    private static RowSource Gather(Workspace work, ExpertBatch batch, ActivationRows encoded, int tokens, int hidden)
    {
        if (tokens == 1 || (batch.Experts.Count == 1 && batch.Tokens.Count == tokens && InOrder(batch.Tokens)))
            return new RowSource(encoded, Fixed: tokens == 1);
        work.Gathered.Reset(encoded.Format, batch.Tokens.Count, hidden);
        const int chunk = 16;
        work.Team.For((batch.Tokens.Count + chunk - 1) / chunk, (item, _) =>
        {
            for (int r = item * chunk; r < Math.Min(batch.Tokens.Count, (item + 1) * chunk); r++)
                work.Gathered.Copy(r, encoded, batch.Tokens[r]);
        });
        return new RowSource(work.Gathered, Fixed: false);
    }

    private static void Round(Workspace work, PackedExperts experts, ExpertBatch batch, RowRounding rounding) => work.Team.For(batch.Experts.Count, (index, _) =>
    {
        var expert = batch.Experts[index];
        for (int r = 0; r < expert.Count; r++)
            rounding(new Span<float>((float*)work.Hidden.Row(expert.First + r), r < expert.Full ? experts.Neurons.Padded : experts.Neurons.MajorPadded));
    });

    private static bool InOrder(List<int> tokens)
    {
        for (int i = 0; i < tokens.Count; i++)
        {
            if (tokens[i] != i)
                return false;
        }

        return true;
    }

    private static void GateUp(Workspace work, PanelKernel kernel, PackedExperts experts, ExpertBatch batch, RowSource rows)
    {
        var layout = experts.Neurons;
        int itemsPerExpert = layout.Padded / PanelLayout.InputAlignment;
        int majorItems = layout.MajorPadded / PanelLayout.InputAlignment;
        bool quantised = kernel.Activations is ActivationFormat.Int8 or ActivationFormat.Int16;
        work.Hidden.Reset(kernel.Activations, batch.Tokens.Count, layout.Padded);
        // An integer row's scale needs the whole row: it stays in f32 until its expert's last panel is done. With many experts the thread
        // that finishes that panel then encodes the rows, while others go on with the next expert; with few, all threads encode at the end.
        nint stride = quantised ? layout.Padded + 16 : 0;
        float* wide = quantised ? work.WideHidden.Floats(stride * batch.Tokens.Count) : null;
        bool encodeLater = quantised && batch.Tokens.Count > LateRows && batch.Experts.Count < 4 * work.Team.Size;
        int[] pending = new int[batch.Experts.Count];
        Array.Fill(pending, itemsPerExpert);

        work.Team.For(batch.Experts.Count * itemsPerExpert, (item, worker) =>
        {
            int index = item / itemsPerExpert, part = item % itemsPerExpert;
            var expert = batch.Experts[index];
            int count = part < majorItems ? expert.Count : expert.Full;
            var weights = experts.GateUp(expert.Expert);
            float* tile = work.Tile(worker);
            byte* following = FirstPanel(item + 1);
            int end = (part + 1) * PanelsPerItem, together = Math.Min(PanelsPerItem, MatMul.PanelsAtOnce(count));
            for (int panel = part * PanelsPerItem; panel < end; panel += together)
            {
                for (int first = 0; first < count; first += Workspace.MaxRows)
                {
                    int block = Math.Min(Workspace.MaxRows, count - first);
                    int row = expert.First + first;
                    byte* next = first + block < count ? null : panel + together < end ? weights.Panel(panel + together) : following;
                    MatMul.Run(kernel, rows.Rows, rows.Fixed ? 0 : row, block, weights, panel, together, weights.Inputs, tile, next);
                    int position = panel * NeuronLayout.PerPanel;
                    if (quantised)
                        SwiGlu.Panels(tile, together, block, wide + row * stride + position, stride);
                    else if (kernel.Activations == ActivationFormat.F32)
                        SwiGlu.Panels(tile, together, block, (float*)work.Hidden.Row(row) + position, work.Hidden.RowBytes / sizeof(float));
                    else
                        SwiGlu.PanelsBf16(tile, together, block, (ushort*)work.Hidden.Row(row) + position, work.Hidden.RowBytes / sizeof(ushort));
                }
            }

            if (quantised && !encodeLater && Interlocked.Decrement(ref pending[index]) == 0)
                Encode(expert, 0, expert.Count);
        });
        if (!encodeLater)
            return;
        foreach (var expert in batch.Experts)
        {
            const int chunk = 8;
            work.Team.For((expert.Count + chunk - 1) / chunk, (item, _) => Encode(expert, item * chunk, Math.Min(expert.Count, (item + 1) * chunk)));
        }

        // The first panel of the item that this thread is likely to take next, if that has rows.
        byte* FirstPanel(int item)
        {
            int index = item / itemsPerExpert, part = item % itemsPerExpert;
            if (index >= batch.Experts.Count || (part >= majorItems && batch.Experts[index].Full == 0))
                return null;
            return experts.GateUp(batch.Experts[index].Expert).Panel(part * PanelsPerItem);
        }

        void Encode(ExpertRows expert, int first, int end)
        {
            for (int r = first; r < end; r++)
            {
                int inputs = r < expert.Full ? layout.Padded : layout.MajorPadded;
                work.Hidden.Encode(expert.First + r, new ReadOnlySpan<float>(wide + (expert.First + r) * stride, inputs));
            }
        }
    }

    private static void Down(Workspace work, PanelKernel kernel, PackedExperts experts, ExpertBatch batch, int tokens, float* y, bool add, bool goOn)
    {
        var layout = experts.Neurons;
        int most = tokens <= FewTokens ? MostPanelsOfFew : MostPanels;
        var pieces = Pieces(experts.Down(0).PanelCount, work.Team.Size, most);
        // A worker sums an item's columns of all tokens in dense scratch: rows of y are so far apart that they would fall into one set
        // of the cache.
        nint sumsStride = (nint)tokens * PanelLayout.Columns;
        float* sums = work.Sums.Floats(sumsStride * most * work.Team.Size);
        work.Team.For(pieces.Length, (item, worker) =>
        {
            float* tile = work.Tile(worker);
            float* sum = sums + worker * sumsStride * most;
            var (firstPanel, endPanel) = pieces[item];
            new Span<float>(sum, checked((int)sumsStride * (endPanel - firstPanel))).Clear();
            for (int panel = firstPanel; goOn && panel < endPanel; panel++)
                Columns(panel, static (sums, y) => y.CopyTo(sums));
            for (int i = 0; i < batch.Experts.Count; i++)
            {
                var expert = batch.Experts[i];
                var weights = experts.Down(expert.Expert);
                int majorOnly = expert.Count - expert.Full;
                // A panel is prefetched as far as the current one is read, so both must be read to the same length.
                bool sameLength = i + 1 < batch.Experts.Count && (majorOnly > 0 || batch.Experts[i + 1].Full > 0);
                byte* after = sameLength ? experts.Down(batch.Experts[i + 1].Expert).Panel(firstPanel) : null;
                // If an expert has full rows and major-only rows, each panel is used for both while it is in the cache.
                bool oneKind = majorOnly == 0 || expert.Full == 0;
                int together = oneKind ? Math.Min(endPanel - firstPanel, MatMul.PanelsAtOnce(expert.Count)) : 1;
                for (int panel = firstPanel; panel < endPanel; panel += together)
                {
                    int span = Math.Min(together, endPanel - panel);
                    byte* next = panel + span == endPanel ? after : oneKind ? weights.Panel(panel + span) : null;
                    Accumulate(panel, span, expert.First, expert.Full, layout.Padded, weights, majorOnly > 0 ? null : next);
                    Accumulate(panel, span, expert.First + expert.Full, majorOnly, layout.MajorPadded, weights, next);
                }
            }

            for (int panel = firstPanel; panel < endPanel; panel++)
                Columns(panel, add ? static (sums, y) => System.Numerics.Tensors.TensorPrimitives.Add(y, sums, y) : static (sums, y) => sums.CopyTo(y));

            // Of a panel, each token's sums and its columns of y.
            void Columns(int panel, ColumnStep step)
            {
                int column = panel * PanelLayout.Columns;
                int columns = Math.Min(PanelLayout.Columns, experts.Hidden - column);
                float* panelSum = sum + (panel - firstPanel) * sumsStride;
                for (int t = 0; t < tokens; t++)
                    step(new Span<float>(panelSum + t * PanelLayout.Columns, columns), new Span<float>(y + (nint)t * experts.Hidden + column, columns));
            }

            void Accumulate(int panel, int span, int firstRow, int count, int inputs, PackedMatrix weights, byte* next)
            {
                for (int first = 0; first < count; first += Workspace.MaxRows)
                {
                    int block = Math.Min(Workspace.MaxRows, count - first);
                    MatMul.Run(kernel, work.Hidden, firstRow + first, block, weights, panel, span, inputs, tile, first + block < count ? null : next);
                    for (int p = 0; p < span; p++)
                        AddRows(sum + (panel - firstPanel + p) * sumsStride, tile + p * block * PanelLayout.Columns, batch, firstRow + first, block);
                }
            }
        });
    }

    // A thread's share of the panels, in pieces of at most half of what remains, so that threads end at about the same time.
    private static (int First, int End)[] Pieces(int panels, int threads, int most)
    {
        var pieces = new List<(int, int)>();
        for (int thread = 0, first = 0; thread < threads; thread++)
        {
            int end = panels * (thread + 1) / threads;
            for (int size; first < end; first += size)
            {
                size = Math.Clamp((end - first) / 2, 1, most);
                pieces.Add((first, first + size));
            }
        }

        return [.. pieces];
    }

    // sums[token of r] += weight of r · tile[r], for the rows of a block in order.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddRows(float* sums, float* tile, ExpertBatch batch, int first, int count)
    {
        var tokens = CollectionsMarshal.AsSpan(batch.Tokens).Slice(first, count);
        var weights = CollectionsMarshal.AsSpan(batch.Weights).Slice(first, count);
        for (int r = 0; r < tokens.Length; r++, tile += PanelLayout.Columns)
        {
            float* sum = sums + (nint)tokens[r] * PanelLayout.Columns;
            for (int i = 0; i < PanelLayout.Columns; i += Vector<float>.Count)
                (Vector.Load(sum + i) + Vector.Load(tile + i) * weights[r]).Store(sum + i);
        }
    }

    private delegate void ColumnStep(Span<float> sums, Span<float> y);

    /// <param name="Rows">Where the rows are.</param>
    /// <param name="Fixed">Every expert reads the one row there is.</param>
    private readonly record struct RowSource(ActivationRows Rows, bool Fixed);
}

/// <summary>Replaces the values of a row by those that a format of fewer bits has.</summary>
internal delegate void RowRounding(Span<float> row);
