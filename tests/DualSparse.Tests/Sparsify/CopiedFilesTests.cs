using DualSparse.Engine;
using DualSparse.Kernels;
using DualSparse.Sparsify;
using DualSparse.Sparsify.Complete;
using DualSparse.Tests.Cli;

namespace DualSparse.Tests.Sparsify;

/// <summary>Beside new weights stands what is not weights, and nothing else.</summary>
public class CopiedFilesTests
{
    private static readonly string[] s_kept = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "README.md", "LICENSE", "chat_template.jinja", "modeling_x.py", "picture.png", "vocab.txt"];

    private static readonly string[] s_left =
    [
        "consolidated.safetensors", "model.fp16.safetensors", "golden.safetensors", "adapter_model.safetensors", "adapter_config.json", "model.fp16.safetensors.index.json", "pytorch_model-00001-of-00002.bin",
        "pytorch_model.bin.index.json", "model-q4.gguf", "consolidated.00.pt", "consolidated.01.pth", "model.onnx", "model.onnx_data", "flax_model.msgpack", "tf_model.h5", "weights.npz",
        "last.ckpt", "weights.unknown", "rust_model.ot",
    ];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void No_old_weights_stand_beside_new_ones(bool complete)
    {
        using var source = TemporaryFolder.CopyOf("mixtral");
        string[] before = [.. Directory.EnumerateFiles(source.Path).Select(file => Path.GetFileName(file))];
        foreach (string name in s_kept.Concat(s_left).Except(before))
            File.WriteAllText(source.File(name), "x");
        File.WriteAllBytes(source.File("weights.unknown"), [1, 0, 0, 0, 2, 0, 0, 0]);
        File.WriteAllBytes(source.File("tokenizer.model"), [10, 14, 0, 0xFF]);
        File.WriteAllBytes(source.File("picture.png"), [0x89, (byte)'P', (byte)'N', (byte)'G', 0]);
        // Longer than what is looked at, a character across its end.
        File.WriteAllText(source.File("README.md"), "x" + string.Concat(Enumerable.Repeat("é", 4000)));
        foreach (string inside in new[] { "original", ".git", ".cache", "onnx" })
            File.WriteAllText(Path.Combine(Directory.CreateDirectory(source.File(inside)).FullName, "a.bin"), "x");

        IReadOnlyList<string> left = [];
        if (complete)
            CompleteTransformation.Run(source.Path, source.File("out"), 2, cancel: Cancel, leftOut: names => left = names);
        else
            Sparsifier.Run(source.Path, source.File("out"), new([[.. Enumerable.Range(1, 64)]], []), "ids", engine: new EngineOptions { Weights = WeightFormat.F32 }, cancel: Cancel, leftOut: names => left = names);
        string[] weights = complete ? ["model.safetensors"] : ["dualsparse.json", "model.safetensors"];
        Assert.Equal(s_kept.Concat(weights).Order(StringComparer.Ordinal), Directory.GetFileSystemEntries(source.File("out")).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
        Assert.Equal(s_left.Order(StringComparer.Ordinal), left.Where(name => !name.EndsWith('/')));
        Assert.Equal([".cache/", ".git/", "onnx/", "original/"], left.Where(name => name.EndsWith('/') && name != "out/" && !name.Contains(".tmp", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_snapshots_links_are_copied_as_files_and_the_command_says_what_stays()
    {
        if (OperatingSystem.IsWindows())
            return;
        using TemporaryFolder blobs = TemporaryFolder.CopyOf("olmoe"), source = new();
        foreach (string file in Directory.EnumerateFiles(blobs.Path))
            File.CreateSymbolicLink(source.File(Path.GetFileName(file)), file);
        File.CreateSymbolicLink(source.File("dead.json"), blobs.File("none"));
        var run = CommandRun.Of("sparsify", source.Path, "-o", blobs.File("out"), "--complete", "2");
        Assert.Equal(0, run.Code);
        Assert.Contains("\nnot copied, as old weights or none of the model's files: dead.json, golden.safetensors\n", run.Output);
        foreach (string file in Directory.EnumerateFiles(blobs.File("out")))
            Assert.Null(new FileInfo(file).LinkTarget);
        Assert.Equal(File.ReadAllBytes(blobs.File("generation_config.json")), File.ReadAllBytes(Path.Combine(blobs.File("out"), "generation_config.json")));
    }

    [Fact]
    public void A_configuration_with_a_mark_and_no_numbers_is_completed()
    {
        using var source = TemporaryFolder.CopyOf("olmoe");
        string config = File.ReadAllText(source.File("config.json"));
        File.WriteAllText(source.File("config.json"), "{\"task_specific_params\": [NaN, {\"a\": -Infinity}]," + config[1..], new System.Text.UTF8Encoding(true));
        CompleteTransformation.Run(source.Path, source.File("out"), 2, cancel: Cancel);
        string completed = File.ReadAllText(Path.Combine(source.File("out"), "config.json"));
        Assert.Matches(@"""task_specific_params"": \[\s*NaN,\s*\{\s*""a"": -Infinity\s*\}\s*\]", completed);
        Assert.Contains("\"num_experts\": 32", completed);
    }
}
