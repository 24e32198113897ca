using System.Diagnostics;
using System.Text.Json;
using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Serving;
using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Cli.Hosting;

/// <summary>How figures are shown: a run in one line, a figure with its interval, JSON.</summary>
internal static class Figures
{
    /// <summary>How commands write JSON.</summary>
    public static JsonSerializerOptions Json { get; } = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <summary>What a run was like, in one line.</summary>
    public static string Line(MoeModel model, EngineOptions engine, GenerationSummary run, Session session)
    {
        var report = model.Report;
        var kernels = engine.Kernels ?? KernelSet.Best();
        using var process = Process.GetCurrentProcess();
        string dropped = engine.Drop.IsNone ? "" : FormattableString.Invariant($"dropped {session.Dropped.Rate:0.0 %} of the routed experts' work{Loss(session.Expected)} · ");
        return dropped + string.Join(" · ",
            $"prompt {Count(run.PromptTokens)}, {Rate(run.PromptTokensPerSecond)} tokens/s",
            $"generation {Count(run.GeneratedTokens)}, {Rate(run.GenerationTokensPerSecond)} tokens/s",
            $"loaded in {report.Seconds:0.00} s",
            $"peak memory {MemoryBudget.Show(process.PeakWorkingSet64)}",
            $"kernels {kernels[report.Weights].Name} ({Name(report.Weights)} weights), {kernels[WeightFormat.F32].Name} (router)",
            $"{report.Threads} {(report.Threads == 1 ? "thread" : "threads")}",
            $"seed {run.Seed}");
    }

    /// <summary>A weight format as the command line spells it.</summary>
    public static string Name(WeightFormat format) => WeightFormats.Of(format).Name;

    /// <summary>A figure with its interval; nothing for null.</summary>
    public static string Show(Interval? figure, string format) =>
        figure is null ? "" : $"{figure.Value.ToString(format)} ({figure.Low.ToString(format)} to {figure.High.ToString(format)})";

    private static string Loss(LossToExpect? loss) => loss is null ? "" : FormattableString.Invariant($", KL to expect {loss.Kl.Value:0.####} nats a token");

    private static string Count(int tokens) => tokens == 1 ? "1 token" : $"{tokens} tokens";

    private static string Rate(double tokensPerSecond) => tokensPerSecond == 0 ? "–" : tokensPerSecond.ToString(tokensPerSecond < 10 ? "0.0" : "0");
}
