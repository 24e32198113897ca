using System.Text.Json;
using System.Text.Json.Serialization;
using DualSparse.Models;

namespace DualSparse.Engine.Moe;

/// <summary>What dualsparse.json says about dropping: for each method, the thresholds that give a rate, and the loss to expect.</summary>
/// <param name="Methods">The methods, the best first.</param>
public sealed record DropProfile(IReadOnlyList<DropMethod>? Methods)
{
    /// <summary>The file's name in the checkpoint's folder.</summary>
    public const string FileName = "dualsparse.json";

    // Thresholds of every expert of a large model are some megabytes.
    private const long MaxBytes = 256 << 20;

    /// <summary>How the file is written and read.</summary>
    public static JsonSerializerOptions Json { get; } = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    /// <summary>Reads a folder's; null where there is none.</summary>
    /// <exception cref="ModelFormatException">The file is damaged.</exception>
    public static DropProfile? Find(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
            return null;
        try
        {
            using var stream = File.OpenRead(path);
            if (stream.Length > MaxBytes)
                throw new ModelFormatException($"{path}: {stream.Length} bytes, expected at most {MaxBytes}");
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return Parse(bytes, path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw ModelFormatException.Unreadable(path, e);
        }
    }

    /// <summary>Reads a file's bytes; <paramref name="path"/> is what messages call it.</summary>
    /// <exception cref="ModelFormatException">They are damaged.</exception>
    internal static DropProfile? Parse(ReadOnlySpan<byte> json, string path)
    {
        DropProfile? profile;
        try
        {
            profile = JsonSerializer.Deserialize<DropProfile>(json, Json);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException or InvalidOperationException)
        {
            throw new ModelFormatException($"{path}: it can't be read ({e.Message.Split('\n')[0]})", e);
        }

        return (profile?.Methods ?? []).Select(method => DropMethod.Fault(method)).FirstOrDefault(fault => fault is not null) is { } fault
            ? throw new ModelFormatException($"{path}: {fault}")
            : profile;
    }

    /// <summary>A rule with thresholds in place of the rate or the loss that it aims at.</summary>
    /// <param name="folder">The checkpoint's.</param>
    /// <param name="rule">The rule asked for; without a profile a rate stays and follows the scores as they come.</param>
    /// <exception cref="ArgumentException">There is no such method, or no drop within that loss is known.</exception>
    /// <exception cref="ModelFormatException">The file is damaged.</exception>
    public static DropRule Resolve(string folder, DropRule rule)
    {
        if (rule.Generation is { } own)
            rule = rule with { Generation = Resolve(folder, own) };
        if (rule.Rate is null or 0 && rule.MaxKl is null)
            return rule;
        var methods = Find(folder)?.Methods ?? [];
        if (methods.Count == 0)
        {
            return rule.MaxKl is null && rule.Method is null ? rule : throw new ArgumentException(
                $"{Path.Combine(folder, FileName)} holds no thresholds, which a {(rule.Method is null ? "loss" : "method")} needs: 'dualsparse sparsify' writes them");
        }

        var method = rule.Method is null ? methods[0] : methods.FirstOrDefault(m => m.Name == rule.Method)
            ?? throw new ArgumentException($"there is no method '{rule.Method}' in {FileName}, expected {string.Join(" or ", methods.Select(m => m.Name))}");
        return method.Rule(rule.MaxKl is { } kl ? method.RateWithin(kl) : rule.Rate!.Value) with { Guard = rule.Guard, Generation = rule.Generation };
    }
}

/// <summary>One way to choose what is dropped.</summary>
/// <param name="Name">As the command line names it.</param>
/// <param name="Score">What is compared with the thresholds.</param>
/// <param name="Compensate">Whether what is dropped leaves its mean behind.</param>
/// <param name="Scales">By layer, [experts] what the layer's thresholds are divided by; null: one for all.</param>
/// <param name="Points">By drop rate, rising.</param>
public sealed record DropMethod(string Name, DropScore Score, bool Compensate, IReadOnlyList<IReadOnlyList<float>?>? Scales, IReadOnlyList<DropPoint> Points)
{
    /// <summary>What is wrong with a method that was read, or null. Whether it is of the model's size is checked with the rule it gives.</summary>
    internal static string? Fault(DropMethod? method)
    {
        if (method is not { Name: not null, Points: [{ Thresholds.Count: var layers }, ..] points })
            return "a method has no name, or no points with thresholds";
        double before = 0;
        foreach (var point in points)
        {
            if (point is not { Thresholds: { } thresholds } || thresholds.Count != layers || !thresholds.All(t => t.Major >= 0 && t.Major <= t.Minor && float.IsFinite(t.Minor)))
                return $"method '{method.Name}': a point's thresholds are missing, or not 0 ≤ major ≤ minor for each of {layers} layers";
            if (!(point.Drop > before && point.Drop <= 1))
                return $"method '{method.Name}': a point's drop is {point.Drop}, expected more than {before}, the one before, and at most 1";
            if (point.Loss is { } loss && !(loss.Kl?.Value > 0))
                return $"method '{method.Name}': the loss to expect at {point.Drop} has no KL above 0";
            before = point.Drop;
        }

        return method.Scales is { } scales && (scales.Count != layers || scales.Any(layer => layer?.Any(s => !(s > 0 && float.IsFinite(s))) ?? false))
            ? $"method '{method.Name}': its scales are not numbers above 0 for each of {layers} layers"
            : null;
    }

