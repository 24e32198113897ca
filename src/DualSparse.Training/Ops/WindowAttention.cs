using System.Numerics.Tensors;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Packing;
using DualSparse.Training.Products;

namespace DualSparse.Training.Ops;

/// <summary>
/// o_i = Σ_j P_ij·v_j, P = softmax(s·q·kᵀ) over a window's positions, or over j ≤ i alone, blocks of queries at a time. Kept is each row's log-sum-exp,
/// from which the backward pass makes P again (FlashAttention-2, arXiv 2307.08691): D_i = do_i·o_i; dP = do·vᵀ; dS = s·P ⊙ (dP − D);
/// dq = dS·k; dk = dSᵀ·q; dv = Pᵀ·do.
/// </summary>
/// <param name="arithmetic">In what products are computed.</param>
/// <param name="heads">Query heads.</param>
/// <param name="keyValueHeads">Key-value heads; a divisor of <paramref name="heads"/>.</param>
/// <param name="size">Width of a head.</param>
/// <param name="scale">s.</param>
/// <param name="causal">Whether a position sees none behind it.</param>
/// <param name="joined">Whether queries, keys and values of a token stand side by side in one row.</param>
internal sealed unsafe class WindowAttention(Arithmetic arithmetic, int heads, int keyValueHeads, int size, float scale, bool causal = true, bool joined = false)
{
    // Queries at a time: their scores over 512 keys are 256 KiB, a part of the second-level cache.
    private const int Block = Product.Block;

    private readonly int group = heads / keyValueHeads;

    private int OutputStride => heads * size;

    // From one token's queries, keys or values to the next one's.
    private int QueryStride => joined ? (heads + 2 * keyValueHeads) * size : heads * size;

    private int KeyStride => joined ? QueryStride : keyValueHeads * size;

    /// <summary>o, and each row's log-sum-exp.</summary>
    /// <param name="work">Threads, scratch.</param>
    /// <param name="windows">The windows' rows.</param>
    /// <param name="q">[tokens, heads, size] f32.</param>
    /// <param name="k">[tokens, key-value heads, size] f32.</param>
    /// <param name="v">As k.</param>
    /// <param name="o">[tokens, heads, size] f32, dense, overwritten.</param>
    /// <param name="logSums">[tokens, heads] f32, overwritten.</param>
    public void Forward(TrainingWork work, Window[] windows, float* q, float* k, float* v, float* o, float* logSums) => work.Team.For(windows.Length * keyValueHeads, (item, worker) =>
    {
        var (index, keyHead) = Math.DivRem(item, keyValueHeads);
        var (start, length) = windows[index];
        var scratch = work.Of(worker);
        nint token = start;
        float* keys = k + token * KeyStride + keyHead * size, values = v + token * KeyStride + keyHead * size;
        nint keyPanel = arithmetic.PanelBytes(size), valuePanel = arithmetic.PanelBytes(length);
        byte* keyPanels = scratch.Take(arithmetic.PanelsBytes(length, size)), valuePanels = scratch.Take(arithmetic.PanelsBytes(size, length));
        Rows.ToPanels(arithmetic, keys, KeyStride, length, size, keyPanels, keyPanel);
        Columns.ToPanels(arithmetic, values, KeyStride, null, length, size, valuePanels, valuePanel);
        var room = new Room(arithmetic, scratch, length, size);
        for (int h = keyHead * group; h < (keyHead + 1) * group; h++)
        {
            for (int first = 0; first < length; first += Block)
            {
                int rows = Math.Min(Block, length - first), seen = causal ? first + rows : length;
                nint row = token + first;
                Rows.Encode(arithmetic, q + row * QueryStride + h * size, QueryStride, null, rows, size, room.HeadRows, room.HeadBytes);
                Product.Run(arithmetic, room.HeadRows, room.HeadBytes, rows, keyPanels, keyPanel, seen, size, room.Tile, new StoreTile(room.Scores, length));
                for (int r = 0; r < rows; r++)
                {
                    var scores = new Span<float>(room.Scores + (nint)r * length, seen);
                    logSums[(row + r) * heads + h] = Softmaxed(scores, causal ? first + r + 1 : length);
                    arithmetic.EncodeRow(room.Scores + (nint)r * length, seen, room.KeyRows + r * room.KeyBytes);
                }

                Product.Run(
                    arithmetic, room.KeyRows, room.KeyBytes, rows, valuePanels, valuePanel, size, seen, room.Tile, new StoreTile(o + row * OutputStride + h * size, OutputStride));
            }
        }
    });

