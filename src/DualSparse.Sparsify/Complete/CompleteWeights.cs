using System.Numerics.Tensors;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Sparsify.Complete;

/// <summary>Writes the weights of a completed checkpoint, each original tensor's successors in its place.</summary>
internal sealed class CompleteWeights
{
    private readonly Checkpoint source;
    private readonly ModelConfig completed;
    private readonly Completion completion;
    private readonly int parts;
    private readonly ILookup<int, (int Part, int Place)> places;
    private readonly List<Piece> pieces = [];

    /// <summary>Plans every tensor.</summary>
    /// <param name="source">The original.</param>
    /// <param name="completed">The new checkpoint's configuration, which names its tensors.</param>
    /// <param name="completion">The order of its experts and the scale of W2.</param>
    /// <param name="parts">P.</param>
    /// <exception cref="ModelFormatException">An expert has a tensor that isn't known, and so can't be cut.</exception>
    public CompleteWeights(Checkpoint source, ModelConfig completed, Completion completion, int parts)
    {
        (this.source, this.completed, this.completion, this.parts) = (source, completed, completion, parts);
        places = completion.Order.Select((part, place) => (part, place)).ToLookup(p => p.part.Expert, p => (p.part.Part, p.place));
        var plans = Plans();
        foreach (string name in source.Names)
        {
            source.TryGet(name, out var tensor);
            if (plans.TryGetValue(name, out var plan))
                plan(tensor!);
            else if (name.Contains(".experts.", StringComparison.Ordinal))
                throw new ModelFormatException($"{tensor!.File}: tensor '{name}' is not known to this program, so its expert can't be cut");
            else
                pieces.Add(new Piece(new TensorDeclaration(name, tensor!.Type, [.. tensor.Shape]), tensor, writer => CheckpointFolder.Append(writer, tensor)));
        }
    }

    /// <summary>Writes all of them, a tensor at a time.</summary>
    /// <exception cref="IOException">Writing failed, say because the disk is full.</exception>
    public void Write(string folder, IProgress<double> progress, CancellationToken cancel)
    {
        using var writer = new CheckpointWriter(folder, [.. pieces.Select(piece => piece.Declaration)]);
        double total = pieces.Sum(piece => (double)piece.Declaration.ByteLength), done = 0;
        foreach (var piece in pieces)
        {
            cancel.ThrowIfCancellationRequested();
            piece.Append(writer);
            piece.Source.Release();
            progress.Report((done += piece.Declaration.ByteLength) / total);
        }

        writer.Commit();
    }

    // By the name of an original tensor, what plans its successors.
    private Dictionary<string, Action<TensorView>> Plans()
    {
        Dictionary<string, Action<TensorView>> plans = new(StringComparer.Ordinal);
        for (int l = 0; l < completed.Layers; l++)
        {
            if (!completed.LayerPlan[l].IsMoe)
                continue;
            LayerTensors old = source.Config.Tensors.Layer(l), now = completed.Tensors.Layer(l);
            plans.Add(old.Router!.Name, gate => Add(now.Router!, gate, writer => AppendRows(writer, now.Router!.Name, gate, completion.Order.Select(part => part.Expert))));
            for (int e = 0; e < source.Config.Moe!.Experts; e++)
            {
                int expert = e;
                var tensors = old.Expert(e);
                plans.Add(tensors.Gate.Name, gate => Cut(expert, gate, place => now.Expert(place).Gate, AppendNeurons));
                plans.Add(tensors.Up.Name, up => Cut(expert, up, place => now.Expert(place).Up, AppendNeurons));
                plans.Add(tensors.Down.Name, down => Cut(expert, down, place => now.Expert(place).Down, AppendScaled));
            }
        }

        return plans;
    }

    private void Cut(int expert, TensorView tensor, Func<int, TensorSpec> part, Action<CheckpointWriter, string, TensorView, int> append)
    {
        foreach (var (p, place) in places[expert])
        {
            var spec = part(place);
            Add(spec, tensor, writer => append(writer, spec.Name, tensor, p));
        }
    }

    private void Add(TensorSpec spec, TensorView tensor, Action<CheckpointWriter> append) =>
        pieces.Add(new Piece(new TensorDeclaration(spec.Name, tensor.Type, spec.Shape), tensor, append));

    // W1 and W3, [neurons, hidden]: a part's rows.
    private void AppendNeurons(CheckpointWriter writer, string name, TensorView tensor, int part)
    {
        int neurons = (int)tensor.Rows / parts;
        AppendRows(writer, name, tensor, Enumerable.Range(part * neurons, neurons));
    }

    private static void AppendRows(CheckpointWriter writer, string name, TensorView tensor, IEnumerable<int> rows)
    {
        foreach (int row in rows)
            writer.AppendBytes(name, tensor.RowBytes(row));
    }

    // W2, [hidden, neurons]: a part's columns, scaled.
    private void AppendScaled(CheckpointWriter writer, string name, TensorView tensor, int part)
    {
        float largest = tensor.Type switch
        {
            TensorType.F16 => (float)Half.MaxValue,
            TensorType.BF16 => BitConverter.UInt32BitsToSingle(0x7F7F_0000),
            _ => float.MaxValue,
        };
        float[] columns = new float[tensor.RowLength / parts];
        for (long r = 0; r < tensor.Rows; r++)
        {
            tensor.ReadFloats(r * tensor.RowLength + part * columns.Length, columns);
            TensorPrimitives.Multiply(columns, completion.DownScale, columns);
            if (MathF.Abs(TensorPrimitives.MaxMagnitude<float>(columns)) > largest)
                throw new ModelFormatException($"{tensor.File}: tensor '{tensor.Name}' times {completion.DownScale} holds numbers beyond {largest:0.####e+0}, the largest of {tensor.Type.HeaderName()}");
            writer.Append(name, columns);
        }
    }

    private sealed record Piece(TensorDeclaration Declaration, TensorView Source, Action<CheckpointWriter> Append);
}