    /// <summary>The thresholds for a rate: between two points, between theirs.</summary>
    /// <exception cref="ArgumentException">The rate is beyond the last point.</exception>
    public DropRule Rule(double rate)
    {
        if (!(rate >= 0 && rate <= Points[^1].Drop + 1e-9))
            throw new ArgumentException($"the drop rate is {rate}, expected 0 to {Points[^1].Drop}, as far as {DropProfile.FileName} goes");
        if (rate == 0)
            return DropRule.None;
        int above = Math.Max(0, Points.Select((p, i) => (p, i)).First(x => x.p.Drop >= rate - 1e-9).i);
        var (low, high) = (above == 0 ? null : Points[above - 1], Points[above]);
        float share = (float)Math.Clamp((rate - (low?.Drop ?? 0)) / (high.Drop - (low?.Drop ?? 0)), 0, 1);
        var layers = high.Thresholds.Select((t, l) =>
        {
            var from = low?.Thresholds[l] ?? DropThresholds.None;
            var between = new DropThresholds(from.Major + share * (t.Major - from.Major), from.Minor + share * (t.Minor - from.Minor));
            return Scales?[l] is { } scales
                ? new LayerThresholds(between, [.. scales.Select(s => new DropThresholds(between.Major / s, between.Minor / s))])
                : new LayerThresholds(between);
        });
        return new DropRule { Score = Score, Compensate = Compensate, Layers = [.. layers] };
    }

    /// <summary>The highest rate whose expected KL stays within a bound: between two points by the logarithm.</summary>
    /// <exception cref="ArgumentException">Even the first point's is above it, or the points say nothing of loss.</exception>
    public double RateWithin(double kl)
    {
        double rate = 0, before = 0;
        foreach (var point in Points)
        {
            if (point.Loss is not { } loss)
                throw new ArgumentException($"{DropProfile.FileName} says nothing of the loss of '{Name}'");
            if (loss.Kl.Value > kl)
            {
                if (rate == 0)
                    throw new ArgumentException($"no drop with a KL within {kl} is known: that of {point.Drop:0 %} is {loss.Kl.Value:0.#####}");
                return rate + (point.Drop - rate) * Math.Log(kl / before) / Math.Log(loss.Kl.Value / before);
            }

            (rate, before) = (point.Drop, loss.Kl.Value);
        }

        return rate;
    }
}

/// <summary>What one drop rate takes.</summary>
/// <param name="Drop">The rate aimed at.</param>
/// <param name="Achieved">The rate on text kept apart from the calibration.</param>
/// <param name="Thresholds">By layer, before an expert's scale; a dense layer's are zeros.</param>
/// <param name="Loss">The loss to expect; null where it wasn't measured.</param>
public sealed record DropPoint(double Drop, double Achieved, IReadOnlyList<DropThresholds> Thresholds, LossToExpect? Loss);

/// <summary>What a drop costs on text kept apart from the calibration, against the dense run.</summary>
/// <param name="Kl">KL(dense ‖ dropped), nats a token.</param>
/// <param name="DeltaNll">The rise of −log p, nats a token.</param>
/// <param name="Flips">Share of predictions whose best id changes.</param>
public sealed record LossToExpect(Interval Kl, Interval DeltaNll, Interval Flips);

/// <summary>A figure and its 95 % interval.</summary>
/// <param name="Value">On what was measured.</param>
/// <param name="Low">Its lower end.</param>
/// <param name="High">Its upper end.</param>
public sealed record Interval(double Value, double Low, double High)
{
    /// <summary>The interval of a rising function of the figure.</summary>
    public Interval Map(Func<double, double> rising) => new(rising(Value), rising(Low), rising(High));
}
