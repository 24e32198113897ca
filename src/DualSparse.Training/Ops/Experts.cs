using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using DualSparse.Engine.Moe;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Training.Products;

namespace DualSparse.Training.Ops;

/// <summary>
/// The routed experts: y_t = Σ_k w_tk · W2_e·h, h = SiLU(W1_e·x_t) ⊙ W3_e·x_t. Backward, with δ = dy_t: dh′ = W2ᵀ·δ; dw = dh′·h; dW2 += δ·(w·h)ᵀ;
/// (dg, du) from w·dh′; dW1 += dg·xᵀ, dW3 += du·xᵀ; dx_t = Σ_k W1ᵀ·dg + W3ᵀ·du. An expert's output itself is never needed again.
/// </summary>
internal sealed unsafe class Experts : IDisposable
{
    private readonly Arithmetic arithmetic;
    private readonly ParameterSet set;
    private readonly ExpertPlacement placement;
    private readonly Parameter[] gate, up, down;
    private readonly int experts, hidden, neurons;
    private readonly AlignedBuffer gateUp, gateUpColumns, downRows, downColumns;

    // Where other ranks' rows come here, too: the gradients of each further part, as the experts lie in the set.
    private readonly AlignedBuffer[] partGradients;

    /// <summary>Takes those of a layer's experts that this process has; <see cref="Pack"/> has to follow.</summary>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public Experts(Arithmetic arithmetic, ParameterSet set, LayerTensors tensors, MoeConfig config, int hidden, TrainingParts parts)
    {
        int[] held = [.. Enumerable.Range(0, config.Experts).Where(e => parts.Holds(e, config.Experts))];
        (this.arithmetic, this.set, this.hidden, experts, neurons) = (arithmetic, set, hidden, held.Length, config.Intermediate);
        (First, placement) = (held is [var first, ..] ? first : 0, parts.Place(config.Experts));
        var all = held.Select(tensors.Expert).ToArray();
        gate = [.. all.Select(e => set[e.Gate.Tensor.Name])];
        up = [.. all.Select(e => set[e.Up.Tensor.Name])];
        down = [.. all.Select(e => set[e.Down.Tensor.Name])];
        gateUp = Panels(2 * PanelLayout.PanelCount(neurons), hidden);
        gateUpColumns = Panels(PanelLayout.PanelCount(hidden), GateUpInputs);
        downRows = Panels(PanelLayout.PanelCount(hidden), neurons);
        downColumns = Panels(PanelLayout.PanelCount(neurons), hidden);
        partGradients = [.. Enumerable.Range(1, parts.Group is null ? 0 : parts.Count - 1).Select(_ => new AlignedBuffer((nuint)Length * sizeof(float)))];
        foreach (var part in partGradients)
            NativeMemory.Clear(part.Pointer, part.Bytes);
    }

    /// <summary>The first expert that this process has; it has the following ones, too.</summary>
    public int First { get; }

    /// <summary>How many it has.</summary>
    public int Count => experts;

    // Elements of the held experts in the set, from the first one's gates on.
    private long Start => experts == 0 ? 0 : gate[0].Offset;

    private long Length => experts == 0 ? 0 : down[^1].Offset + down[^1].Count - Start;

    // Ups begin at a panel of their own, so that no panel holds both.
    private int UpColumn => PanelLayout.PanelCount(neurons) * PanelLayout.Columns;

    // Of the product back to x: gates, zeros up to a multiple of 64, ups.
    private int GateUpInputs => PanelLayout.PadInputs(neurons) + neurons;

    /// <summary>Floats that <see cref="Forward"/> keeps of each pair: gates, then ups.</summary>
    public int KeptWidth => 2 * neurons;

    /// <summary>Packs the weights as they are now, for both directions.</summary>
    public void Pack(TrainingWork work) => work.Team.For(experts, (e, _) =>
    {
        float* g = set.Values + gate[e].Offset, u = set.Values + up[e].Offset, d = set.Values + down[e].Offset;
        nint wide = arithmetic.PanelBytes(hidden), back = arithmetic.PanelBytes(GateUpInputs), narrow = arithmetic.PanelBytes(neurons);
        byte* first = Of(gateUp, e);
        Rows.ToPanels(arithmetic, g, hidden, neurons, hidden, first, wide);
        Rows.ToPanels(arithmetic, u, hidden, neurons, hidden, first + PanelLayout.PanelCount(neurons) * wide, wide);
        // The gates' inputs are padded, then the ups' follow in the same panel.
        Columns.ToPanels(arithmetic, g, hidden, null, neurons, hidden, Of(gateUpColumns, e), back);
        Columns.ToPanels(arithmetic, u, hidden, null, neurons, hidden, Of(gateUpColumns, e) + arithmetic.PanelBytes(neurons), back);
        Rows.ToPanels(arithmetic, d, neurons, hidden, neurons, Of(downRows, e), narrow);
        Columns.ToPanels(arithmetic, d, neurons, null, hidden, neurons, Of(downColumns, e), wide);
    });

