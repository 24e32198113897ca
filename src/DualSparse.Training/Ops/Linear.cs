using System.Numerics;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;
using DualSparse.Training.Products;

namespace DualSparse.Training.Ops;

/// <summary>y = x·Wᵀ + b, dx = dy·W, dW += dyᵀ·x, db += Σ dy.</summary>
internal sealed unsafe class Linear : IDisposable
{
    // Items a thread, at least, where there is something to split.
    private const int ItemsPerThread = 4;

    private readonly Arithmetic arithmetic;
    private readonly ParameterSet set;
    private readonly Parameter weight;
    private readonly Parameter? bias;
    private readonly AlignedBuffer byRows, byColumns;

    /// <summary>Takes the weights of a set; <see cref="Pack"/> has to follow.</summary>
    /// <param name="arithmetic">In what products are computed.</param>
    /// <param name="set">The tensors.</param>
    /// <param name="weight">W, [outputs, inputs], the inputs in one dimension or in several.</param>
    /// <param name="bias">b, [outputs]; null: none.</param>
    public Linear(Arithmetic arithmetic, ParameterSet set, Parameter weight, Parameter? bias = null)
    {
        (this.arithmetic, this.set, this.weight, this.bias) = (arithmetic, set, weight, bias);
        (Outputs, Inputs) = ((int)weight.Shape[0], (int)(weight.Count / weight.Shape[0]));
        byRows = new AlignedBuffer((nuint)arithmetic.PanelsBytes(Outputs, Inputs));
        byColumns = new AlignedBuffer((nuint)arithmetic.PanelsBytes(Inputs, Outputs));
    }

    /// <summary>Outputs.</summary>
    public int Outputs { get; }

    /// <summary>Inputs.</summary>
    public int Inputs { get; }

    /// <summary>Packs the weights as they are now, for both directions.</summary>
    public void Pack(TrainingWork work)
    {
        float* values = set.Values + weight.Offset;
        int rows = PanelLayout.PanelCount(Outputs), columns = PanelLayout.PanelCount(Inputs);
        nint rowPanel = arithmetic.PanelBytes(Inputs), columnPanel = arithmetic.PanelBytes(Outputs);
        work.Team.For(rows + columns, (item, _) =>
        {
            int first = (item < rows ? item : item - rows) * PanelLayout.Columns;
            if (item < rows)
                Rows.ToPanels(arithmetic, values + (nint)first * Inputs, Inputs, Math.Min(PanelLayout.Columns, Outputs - first), Inputs, byRows.Pointer + item * rowPanel, rowPanel);
            else
                Columns.ToPanels(arithmetic, values + first, Inputs, null, Outputs, Math.Min(PanelLayout.Columns, Inputs - first), byColumns.Pointer + (item - rows) * columnPanel, columnPanel);
        });
    }

    /// <summary>y = x·Wᵀ + b.</summary>
    /// <param name="work">Threads, scratch.</param>
    /// <param name="x">[tokens, inputs] f32.</param>
    /// <param name="tokens">Rows.</param>
    /// <param name="y">[tokens, outputs] f32.</param>
    /// <param name="add">Whether the product is added to y rather than stored.</param>
    public void Forward(TrainingWork work, float* x, int tokens, float* y, bool add = false)
    {
        Multiply(work, x, tokens, Inputs, byRows, Outputs, y, add);
        if (bias is not null)
            AddBias(work, tokens, y);
    }

    /// <summary>dx = dy·W.</summary>
    /// <param name="work">Threads, scratch.</param>
    /// <param name="dy">[tokens, outputs] f32.</param>
    /// <param name="tokens">Rows.</param>
    /// <param name="dx">[tokens, inputs] f32.</param>
    /// <param name="add">Whether the product is added to dx rather than stored.</param>
    public void BackwardInput(TrainingWork work, float* dy, int tokens, float* dx, bool add) => Multiply(work, dy, tokens, Outputs, byColumns, Inputs, dx, add);

