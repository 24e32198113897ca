using System.Text.RegularExpressions;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Models.Weights;

/// <summary>A tensor as a file has it.</summary>
internal sealed record StoredTensor(string Name, TensorType Type, long[] Shape, byte[] Bytes);

/// <summary>Rewrites a folder whose experts have a tensor for each matrix into the fused form, element by element.</summary>
internal static partial class FusedFolder
{
    /// <summary>Writes one.</summary>
    /// <param name="folder">A model's folder, its experts separate.</param>
    /// <param name="transposed">Whether each expert's matrices are stored transposed.</param>
    /// <param name="damage">Changes the tensors before they are written.</param>
    /// <param name="maxShardBytes">The most bytes of a shard.</param>
    public static TemporaryFolder Write(string folder, bool transposed, Func<List<StoredTensor>, IEnumerable<StoredTensor>>? damage = null, long maxShardBytes = long.MaxValue)
    {
        var fused = new TemporaryFolder();
        using var source = Checkpoint.Open(folder);
        List<StoredTensor> tensors = [.. Fuse(source, transposed)];
        StoredTensor[] stored = [.. damage?.Invoke(tensors) ?? tensors];
        using (var writer = new CheckpointWriter(fused.Path, [.. stored.Select(t => new TensorDeclaration(t.Name, t.Type, t.Shape))], maxShardBytes))
        {
            foreach (var tensor in stored)
                writer.AppendBytes(tensor.Name, tensor.Bytes);
            writer.Commit();
        }

        foreach (string file in Directory.EnumerateFiles(folder).Where(f => !Path.GetFileName(f).StartsWith("model", StringComparison.Ordinal)))
            File.Copy(file, fused.File(Path.GetFileName(file)));
        return fused;
    }

    private static IEnumerable<StoredTensor> Fuse(Checkpoint source, bool transposed)
    {
        var moe = source.Config.Moe!;
        int experts = moe.Experts, neurons = moe.Intermediate, hidden = source.Config.HiddenSize;
        Dictionary<string, StoredTensor> fused = [];
        foreach (var tensor in source.Names.Select(name => source.Get(name)))
        {
            var match = ExpertName().Match(tensor.Name);
            if (!match.Success)
            {
                yield return new(tensor.Name.Replace("block_sparse_moe.", "mlp.", StringComparison.Ordinal), tensor.Type, [.. tensor.Shape], tensor.Bytes.ToArray());
                continue;
            }

            bool down = match.Groups[3].Value is "down_proj" or "w2", up = match.Groups[3].Value is "up_proj" or "w3";
            var (outputs, inputs) = down ? (hidden, neurons) : (2 * neurons, hidden);
            string name = $"{match.Groups[1].Value}mlp.experts.{(down ? "down_proj" : "gate_up_proj")}";
            int size = tensor.Type.Bits() / 8, expert = int.Parse(match.Groups[2].Value);
            if (!fused.TryGetValue(name, out var target))
                fused[name] = target = new(name, tensor.Type, transposed ? [experts, inputs, outputs] : [experts, outputs, inputs], new byte[experts * outputs * inputs * size]);
            for (int r = 0; r < tensor.Rows; r++)
            {
                for (int c = 0; c < inputs; c++)
                {
                    int output = up ? neurons + r : r;
                    int place = expert * outputs * inputs + (transposed ? c * outputs + output : output * inputs + c);
                    tensor.RowBytes(r).Slice(c * size, size).CopyTo(target.Bytes.AsSpan(place * size));
                }
            }
        }

        foreach (var tensor in fused.Values)
            yield return tensor;
    }

    [GeneratedRegex(@"^(model\.layers\.\d+\.)[a-z_]+\.experts\.(\d+)\.(\w+)\.weight$")]
    private static partial Regex ExpertName();
}