    /// <summary>Sets the gradients of further parts to 0.</summary>
    public void ClearParts(ThreadTeam team)
    {
        foreach (var part in partGradients)
            ParallelSum.Clear(team, (float*)part.Pointer, Length);
    }

    /// <summary>Adds the gradients of further parts to the set's, in the order of parts.</summary>
    public void AddParts(ThreadTeam team) => ParallelSum.Add(team, set.Gradients + Start, Length, [.. partGradients.Select(part => (nint)part.Pointer)]);

    /// <summary>y += the experts' sum; of several parts, the sum of each part's experts by itself, in the order of parts.</summary>
    /// <param name="work">Threads, scratch.</param>
    /// <param name="lists">The pairs.</param>
    /// <param name="weights">[pairs] their weights.</param>
    /// <param name="x">[tokens, hidden] f32.</param>
    /// <param name="kept">[rows, <see cref="KeptWidth"/>] f32, kept for <see cref="Backward"/>.</param>
    /// <param name="y">[tokens, hidden] f32.</param>
    public void Forward(TrainingWork work, ExpertLists lists, float* weights, float* x, float* kept, float* y)
    {
        var pieces = lists.Pieces(Product.Block);
        float* outputs = work.PairRows.Floats((nint)lists.Rows * hidden);
        work.Team.For(pieces.Count, (item, worker) =>
        {
            var (e, first, count) = pieces[item];
            var scratch = work.Of(worker);
            nint wide = arithmetic.RowBytes(hidden), narrow = arithmetic.RowBytes(neurons);
            byte* rows = scratch.Take(arithmetic.RowsBytes(count, hidden)), hiddenRows = scratch.Take(arithmetic.RowsBytes(count, neurons));
            float* tile = scratch.Floats(Product.TileBytes / sizeof(float)), h = scratch.Floats(neurons);
            fixed (int* tokens = lists.Tokens)
                Rows.Encode(arithmetic, x, hidden, tokens + first, count, hidden, rows, wide);
            float* gatesAndUps = kept + (nint)first * KeptWidth;
            GatesAndUps(e, rows, count, gatesAndUps, tile);
            for (int r = 0; r < count; r++)
            {
                float* row = gatesAndUps + (nint)r * KeptWidth;
                SwiGlu.Forward(new ReadOnlySpan<float>(row, neurons), new ReadOnlySpan<float>(row + neurons, neurons), new Span<float>(h, neurons));
                arithmetic.EncodeRow(h, neurons, hiddenRows + r * narrow);
            }

            Product.Run(
                arithmetic, hiddenRows, narrow, count, Of(downRows, e), arithmetic.PanelBytes(neurons), hidden, neurons, tile, new StoreTile(outputs + (nint)first * hidden, hidden));
        });
        Combine(work, lists, weights, outputs, y);
    }

    /// <summary>Adds the gradients of the weights, and gives those of x and of the pairs' weights.</summary>
    /// <param name="work">Threads, scratch.</param>
    /// <param name="lists">The pairs.</param>
    /// <param name="weights">[pairs] their weights.</param>
    /// <param name="x">[tokens, hidden] f32, as in <see cref="Forward"/>.</param>
    /// <param name="kept">What <see cref="Forward"/> kept; overwritten.</param>
    /// <param name="dy">[tokens, hidden] f32.</param>
    /// <param name="dx">[tokens, hidden] f32, added to.</param>
    /// <param name="dWeights">[pairs], overwritten.</param>
    public void Backward(TrainingWork work, ExpertLists lists, float* weights, float* x, float* kept, float* dy, float* dx, float* dWeights)
    {
        float* inputs = work.PairRows.Floats((nint)lists.Rows * hidden), weighted = work.PairHidden.Floats((nint)lists.Rows * neurons);
        var pieces = lists.Pieces(Product.Block);
        work.Team.For(pieces.Count, (item, worker) =>
            BackwardRows(work.Of(worker), lists, weights, pieces[item], kept, dy, inputs, weighted, dWeights));
        Combine(work, lists, weights: null, inputs, dx);
        BackwardWeights(work, lists, x, kept, dy, weighted);
    }