    /// <summary>dW += dyᵀ·x, db += Σ dy: the sums over tokens in one order.</summary>
    /// <param name="work">Threads, scratch.</param>
    /// <param name="dy">[tokens, outputs] f32.</param>
    /// <param name="x">[tokens, inputs] f32.</param>
    /// <param name="tokens">Rows.</param>
    public void BackwardWeight(TrainingWork work, float* dy, float* x, int tokens)
    {
        float* gradient = set.Gradients + weight.Offset;
        int outputs = Outputs, inputs = Inputs;
        nint turnedRow = arithmetic.RowBytes(Product.RowsTogether);
        int groups = PanelLayout.PanelCount(outputs), panels = PanelLayout.PanelCount(inputs);
        byte* turned = (byte*)work.Turned.Floats(arithmetic.RowsBytes(groups * PanelLayout.Columns, Product.RowsTogether) / sizeof(float));
        int slices = Math.Clamp(ItemsPerThread * work.Team.Size / panels, 1, (outputs + Product.Block - 1) / Product.Block);
        int slice = ((outputs + slices - 1) / slices + PanelLayout.RowAlignment - 1) / PanelLayout.RowAlignment * PanelLayout.RowAlignment;
        for (int first = 0; first < tokens; first += Product.RowsTogether)
        {
            int count = Math.Min(Product.RowsTogether, tokens - first);
            float* rows = x + (nint)first * inputs, gradients = dy + (nint)first * outputs;
            work.Team.For(groups, (group, worker) =>
            {
                int column = group * PanelLayout.Columns;
                byte* steps = work.Of(worker).Take(arithmetic.PanelBytes(count));
                Columns.ToRows(arithmetic, gradients + column, outputs, null, count, Math.Min(PanelLayout.Columns, outputs - column), turned + column * turnedRow, turnedRow, steps);
            });
            work.Team.For(panels * slices, (item, worker) =>
            {
                var scratch = work.Of(worker);
                int column = item / slices * PanelLayout.Columns, row = item % slices * slice, width = Math.Min(PanelLayout.Columns, inputs - column);
                if (row >= outputs)
                    return;
                nint panelBytes = arithmetic.PanelBytes(count);
                byte* panel = scratch.Take(panelBytes);
                float* tile = scratch.Floats(Product.TileBytes / sizeof(float));
                Columns.ToPanels(arithmetic, rows + column, inputs, null, count, width, panel, panelBytes);
                Product.Run(
                    arithmetic, turned + row * turnedRow, turnedRow, Math.Min(slice, outputs - row), panel, panelBytes, width, count, tile, new AddTile(gradient + (nint)row * inputs + column, inputs));
            });
        }

        if (bias is not null)
            AddColumnSums(work, dy, tokens, set.Gradients + bias.Offset);
    }

    /// <summary>Frees the packed weights.</summary>
    public void Dispose()
    {
        byRows.Dispose();
        byColumns.Dispose();
    }

    private void Multiply(TrainingWork work, float* x, int tokens, int inputs, AlignedBuffer panels, int outputs, float* y, bool add)
    {
        nint panelBytes = arithmetic.PanelBytes(inputs), rowBytes = arithmetic.RowBytes(inputs);
        byte* first = panels.Pointer;
        work.Team.For((tokens + Product.Block - 1) / Product.Block, (item, worker) =>
        {
            var scratch = work.Of(worker);
            nint row = (nint)item * Product.Block;
            int count = (int)Math.Min(Product.Block, tokens - row);
            byte* rows = scratch.Take(arithmetic.RowsBytes(count, inputs));
            float* tile = scratch.Floats(Product.TileBytes / sizeof(float));
            Rows.Encode(arithmetic, x + row * inputs, inputs, null, count, inputs, rows, rowBytes);
            if (add)
                Product.Run(arithmetic, rows, rowBytes, count, first, panelBytes, outputs, inputs, tile, new AddTile(y + row * outputs, outputs));
            else
                Product.Run(arithmetic, rows, rowBytes, count, first, panelBytes, outputs, inputs, tile, new StoreTile(y + row * outputs, outputs));
        });
    }

    private void AddBias(TrainingWork work, int tokens, float* y)
    {
        float* values = set.Values + bias!.Offset;
        work.Team.For((tokens + Product.Block - 1) / Product.Block, (item, _) =>
        {
            for (int t = item * Product.Block; t < Math.Min(tokens, (item + 1) * Product.Block); t++)
            {
                var row = new Span<float>(y + (nint)t * Outputs, Outputs);
                System.Numerics.Tensors.TensorPrimitives.Add(row, new ReadOnlySpan<float>(values, Outputs), row);
            }
        });
    }

    private void AddColumnSums(TrainingWork work, float* dy, int tokens, float* sums)
    {
        int width = Vector<float>.Count, outputs = Outputs;
        work.Team.For((outputs + width - 1) / width, (item, _) =>
        {
            int column = item * width;
            if (column + width <= outputs)
            {
                var sum = Vector<float>.Zero;
                for (int t = 0; t < tokens; t++)
                    sum += Vector.Load(dy + (nint)t * outputs + column);
                (Vector.Load(sums + column) + sum).Store(sums + column);
                return;
            }

            for (; column < outputs; column++)
            {
                float sum = 0;
                for (int t = 0; t < tokens; t++)
                    sum += dy[(nint)t * outputs + column];
                sums[column] += sum;
            }
        });
    }
}
