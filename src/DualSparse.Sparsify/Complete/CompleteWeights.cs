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
                plan.ForEach(add => add(tensor!));
            else if (name.Contains($".{source.Config.Names.ExpertList}.", StringComparison.Ordinal))
                throw new ModelFormatException($"{tensor!.File}: tensor '{name}' is not known to this program, so its expert can't be cut");
            else
                pieces.Add(new Piece(new TensorDeclaration(name, tensor!.Type, [.. tensor.Shape]), tensor, writer => CheckpointFolder.Append(writer, tensor)));
        }
    }

    /// <summary>Writes all of them, a tensor at a time.</summary>
    /// <exception cref="IOException">Writing failed, say because the disk is full.</exception>
    public void Write(string folder, IProgress<double> progress, CancellationToken cancel)
    {
        using var writer = new CheckpointWriter(folder, [.. pieces.Select(piece => piece.Declaration)], name: source.Config.WeightsName);
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

    // By the name of an original tensor, what plans its successors: each a tensor of its own, whether experts were fused or not, since
    // every reader of these families takes that form.
    private Dictionary<string, List<Action<TensorView>>> Plans()
    {
        Dictionary<string, List<Action<TensorView>>> plans = new(StringComparer.Ordinal);
        for (int l = 0; l < completed.Layers; l++)
        {
            if (!completed.LayerPlan[l].IsMoe)
                continue;
            LayerTensors old = source.Config.Tensors.Layer(l), now = completed.Tensors.Layer(l);
            Plan(old.Router!, gate => Add(now.Router!, gate, writer => AppendRouter(writer, now.Router!.Name, gate)));
            for (int e = 0; e < source.Config.Moe!.Experts; e++)
            {
                int expert = e;
                var tensors = old.Expert(e);
                int neurons = tensors.Neurons / parts;
                Plan(tensors.Gate.Tensor, gate => Cut(expert, gate, place => now.Expert(place).Gate, part => tensors.Gate.RowRange(part * neurons, neurons), AppendNeurons));
                Plan(tensors.Up.Tensor, up => Cut(expert, up, place => now.Expert(place).Up, part => tensors.Up.RowRange(part * neurons, neurons), AppendNeurons));
                Plan(tensors.Down.Tensor, down => Cut(expert, down, place => now.Expert(place).Down, part => tensors.Down.ColumnRange(part * neurons, neurons), AppendScaled));
            }
        }

        return plans;

        void Plan(TensorSpec tensor, Action<TensorView> plan)
        {
            if (!plans.TryGetValue(tensor.Name, out var list))
                plans.Add(tensor.Name, list = []);
            list.Add(plan);
        }
    }

    private void Cut(int expert, TensorView tensor, Func<int, WeightSlice> successor, Func<int, WeightSlice> part, Action<CheckpointWriter, string, WeightView> append)
    {
        foreach (var (p, place) in places[expert])
        {
            var spec = successor(place).Tensor;
            Add(spec, tensor, writer =>
            {
                using var weights = source.Get(part(p));
                append(writer, spec.Name, weights);
            });
        }
    }

    private void Add(TensorSpec spec, TensorView tensor, Action<CheckpointWriter> append) =>
        pieces.Add(new Piece(new TensorDeclaration(spec.Name, tensor.Type, spec.Shape), tensor, append));

    private void AppendRouter(CheckpointWriter writer, string name, TensorView gate)
    {
        foreach (var part in completion.Order)
            writer.AppendBytes(name, gate.RowBytes(part.Expert));
    }

    // A part's W1 or W3, [neurons, hidden].
    private static void AppendNeurons(CheckpointWriter writer, string name, WeightView weights)
    {
        for (int row = 0; row < weights.Rows; row++)
            writer.AppendBytes(name, weights.RowBytes(row));
    }

    // A part's W2, [hidden, neurons], scaled.
    private void AppendScaled(CheckpointWriter writer, string name, WeightView weights)
    {
        float largest = weights.Type switch
        {
            TensorType.F16 => (float)Half.MaxValue,
            TensorType.BF16 => BitConverter.UInt32BitsToSingle(0x7F7F_0000),
            _ => float.MaxValue,
        };
        float[] row = new float[weights.Columns];
        for (int r = 0; r < weights.Rows; r++)
        {
            weights.ReadRow(r, row);
            TensorPrimitives.Multiply(row, completion.DownScale, row);
            if (MathF.Abs(TensorPrimitives.MaxMagnitude<float>(row)) > largest)
                throw new ModelFormatException($"{weights.Tensor.File}: tensor '{weights.Tensor.Name}' times {completion.DownScale} holds numbers beyond {largest:0.####e+0}, the largest of {weights.Type.HeaderName()}");
            writer.Append(name, row);
        }
    }

    private sealed record Piece(TensorDeclaration Declaration, TensorView Source, Action<CheckpointWriter> Append);
}
