using DualSparse.Benchmarking;
using DualSparse.Engine;
using DualSparse.Kernels.Packing;
using DualSparse.LlamaCpp.Gguf;

namespace DualSparse.LlamaCpp;

/// <summary>The results as a page of Markdown.</summary>
internal sealed class ComparisonPage(string model)
{
    private static readonly string[] s_columns = ["test", "tokens", "ours tokens/s", "llama.cpp tokens/s", "ours / llama.cpp", "ours from–to", "llama.cpp from–to"];

    private readonly ResultPage page = new(
        $"Tokens a second beside llama.cpp: {model}",
        $"dotnet run -c Release --project benchmarks/LlamaCpp -- {string.Join(' ', Environment.GetCommandLineArgs().Skip(1))}".TrimEnd(' ', '-'),
        MachineFacts.Current());

    /// <summary>Adds a format's results.</summary>
    /// <param name="ours">What our engine loaded.</param>
    /// <param name="ceiling">The machine's ceilings in this run.</param>
    /// <param name="agreement">How near the logits are.</param>
    /// <param name="pairs">The times.</param>
    public void Add(LoadReport ours, Ceiling ceiling, Agreement agreement, IEnumerable<Pair> pairs)
    {
        string name = WeightFormats.Of(ours.Weights).Name;
        var run = new RunFacts(ours.Threads, ours.Kernel, name, ceiling.BytesPerSecond / 1e9, ceiling.OperationsPerSecond / 1e9);
        string[] notes =
        [
            $"llama.cpp with {OlmoeGguf.TypeOf(ours.Weights)}, {LlamaModel.Build}",
            $"logits differ by {agreement.Error:0.0%} (RMS over standard deviation), the same most probable token in {agreement.SameToken:0.0%} of positions",
        ];
        page.Add(run, notes, s_columns, pairs.Select(Row));
    }

    /// <summary>Writes the page.</summary>
    /// <inheritdoc cref="ResultPage.Save" path="/exception"/>
    public void Save(string path) => page.Save(path);

    public override string ToString() => page.ToString();

    private static string[] Row(Pair pair)
    {
        double[] ratios = [.. pair.Theirs.Zip(pair.Ours, (theirs, ours) => theirs / ours)];
        var (low, high) = Statistics.MedianInterval(ratios);
        return
        [
            pair.Test, $"{pair.Tokens}", Speed(pair.Tokens, Statistics.Median(pair.Ours)), Speed(pair.Tokens, Statistics.Median(pair.Theirs)),
            $"{Statistics.Median(ratios):0.00} ({low:0.00}–{high:0.00})", Range(pair.Tokens, pair.Ours), Range(pair.Tokens, pair.Theirs),
        ];
    }

    private static string Range(int tokens, IReadOnlyList<double> seconds) => $"{Speed(tokens, seconds.Max())}–{Speed(tokens, seconds.Min())}";

    private static string Speed(int tokens, double seconds) => $"{tokens / seconds:0.0}";
}
