using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Models.Text;
using DualSparse.Tests;

namespace DualSparse.Fuzz;

/// <summary>A reader of files, and files that it reads well.</summary>
/// <param name="Name">What the command line calls it.</param>
/// <param name="Seeds">Sound inputs, to be damaged.</param>
/// <param name="Read">Reads an input; may throw only <see cref="ModelFormatException"/>.</param>
internal sealed record FuzzTarget(string Name, byte[][] Seeds, Action<byte[]> Read)
{
    /// <summary>The most bytes that a case may allocate. A reader may hold a few times its input, which is at most some tens of kilobytes here; claims inside the input must not count.</summary>
    public long MaxAllocatedBytes { get; init; } = 64 << 20;
}

/// <summary>All readers of files that come from outside. A new reader is one more line in <see cref="All"/>.</summary>
internal static class FuzzTargets
{
    private static readonly string[] Families = ["mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "deepseek_v2"];
    private static readonly string[] Tokenizers = ["gpt2", "qwen", "o200k", "deepseek", "sentencepiece"];
    private static readonly byte[] SoundConfig = Golden("olmoe", "config.json");
    private static readonly string ScratchFile = Path.Combine(Path.GetTempPath(), $"fuzz-{Environment.ProcessId}.safetensors");

    private static readonly (byte[] Json, long DataLength)[] Headers = [.. Families.Select(Header), (Encoding.UTF8.GetBytes(SmallHeader), 17)];

    public static readonly FuzzTarget[] All =
    [
        new("header", [.. Headers.Select(header => header.Json)], ReadHeader),
        new("file", [SmallFile(new TensorDeclaration("a", TensorType.BF16, 3, 5), new TensorDeclaration("b", TensorType.I64, 4)), SmallFile()], ReadFile),
        FusedTarget.Create(),
        new("index", [Golden("mixtral", "model.safetensors.index.json"), Golden("qwen3_moe", "model.safetensors.index.json")], input => ShardIndex.Parse(input, "index")),
        new("config", [.. Families.Concat(["scmoe/shared_expert", "scmoe/pos2_cg2", "scmoe/dgmoe", "vl/qwen3_vl_moe"]).Select(family => Golden(family, "config.json")), .. ScaledConfigs(), .. Published("config")], ReadConfig),
        new("generation", [.. Families.Select(family => Golden(family, "generation_config.json")), Encoding.UTF8.GetBytes(RichGeneration), .. Published("generation")], ReadGeneration),
        new("tokenizer", [.. Tokenizers.Select(kind => Golden("tokenizer", kind, "tokenizer.json"))], ReadTokenizer),
        new("lines", [Golden("tokenizer", "gpt2", "cases.jsonl")], input => JsonLine.Split(input, "lines").Select(line => line.Parse()).Count()),
        new("profile", [Encoding.UTF8.GetBytes(SmallProfile)], ReadProfile),
        .. TemplateTargets.All,
        .. PictureTarget.All,
    ];

    private const string SmallHeader = """
        {"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"F4","shape":[4,2],"data_offsets":[12,16]},"c":{"dtype":"U8","shape":[0,9],"data_offsets":[16,16]},"d":{"dtype":"BOOL","shape":[],"data_offsets":[16,17]}}
        """;

    private const string RichGeneration = """
        {"bos_token_id":1,"eos_token_id":[2,3,4],"do_sample":true,"temperature":0.7,"top_k":20,"top_p":0.8,"min_p":0.05,"repetition_penalty":1.05,"max_new_tokens":512,"stop_strings":["\n\n","###"],"num_beams":1,"typical_p":1.0}
        """;

    private const string SmallProfile = """
        {"metric":4,"methods":[{"name":"search","score":"gate","compensate":true,"scales":[[1,0.5],null],"points":[
        {"drop":0.25,"achieved":0.24,"thresholds":[{"major":0.07,"minor":0.09},{"major":0.01,"minor":0.02}],
        "loss":{"kl":{"value":0.002,"low":0.001,"high":0.003},"deltaNll":{"value":0.001,"low":0,"high":0.002},"flips":{"value":0.01,"low":0.01,"high":0.02}}},
        {"drop":0.5,"achieved":0.5,"thresholds":[{"major":0.1,"minor":0.2},{"major":0.1,"minor":0.3}],
        "loss":{"kl":{"value":0.02,"low":0.01,"high":0.03},"deltaNll":{"value":0.001,"low":0,"high":0.002},"flips":{"value":0.01,"low":0.01,"high":0.02}}}]},
        {"name":"paper","score":"gate","compensate":false,"scales":null,"points":[{"drop":0.75,"achieved":0.7,"thresholds":[{"major":0.1,"minor":0.1},{"major":0,"minor":0}],"loss":null}]}]}
        """;

    // A config.json or generation_config.json of each release that the tests read.
    private static IEnumerable<byte[]> Published(string part) => Directory
        .EnumerateFiles(TestPaths.InRepository("tests", "DualSparse.Tests", "Models", "Configuration", "published"))
        .Order(StringComparer.Ordinal).Select(file => Encoding.UTF8.GetBytes(JsonNode.Parse(File.ReadAllText(file))![part]!.ToJsonString()));

    private static byte[] Golden(params string[] parts) => File.ReadAllBytes(TestPaths.Golden(parts));

    private static (byte[] Json, long DataLength) Header(string family)
    {
        byte[] file = File.ReadAllBytes(Directory.EnumerateFiles(TestPaths.Golden(family), "model*.safetensors").Order(StringComparer.Ordinal).First());
        int end = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        return (file[8..end], file.Length - end);
    }

    private static byte[] SmallFile(params TensorDeclaration[] tensors)
    {
        using (var writer = new SafetensorsWriter(ScratchFile, tensors))
        {
            foreach (var tensor in tensors)
                writer.AppendBytes(tensor.Name, new byte[tensor.ByteLength]);
            writer.Commit();
        }

        byte[] bytes = File.ReadAllBytes(ScratchFile);
        File.Delete(ScratchFile);
        return bytes;
    }

    private static IEnumerable<byte[]> ScaledConfigs()
    {
        string config = Encoding.UTF8.GetString(SoundConfig);
        foreach (string rope in new[]
        {
            """{"rope_type":"linear","factor":4.0,"rope_theta":10000.0}""",
            """{"rope_type":"yarn","factor":8.0,"rope_theta":1e6,"beta_fast":32,"beta_slow":1,"truncate":false,"original_max_position_embeddings":64}""",
            """{"rope_type":"llama3","factor":8.0,"rope_theta":5e5,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":64}""",
        })
        {
            int start = config.IndexOf("\"rope_parameters\": {", StringComparison.Ordinal) + 19, end = config.IndexOf('}', start) + 1;
            yield return Encoding.UTF8.GetBytes(config[..start] + rope + config[end..]);
        }
    }

    private static void ReadHeader(byte[] input)
    {
        // The length of the data is that of the seed it comes from, so that damage elsewhere than in the sizes gets further.
        var seed = Headers.MaxBy(sound => sound.Json.AsSpan().CommonPrefixLength(input));
        SafetensorsHeader.Parse(input, seed.DataLength, "file");
    }

    private static void ReadFile(byte[] input)
    {
        File.WriteAllBytes(ScratchFile, input);
        try
        {
            using var file = SafetensorsFile.Open(ScratchFile);
            foreach (var tensor in file.Tensors.Values)
            {
                if (tensor.Type.IsWeight())
                    tensor.ReadFloats();
                _ = tensor.Bytes;
                tensor.Release();
            }
        }
        finally
        {
            File.Delete(ScratchFile);
        }
    }

    private static void ReadConfig(byte[] input)
    {
        var model = ModelConfig.Parse(input, "config.json", null, "generation_config.json");
        model.Rope.InverseFrequencies();
        foreach (var tensor in model.Tensors.All().Take(2000))
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(tensor.Shape.Min());
    }

    private static void ReadProfile(byte[] input)
    {
        foreach (var method in DropProfile.Parse(input, "dualsparse.json")?.Methods ?? [])
        {
            // A rate within the points, or a loss, gives a rule that fits some model, or is refused in words: dualsparse.json may be another model's.
            foreach (var point in method.Points)
            {
                try
                {
                    method.Request(point.Drop * 0.7).Check(point.Thresholds.Count, 2);
                    _ = method.RateWithin(0.01);
                }
                catch (ArgumentException)
                {
                }
            }
        }
    }

    private static void ReadTokenizer(byte[] input) => Tokenizer.Parse(input).Encode("A word, 12 more; ünïcode 漢字 🙂\n");

    private static void ReadGeneration(byte[] input) => ModelConfig.Parse(SoundConfig, "config.json", input, "generation_config.json");
}