    /// <summary>The gradients of q, k and v.</summary>
    /// <param name="work">Threads, scratch.</param>
    /// <param name="windows">The windows' rows.</param>
    /// <param name="q">As in <see cref="Forward"/>.</param>
    /// <param name="k">As in <see cref="Forward"/>.</param>
    /// <param name="v">As in <see cref="Forward"/>.</param>
    /// <param name="o">What <see cref="Forward"/> gave.</param>
    /// <param name="logSums">What <see cref="Forward"/> gave.</param>
    /// <param name="dO">The gradient of o.</param>
    /// <param name="dq">As q, overwritten.</param>
    /// <param name="dk">As k, overwritten.</param>
    /// <param name="dv">As v, overwritten.</param>
    public void Backward(
        TrainingWork work, Window[] windows, float* q, float* k, float* v, float* o, float* logSums, float* dO, float* dq, float* dk, float* dv) => work.Team.For(windows.Length * keyValueHeads, (item, worker) =>
    {
        var (index, keyHead) = Math.DivRem(item, keyValueHeads);
        var (start, length) = windows[index];
        var scratch = work.Of(worker);
        nint token = start, keyOffset = token * KeyStride + keyHead * size;
        nint headPanel = arithmetic.PanelBytes(size), keyPanel = arithmetic.PanelBytes(length), blockPanel = arithmetic.PanelBytes(Block), blockRow = arithmetic.RowBytes(Block);
        byte* keyPanels = scratch.Take(arithmetic.PanelsBytes(length, size)), valuePanels = scratch.Take(arithmetic.PanelsBytes(length, size));
        byte* keyColumns = scratch.Take(arithmetic.PanelsBytes(size, length));
        Rows.ToPanels(arithmetic, k + keyOffset, KeyStride, length, size, keyPanels, headPanel);
        Rows.ToPanels(arithmetic, v + keyOffset, KeyStride, length, size, valuePanels, headPanel);
        Columns.ToPanels(arithmetic, k + keyOffset, KeyStride, null, length, size, keyColumns, keyPanel);
        var room = new Room(arithmetic, scratch, length, size);
        float* products = scratch.Floats((nint)Block * length);
        byte* turned = scratch.Take(arithmetic.RowsBytes(PanelLayout.PanelCount(length) * PanelLayout.Columns, Block)), steps = scratch.Take(blockPanel);
        byte* columns = scratch.Take(arithmetic.PanelsBytes(size, Block));
        for (int t = 0; t < length; t++)
        {
            new Span<float>(dk + keyOffset + (nint)t * KeyStride, size).Clear();
            new Span<float>(dv + keyOffset + (nint)t * KeyStride, size).Clear();
        }

        for (int h = keyHead * group; h < (keyHead + 1) * group; h++)
        {
            for (int first = 0; first < length; first += Block)
            {
                int rows = Math.Min(Block, length - first), seen = causal ? first + rows : length;
                nint row = token + first, offset = row * QueryStride + h * size, output = row * OutputStride + h * size;
                Rows.Encode(arithmetic, q + offset, QueryStride, null, rows, size, room.HeadRows, room.HeadBytes);
                Product.Run(arithmetic, room.HeadRows, room.HeadBytes, rows, keyPanels, headPanel, seen, size, room.Tile, new StoreTile(room.Scores, length));
                Rows.Encode(arithmetic, dO + output, OutputStride, null, rows, size, room.HeadRows, room.HeadBytes);
                Product.Run(arithmetic, room.HeadRows, room.HeadBytes, rows, valuePanels, headPanel, seen, size, room.Tile, new StoreTile(products, length));
                for (int r = 0; r < rows; r++)
                {
                    int visible = causal ? first + r + 1 : length;
                    var p = new Span<float>(room.Scores + (nint)r * length, seen);
                    Weights(p, visible, logSums[(row + r) * heads + h]);
                    var d = new ReadOnlySpan<float>(dO + output + (nint)r * OutputStride, size);
                    float mean = TensorPrimitives.Dot(d, new ReadOnlySpan<float>(o + output + (nint)r * OutputStride, size));
                    // dS in place of dP, zeros where nothing is seen.
                    var s = new Span<float>(products + (nint)r * length, seen);
                    TensorPrimitives.Subtract(s, mean, s);
                    TensorPrimitives.Multiply(s, scale, s);
                    TensorPrimitives.Multiply(s, p, s);
                    s[visible..].Clear();
                    arithmetic.EncodeRow(products + (nint)r * length, seen, room.KeyRows + r * room.KeyBytes);
                }

                Product.Run(arithmetic, room.KeyRows, room.KeyBytes, rows, keyColumns, keyPanel, size, seen, room.Tile, new StoreTile(dq + offset, QueryStride));

                Columns.ToRows(arithmetic, products, length, null, rows, seen, turned, blockRow, steps);
                Columns.ToPanels(arithmetic, q + offset, QueryStride, null, rows, size, columns, blockPanel);
                Product.Run(arithmetic, turned, blockRow, seen, columns, blockPanel, size, rows, room.Tile, new AddTile(dk + keyOffset, KeyStride));

                Columns.ToRows(arithmetic, room.Scores, length, null, rows, seen, turned, blockRow, steps);
                Columns.ToPanels(arithmetic, dO + output, OutputStride, null, rows, size, columns, blockPanel);
                Product.Run(arithmetic, turned, blockRow, seen, columns, blockPanel, size, rows, room.Tile, new AddTile(dv + keyOffset, KeyStride));
            }
        }
    });