    /// <summary>Frees the packed weights.</summary>
    public void Dispose()
    {
        gateUp.Dispose();
        gateUpColumns.Dispose();
        downRows.Dispose();
        downColumns.Dispose();
        foreach (var part in partGradients)
            part.Dispose();
    }

    // kept = gates and ups of the rows.
    private void GatesAndUps(int e, byte* rows, int count, float* kept, float* tile)
    {
        nint rowBytes = arithmetic.RowBytes(hidden), panelBytes = arithmetic.PanelBytes(hidden);
        byte* panels = Of(gateUp, e);
        Product.Run(arithmetic, rows, rowBytes, count, panels, panelBytes, neurons, hidden, tile, new StoreTile(kept, KeptWidth));
        Product.Run(arithmetic, rows, rowBytes, count, panels + UpColumn / PanelLayout.Columns * panelBytes, panelBytes, neurons, hidden, tile, new StoreTile(kept + neurons, KeptWidth));
    }

    // Of some rows of one expert: w·h, the gradients of gates and ups (in place of what was kept), of the weight, and the share of dx.
    private void BackwardRows(
        Scratch scratch, ExpertLists lists, float* weights, (int Local, int First, int Count) piece, float* kept, float* dy, float* inputs, float* weighted, float* dWeights)
    {
        var (e, first, count) = piece;
        nint wide = arithmetic.RowBytes(hidden), back = arithmetic.RowBytes(GateUpInputs);
        byte* rows = scratch.Take(arithmetic.RowsBytes(count, hidden)), backRows = scratch.Take(arithmetic.RowsBytes(count, GateUpInputs));
        float* tile = scratch.Floats(Product.TileBytes / sizeof(float)), dh = scratch.Floats(Product.Block * neurons);
        nint upBytes = PanelLayout.PadInputs(neurons) * (nint)arithmetic.ElementBytes;
        fixed (int* tokens = lists.Tokens)
            Rows.Encode(arithmetic, dy, hidden, tokens + first, count, hidden, rows, wide);
        Product.Run(arithmetic, rows, wide, count, Of(downColumns, e), arithmetic.PanelBytes(hidden), neurons, hidden, tile, new StoreTile(dh, neurons));
        for (int r = 0; r < count; r++)
        {
            int pair = lists.Pairs[first + r];
            float* row = kept + (nint)(first + r) * KeptWidth;
            Span<float> gates = new(row, neurons), ups = new(row + neurons, neurons), h = new(weighted + (nint)(first + r) * neurons, neurons), d = new(dh + r * neurons, neurons);
            SwiGlu.Forward(gates, ups, h);
            dWeights[pair] = TensorPrimitives.Dot(d, h);
            TensorPrimitives.Multiply(h, weights[pair], h);
            TensorPrimitives.Multiply(d, weights[pair], d);
            SwiGluOp.Backward(dh + r * neurons, neurons, row, row + neurons, KeptWidth, 1, neurons, row, row + neurons, KeptWidth);
            byte* target = backRows + r * back;
            arithmetic.EncodeRow(row, neurons, target);
            arithmetic.EncodeRow(row + neurons, neurons, target + upBytes);
        }

        Product.Run(
            arithmetic, backRows, back, count, Of(gateUpColumns, e), arithmetic.PanelBytes(GateUpInputs), hidden, GateUpInputs, tile, new StoreTile(inputs + (nint)first * hidden, hidden));
    }

    // Gates and ups share their right operand, x.
    private void BackwardWeights(TrainingWork work, ExpertLists lists, float* x, float* gradients, float* dy, float* weighted) => work.Team.For(2 * experts * lists.Parts, (item, worker) =>
    {
        var (group, which) = Math.DivRem(item, 2);
        var (e, part) = Math.DivRem(group, lists.Parts);
        var (first, count) = lists.RowsOf(e, part);
        float* sums = part == 0 ? set.Gradients : (float*)partGradients[part - 1].Pointer - Start;
        fixed (int* tokens = lists.Tokens)
        {
            if (which == 0)
                AddOuter(work.Of(worker), gradients + (nint)first * KeptWidth, KeptWidth, null, x, hidden, tokens + first, count, new AddTwoTiles(sums + gate[e].Offset, sums + up[e].Offset, neurons, hidden));
            else
                AddOuter(work.Of(worker), dy, hidden, tokens + first, weighted + (nint)first * neurons, neurons, null, count, new AddTile(sums + down[e].Offset, neurons));
        }
    });

