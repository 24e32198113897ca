using System.Text;
using System.Text.RegularExpressions;
using DualSparse.Benchmarking;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using Microsoft.ML.OnnxRuntime;

namespace DualSparse.Benchmarks.Ort;

/// <summary>The results as a page, printed line by line.</summary>
internal sealed class QMoePage
{
    private readonly StringBuilder text = new();

    public QMoePage(QMoeOptions options, string command)
    {
        Line($"# OLMoE's layer beside ONNX Runtime's QMoE (64 experts of 1024 neurons, 8 a token, hidden 2048)");
        Line();
        Line($"{CpuFeatures.Current.Name}, {options.Threads} threads, .NET {Environment.Version}, ONNX Runtime {OrtEnv.Instance().GetVersionString()}, "
            + $"{DateTime.UtcNow:yyyy-MM-dd}. `{command}`");
        Line();
        Line("Both start from the same router logits and inputs in f32 and end with the layer's output: choice of experts, softmax, gather, "
            + "gate and up, SiLU, down, weighted sum. The product that makes the logits is in neither. Theirs is com.microsoft.QMoE on the CPU with "
            + "weights as constants (packed by the session), blocks of 32 a scale, `accuracy_level` 4 (int8 activations), spinning off (ours spins 50 µs before it sleeps), one session a layer. "
            + "Ours keeps int8 with one scale an output, int4 with one for 32 inputs. Weights are exact in both, so outputs differ by how activations are rounded. "
            + $"The sides take turns round by round; medians of {options.Rounds} rounds, a round working through all layers.");
    }

    public void Begin(WeightFormat format, PanelKernel kernel, int layers, long bytes, double difference)
    {
        Line();
        Line($"**{WeightFormats.Of(format).Name}**: our kernel {kernel.Name} with {kernel.Activations.ToString().ToLowerInvariant()} activations; "
            + $"{layers} layers in turn, {bytes / 1e9:f2} GB of weights a side without scales; outputs differ by {difference:p1} (relative, L2)");
        Line();
        Line("| tokens | ours ms | theirs ms | theirs / ours | ours GFLOP/s | theirs GFLOP/s | ours from–to ms | theirs from–to ms |");
        Line("|---|---|---|---|---|---|---|---|");
    }

    /// <summary>Adds a row from the seconds of each call of the layer.</summary>
    public void Add(int tokens, double operations, IReadOnlyList<double> ours, IReadOnlyList<double> theirs)
    {
        double a = Statistics.Median(ours), b = Statistics.Median(theirs);
        Line($"| {tokens} | {a * 1e3:f2} | {b * 1e3:f2} | {b / a:f2} | {operations / a / 1e9:f0} | {operations / b / 1e9:f0} | {Range(ours)} | {Range(theirs)} |");
    }

    /// <summary>Writes benchmarks/results/<paramref name="folder"/>/ort-qmoe.md; returns its path.</summary>
    public string Save(string folder)
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "DualSparse.slnx")))
            root = root.Parent;
        string name = folder.Length > 0 ? folder : Regex.Replace(CpuFeatures.Current.Name.ToLowerInvariant(), "[^a-z0-9]+", "-").Trim('-');
        var results = Directory.CreateDirectory(Path.Combine(root?.FullName ?? ".", "benchmarks", "results", name));
        string path = Path.Combine(results.FullName, "ort-qmoe.md");
        File.WriteAllText(path, text.ToString());
        return path;
    }

    private static string Range(IReadOnlyList<double> seconds) => $"{seconds.Min() * 1e3:f2}–{seconds.Max() * 1e3:f2}";

    private void Line(string line = "")
    {
        text.Append(line).Append('\n');
        Console.WriteLine(line);
    }
}
