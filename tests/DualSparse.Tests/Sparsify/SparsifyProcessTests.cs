using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Sparsify;

/// <summary><c>dualsparse sparsify</c> as a process of its own: what it takes of memory, and what a full disk makes it say.</summary>
public class SparsifyProcessTests(ITestOutputHelper output)
{
    // 12.6 MB a layer: with the runtime's own 50 MB, several layers at once would still pass, the model would not.
    private const int Layers = 24;

    private static string Program => Path.Combine(AppContext.BaseDirectory, "dualsparse.dll");

    [Fact]
    public void Memory_stays_under_a_quarter_of_the_checkpoint()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("reads a process's own memory from /proc");
        using var folder = new TemporaryFolder();
        long bytes = WriteCheckpoint(folder.Path);
        WriteIds(folder.File("ids"), windows: 8, tokens: 64);
        string sparsified = folder.File("out");
        var start = new ProcessStartInfo("dotnet", [Program, "sparsify", folder.Path, "-o", sparsified, "--calibration-ids", folder.File("ids")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        long peak = 0;
        // RssAnon: pages of mapped files are the page cache's, which the system takes back when it needs them.
        while (!process.WaitForExit(2))
            peak = Math.Max(peak, AnonymousBytes(process.Id));
        Assert.Equal("", process.StandardError.ReadToEnd());
        Assert.Equal(0, process.ExitCode);
        output.WriteLine($"checkpoint {bytes / 1e6:0} MB, peak of its own memory {peak / 1e6:0} MB, the runtime's included: {(double)peak / bytes:0.000}");
        Assert.InRange(peak, 1, bytes / 4);
        using Checkpoint checkpoint = Checkpoint.Open(sparsified);
        Assert.Equal(Layers, checkpoint.Config.Layers);
    }

    [Fact]
    public void A_full_disk_is_one_sentence_and_leaves_nothing()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("fills a small tmpfs, or limits the size of files, by way of a Linux shell");
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("disk"));
        WriteIds(folder.File("ids"), windows: 2, tokens: 32);
        // A disk of 64 KiB in a namespace of its own; where that isn't allowed, files of at most 64 blocks of 512 bytes (the runtime's own
        // executable memory is a file too, unless told otherwise).
        const string script = """
            if unshare -rm true 2>/dev/null && unshare -rm mount -t tmpfs -o size=64k tmpfs "$3/disk" 2>/dev/null; then
                exec unshare -rm sh -c 'mount -t tmpfs -o size=64k tmpfs "$3/disk"; dotnet "$1" sparsify "$2" -o "$3/disk/out" --calibration-ids "$3/ids"; code=$?; ls -A "$3/disk"; exit $code' sh "$@"
            fi
            trap '' XFSZ
            export DOTNET_EnableWriteXorExecute=0
            echo limited >&2
            ulimit -f 64
            exec dotnet "$1" sparsify "$2" -o "$3/disk/out" --calibration-ids "$3/ids"
            """;
        var start = new ProcessStartInfo("sh", ["-c", script, "sh", Program, TestPaths.Golden("olmoe"), folder.Path])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        string said = process.StandardOutput.ReadToEnd();
        string[] errors = process.StandardError.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        output.WriteLine(string.Join('\n', errors));
        Assert.Equal(1, process.ExitCode);
        string sentence = Assert.Single(errors, line => line != "limited");
        Assert.StartsWith("dualsparse: ", sentence);
        Assert.Contains("could not be written", sentence);
        Assert.Equal("", said);
        Assert.Empty(Directory.GetFileSystemEntries(folder.File("disk")));
    }

    // RssAnon of /proc/…/status, in bytes; 0 once the process has gone.
    private static long AnonymousBytes(int process)
    {
        try
        {
            string? line = File.ReadLines($"/proc/{process}/status").FirstOrDefault(l => l.StartsWith("RssAnon:", StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2].Split('\t')[^1], CultureInfo.InvariantCulture) * 1024;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static long WriteCheckpoint(string folder)
    {
        File.WriteAllText(Path.Combine(folder, "config.json"), $$"""
            {"model_type":"olmoe","hidden_size":256,"intermediate_size":256,"num_attention_heads":4,"num_key_value_heads":4,"num_experts":32,
            "num_experts_per_tok":2,"norm_topk_prob":false,"vocab_size":512,"rms_norm_eps":1e-5,"num_hidden_layers":{{Layers}},
            "max_position_embeddings":512,"tie_word_embeddings":false,"hidden_act":"silu","torch_dtype":"bfloat16"}
            """);
        TensorDeclaration[] tensors = [.. ModelConfig.Load(folder).Tensors.All().Select(t => new TensorDeclaration(t.Name, TensorType.BF16, t.Shape))];
        var random = new Random(1);
        ushort[] block = [.. Enumerable.Range(0, 256 * 512).Select(_ => Bf16.FromSingle(random.NextSingle() * 0.06f - 0.03f))];
        using var writer = new CheckpointWriter(folder, tensors);
        foreach (var tensor in tensors)
            writer.AppendBytes(tensor.Name, MemoryMarshal.AsBytes<ushort>(block)[..(int)tensor.ByteLength]);
        writer.Commit();
        return tensors.Sum(t => t.ByteLength);
    }

    private static void WriteIds(string path, int windows, int tokens)
    {
        var random = new Random(2);
        using var writer = new SafetensorsWriter(path, [new TensorDeclaration("input_ids", TensorType.I32, [windows, tokens])]);
        writer.AppendBytes("input_ids", MemoryMarshal.AsBytes<int>([.. Enumerable.Range(0, windows * tokens).Select(_ => random.Next(64))]));
        writer.Commit();
    }
}
