using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Sparsify;

/// <summary>Writes a checkpoint with its routed experts' neurons in another order: same function, types and names.</summary>
internal static class ReorderedCheckpoint
{
    /// <summary>Writes weights and copies what else the folder has and is not weights.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="orders">By layer and expert, the neuron at each position; null where a layer has no routed experts.</param>
    /// <param name="folder">An existing, empty folder.</param>
    /// <param name="progress">Receives the share of bytes written.</param>
    /// <param name="cancel">Cancels between two tensors.</param>
    /// <returns>What wasn't copied, by name.</returns>
    /// <exception cref="IOException">Writing failed, for example because the disk is full.</exception>
    public static IReadOnlyList<string> Write(Checkpoint source, IReadOnlyList<int[][]?> orders, string folder, IProgress<double> progress, CancellationToken cancel)
    {
        var moved = Moves(source.Config, orders).ToLookup(move => move.Tensor);
        TensorView[] tensors = [.. source.Names.Select(name => source.TryGet(name, out var tensor) ? tensor : null!)];
        long written = 0, total = tensors.Sum(t => t.ByteLength);
        using (var writer = new CheckpointWriter(folder, [.. tensors.Select(t => new TensorDeclaration(t.Name, t.Type, [.. t.Shape]))], name: source.Config.WeightsName))
        {
            foreach (var tensor in tensors)
            {
                cancel.ThrowIfCancellationRequested();
                if (moved.Contains(tensor.Name))
                    MovedNeurons.Append(writer, tensor, [.. moved[tensor.Name]]);
                else
                    CheckpointFolder.Append(writer, tensor);
                tensor.Release();
                progress.Report((double)(written += tensor.ByteLength) / total);
            }

            writer.Commit();
        }

        return CopiedFiles.Copy(source, folder);
    }

    private static IEnumerable<MovedNeurons> Moves(ModelConfig config, IReadOnlyList<int[][]?> orders)
    {
        for (int l = 0; l < orders.Count; l++)
        {
            var layer = config.Tensors.Layer(l);
            for (int e = 0; e < (orders[l]?.Length ?? 0); e++)
            {
                var (expert, order) = (layer.Expert(e), orders[l]![e]);
                yield return MovedNeurons.Of(expert.Gate, order);
                yield return MovedNeurons.Of(expert.Up, order);
                yield return MovedNeurons.OfInputs(expert.Down, order);
            }
        }
    }
}
