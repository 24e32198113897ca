using System.Buffers.Binary;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Fuzz;

/// <summary>Whole folders whose experts share tensors: the header of their weights is damaged, the configuration and the data are sound.</summary>
internal static class FusedTarget
{
    private const string Weights = "model.safetensors";

    // A square of gate and up in the third, of down in the last.
    private static readonly Folder[] Folders =
    [
        Sound(hidden: 4, neurons: 3, ExpertStorage.Fused), Sound(8, 5, ExpertStorage.FusedTransposed), Sound(12, 6, ExpertStorage.FusedTransposed), Sound(16, 16, ExpertStorage.Fused),
        Sound(8, 6, ExpertStorage.Stacked),
    ];

    public static FuzzTarget Create() => new("fused", [.. Folders.Select(folder => folder.Header)], Read);

    private static void Read(byte[] input)
    {
        var folder = Folders.MaxBy(sound => sound.Header.AsSpan().CommonPrefixLength(input))!;
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, input.Length);
        File.WriteAllBytes(Path.Combine(folder.Place, Weights), [.. length, .. input, .. folder.Data]);
        using var checkpoint = Checkpoint.Open(folder.Place);
        for (int l = 0; l < checkpoint.Config.Layers; l++)
        {
            for (int e = 0; e < checkpoint.Config.Moe!.Experts; e++)
            {
                var (gate, up, down) = checkpoint.Config.Tensors.Layer(l).Expert(e);
                foreach (var slice in new[] { gate, up, down })
                {
                    using var matrix = checkpoint.Get(slice);
                    matrix.ReadFloats();
                }
            }
        }
    }

    private static Folder Sound(int hidden, int neurons, ExpertStorage experts)
    {
        string folder = Directory.CreateTempSubdirectory("fuzz-fused-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        File.WriteAllText(Path.Combine(folder, "config.json"), $$"""
            {"model_type":"olmoe","hidden_size":{{hidden}},"intermediate_size":{{neurons}},"num_attention_heads":2,"num_key_value_heads":2,
            "num_experts":3,"num_experts_per_tok":2,"num_hidden_layers":2,"vocab_size":9,"max_position_embeddings":64}
            """);
        var model = ModelConfig.Load(folder);
        model = model with { Names = model.Names with { Experts = experts } };
        TensorDeclaration[] tensors = [.. model.Tensors.All().Select(t => new TensorDeclaration(t.Name, TensorType.BF16, t.Shape))];
        using (var writer = new CheckpointWriter(folder, tensors))
        {
            foreach (var tensor in tensors)
                writer.AppendBytes(tensor.Name, new byte[tensor.ByteLength]);
            writer.Commit();
        }

        byte[] file = File.ReadAllBytes(Path.Combine(folder, Weights));
        int data = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        return new Folder(folder, file[8..data], file[data..]);
    }

    private sealed record Folder(string Place, byte[] Header, byte[] Data);
}
