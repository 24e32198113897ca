using DualSparse.Models.Safetensors;

namespace DualSparse.Sparsify;

/// <summary>Writes a checkpoint whose routed experts' neurons stand in another order: the same function, the same types, the same names.</summary>
internal static class ReorderedCheckpoint
{
    /// <summary>Writes weights and copies every other file of the folder.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="orders">By layer and expert, which neuron comes to each place; null where a layer has no routed experts.</param>
    /// <param name="folder">An existing, empty folder.</param>
    /// <param name="progress">Told the share of bytes written.</param>
    /// <param name="cancel">Ends it between two tensors.</param>
    /// <exception cref="IOException">Writing failed, say because the disk is full.</exception>
    public static void Write(Checkpoint source, IReadOnlyList<int[][]?> orders, string folder, IProgress<double> progress, CancellationToken cancel)
    {
        Dictionary<string, int[]> rows = new(StringComparer.Ordinal), columns = new(StringComparer.Ordinal);
        for (int l = 0; l < orders.Count; l++)
        {
            for (int e = 0; e < (orders[l]?.Length ?? 0); e++)
            {
                var expert = source.Config.Tensors.Layer(l).Expert(e);
                rows[expert.Gate.Name] = rows[expert.Up.Name] = columns[expert.Down.Name] = orders[l]![e];
            }
        }

        TensorView[] tensors = [.. source.Names.Select(name => source.TryGet(name, out var tensor) ? tensor : null!)];
        long written = 0, total = tensors.Sum(t => t.ByteLength);
        using (var writer = new CheckpointWriter(folder, [.. tensors.Select(t => new TensorDeclaration(t.Name, t.Type, [.. t.Shape]))]))
        {
            foreach (var tensor in tensors)
            {
                cancel.ThrowIfCancellationRequested();
                if (rows.TryGetValue(tensor.Name, out int[]? order))
                    AppendRows(writer, tensor, order);
                else if (columns.TryGetValue(tensor.Name, out order))
                    AppendColumns(writer, tensor, order);
                else
                    CheckpointFolder.Append(writer, tensor);
                tensor.Release();
                progress.Report((double)(written += tensor.ByteLength) / total);
            }

            writer.Commit();
        }

        CheckpointFolder.CopyOthers(source, folder);
    }

    private static void AppendRows(CheckpointWriter writer, TensorView tensor, int[] order)
    {
        foreach (int row in order)
            writer.AppendBytes(tensor.Name, tensor.RowBytes(row));
    }

    private static void AppendColumns(CheckpointWriter writer, TensorView tensor, int[] order)
    {
        int size = (int)(tensor.ByteLength / tensor.Count);
        byte[] permuted = new byte[order.Length * size];
        for (long r = 0; r < tensor.Rows; r++)
        {
            var row = tensor.RowBytes(r);
            for (int c = 0; c < order.Length; c++)
                row.Slice(order[c] * size, size).CopyTo(permuted.AsSpan(c * size));
            writer.AppendBytes(tensor.Name, permuted);
        }
    }
}