    // The first `visible` scores become their softmax, the others 0; returns log Σ e^(s·score).
    private float Softmaxed(Span<float> scores, int visible)
    {
        var seen = scores[..visible];
        float largest = TensorPrimitives.Max(seen) * scale;
        TensorPrimitives.Multiply(seen, scale, seen);
        TensorPrimitives.Subtract(seen, largest, seen);
        Exp.Forward(seen, seen);
        float sum = TensorPrimitives.Sum<float>(seen);
        TensorPrimitives.Multiply(seen, 1 / sum, seen);
        scores[visible..].Clear();
        return largest + MathF.Log(sum);
    }

    private void Weights(Span<float> scores, int visible, float logSum)
    {
        var seen = scores[..visible];
        TensorPrimitives.Multiply(seen, scale, seen);
        TensorPrimitives.Subtract(seen, logSum, seen);
        Exp.Forward(seen, seen);
        scores[visible..].Clear();
    }

    // One head's scratch for a block of queries.
    private readonly struct Room
    {
        public Room(Arithmetic arithmetic, Scratch scratch, int length, int size)
        {
            (HeadBytes, KeyBytes) = (arithmetic.RowBytes(size), arithmetic.RowBytes(length));
            HeadRows = scratch.Take(arithmetic.RowsBytes(Block, size));
            KeyRows = scratch.Take(arithmetic.RowsBytes(Block, length));
            Scores = scratch.Floats((nint)Block * length);
            Tile = scratch.Floats(Product.TileBytes / sizeof(float));
        }

        public nint HeadBytes { get; }

        public nint KeyBytes { get; }

        public byte* HeadRows { get; }

        public byte* KeyRows { get; }

        public float* Scores { get; }

        public float* Tile { get; }
    }
}