    // sink [left's width, right's width] += Σ over pairs of left row ⊗ right row.
    private void AddOuter<TSink>(Scratch scratch, float* left, int rows, int* leftIndex, float* right, int columns, int* rightIndex, int count, TSink sink)
        where TSink : struct, ITileSink
    {
        int most = Math.Min(Product.RowsTogether, count);
        nint rowBytes = arithmetic.RowBytes(most), panelBytes = arithmetic.PanelBytes(most);
        byte* turned = scratch.Take(arithmetic.RowsBytes(PanelLayout.PanelCount(rows) * PanelLayout.Columns, most));
        byte* panels = scratch.Take(arithmetic.PanelsBytes(columns, most)), steps = scratch.Take(panelBytes);
        float* tile = scratch.Floats(Product.TileBytes / sizeof(float));
        for (int first = 0; first < count; first += Product.RowsTogether)
        {
            int some = Math.Min(Product.RowsTogether, count - first);
            Columns.ToRows(arithmetic, leftIndex is null ? left + (nint)first * rows : left, rows, leftIndex is null ? null : leftIndex + first, some, rows, turned, rowBytes, steps);
            Columns.ToPanels(arithmetic, rightIndex is null ? right + (nint)first * columns : right, columns, rightIndex is null ? null : rightIndex + first, some, columns, panels, panelBytes);
            Product.Run(arithmetic, turned, rowBytes, rows, panels, panelBytes, columns, some, tile, sink);
        }
    }

    // y_t += Σ of its pairs' rows, times their weights, in the order of experts: at once where there is one part, else each part's experts by themselves.
    private void Combine(TrainingWork work, ExpertLists lists, float* weights, float* rows, float* y)
    {
        const int tokensPerItem = 32;
        int tokens = lists.TokenCount;
        work.Team.For((tokens + tokensPerItem - 1) / tokensPerItem, (item, worker) =>
        {
            Span<int> most = stackalloc int[lists.MostPairs];
            var apart = placement.Ranks == 1 ? default : new Span<float>(work.Of(worker).Floats(hidden), hidden);
            for (int t = item * tokensPerItem; t < Math.Min(tokens, (item + 1) * tokensPerItem); t++)
            {
                int first = lists.FirstPair[t], count = lists.FirstPair[t + 1] - first;
                var order = most[..count];
                lists.RowOf.AsSpan(first, count).CopyTo(order);
                order.Sort();
                var sum = new Span<float>(y + (nint)t * hidden, hidden);
                for (int i = 0; i < count;)
                {
                    int end = apart.IsEmpty ? count : EndOfPart(lists, order, i);
                    apart.Clear();
                    for (; i < end; i++)
                        Add(lists, weights, order[i], rows, apart.IsEmpty ? sum : apart);
                    if (!apart.IsEmpty)
                        TensorPrimitives.Add(sum, apart, sum);
                }
            }
        });
    }

    private int EndOfPart(ExpertLists lists, ReadOnlySpan<int> order, int from)
    {
        int part = placement.RankOf[lists.ExpertOf[order[from]]], end = from + 1;
        while (end < order.Length && placement.RankOf[lists.ExpertOf[order[end]]] == part)
            end++;
        return end;
    }

    private void Add(ExpertLists lists, float* weights, int row, float* rows, Span<float> sum)
    {
        var addend = new ReadOnlySpan<float>(rows + (nint)row * hidden, hidden);
        if (weights is null)
            TensorPrimitives.Add(sum, addend, sum);
        else
            TensorPrimitives.MultiplyAdd(addend, weights[lists.Pairs[row]], sum, sum);
    }

    private AlignedBuffer Panels(int panels, int inputs) => new((nuint)(experts * panels * arithmetic.PanelBytes(inputs)));

    private byte* Of(AlignedBuffer panels, int expert) => panels.Pointer + (nuint)expert * (panels.Bytes / (nuint)experts);
}
