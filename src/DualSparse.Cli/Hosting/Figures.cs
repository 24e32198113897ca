using System.Diagnostics;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Serving;
using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Cli.Hosting;

/// <summary>How figures are shown: a run, a figure with its interval, JSON.</summary>
internal static class Figures
{
    /// <summary>How commands write JSON.</summary>
    public static JsonSerializerOptions Json { get; } = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // it goes to no web page
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals, // a model that gives NaN is to be told, too
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    /// <summary>What a run was like, figure by figure.</summary>
    public static IEnumerable<string> Of(MoeModel model, EngineOptions engine, GenerationSummary run, Session session)
    {
        var report = model.Report;
        var kernels = engine.Kernels ?? KernelSet.Best();
        using var process = Process.GetCurrentProcess();
        if (!engine.Drop.IsNone)
            yield return $"dropped {session.Dropped.Rate:0.0 %} of the routed experts' work{Loss(engine.Drop, session.Expected)}";
        yield return $"prompt {Count(run.PromptTokens)}, {Rate(run.PromptTokensPerSecond)} tokens/s";
        yield return $"generation {Count(run.GeneratedTokens)}, {Rate(run.GenerationTokensPerSecond)} tokens/s, ended: {End(model, run, session)}";
        yield return $"loaded in {report.Seconds:0.00} s";
        yield return $"peak memory {MemoryBudget.Format(process.PeakWorkingSet64)}";
        yield return $"kernels {kernels[report.Weights].Name} ({Name(report.Weights)} weights), {kernels[WeightFormat.F32].Name} (router)";
        yield return $"{report.Threads} {(report.Threads == 1 ? "thread" : "threads")}";
        yield return $"seed {run.Seed}";
    }

    /// <summary>Why a generation ended.</summary>
    public static string End(MoeModel model, GenerationSummary run, Session session) => run.Finish switch
    {
        FinishReason.EndOfText => $"closing token {model.Tokenizer.TokenText(session.Ids[^1])}",
        FinishReason.StopString => $"stop text \"{Quote(run.StopString!)}\"",
        FinishReason.ContextFull => $"context of {session.ContextTokens} tokens full",
        _ => $"-n {run.GeneratedTokens} reached",
    };

    /// <summary>Text as it stands between quotes in JSON, with only those characters escaped that must be.</summary>
    public static string Quote(string text) => JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).ToString();

    /// <summary>A weight format as the command line spells it.</summary>
    public static string Name(WeightFormat format) => WeightFormats.Of(format).Name;

    /// <summary>A figure with its interval; nothing for null.</summary>
    public static string Show(Interval? figure, string format) =>
        figure is null ? "" : $"{Show(figure.Value, format)} ({Show(figure.Low, format)} to {Show(figure.High, format)})";

    /// <summary>A number; what rounds to nothing has no sign.</summary>
    public static string Show(double number, string format)
    {
        string text = number.ToString(format);
        return text.StartsWith('-') && !text.AsSpan().ContainsAnyInRange('1', '9') ? text[1..] : text;
    }

    private static string Loss(DropRequest drop, ExpectedLoss? loss) =>
        loss is not null ? $", expected KL {loss.Kl.Value:0.####} nats a token"
        : drop.Rate is null ? ""
        : ", expected KL unknown: 'dualsparse sparsify' measures it";

    private static string Count(int tokens) => tokens == 1 ? "1 token" : $"{tokens} tokens";

    private static string Rate(double tokensPerSecond) => tokensPerSecond == 0 ? "–" : tokensPerSecond.ToString(tokensPerSecond < 10 ? "0.0" : "0");
}
