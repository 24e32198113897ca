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
        return Bytes(path) is { } json ? Parse(json, path) : null;
    }

    /// <summary>Reads the part of a folder's that a type has; null where there is no file.</summary>
    /// <exception cref="ModelFormatException">The file is damaged.</exception>
    public static T? Read<T>(string folder)
        where T : class
    {
        string path = Path.Combine(folder, FileName);
        return Bytes(path) is { } json ? Parse<T>(json, path) : null;
    }

    /// <summary>Reads a file's bytes; <paramref name="path"/> is what messages call it.</summary>
    /// <exception cref="ModelFormatException">They are damaged.</exception>
    internal static DropProfile? Parse(ReadOnlySpan<byte> json, string path)
    {
        var profile = Parse<DropProfile>(json, path);
        return (profile?.Methods ?? []).Select(method => DropMethod.Fault(method)).FirstOrDefault(fault => fault is not null) is { } fault
            ? throw new ModelFormatException($"{path}: {fault}")
            : profile;
    }

    private static T? Parse<T>(ReadOnlySpan<byte> json, string path)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(json, Json);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException or InvalidOperationException)
        {
            throw new ModelFormatException($"{path}: it can't be read ({e.Message.Split('\n')[0]})", e);
        }
    }

    private static byte[]? Bytes(string path)
    {
        if (!File.Exists(path))
            return null;
        try
        {
            using var stream = File.OpenRead(path);
            if (stream.Length > MaxBytes)
                throw new ModelFormatException($"{path}: {stream.Length} bytes, expected at most {MaxBytes}");
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw ModelFormatException.Unreadable(path, e);
        }
    }

    /// <summary>A rule with its thresholds: for a loss those that keep within it, for a rate those that it moves along.</summary>
    /// <param name="folder">The checkpoint's.</param>
    /// <param name="config">Its configuration.</param>
    /// <param name="rule">The rule asked for; what has its thresholds stays as it is.</param>
    /// <exception cref="ArgumentException">
    /// There is no such method, the rate is beyond its last, no drop within that loss is known, or prompt and generated tokens follow rates
    /// by different methods or guards.
    /// </exception>
    /// <exception cref="ModelFormatException">The file is damaged, or made for another model.</exception>
    public static DropRule Resolve(string folder, ModelConfig config, DropRule rule)
    {
        var profile = new Lazy<IReadOnlyList<DropMethod>>(() => Find(folder)?.Methods ?? []);
        var own = ResolveOne(folder, config, rule, profile, null);
        if (rule.Generation is not { } other)
            return own;
        other = ResolveOne(folder, config, other, profile, own.Rate > 0 ? own.Followed : null);
        if (own.Rate > 0 && other.Rate > 0 && (own.Followed != other.Followed || own.Guard != other.Guard))
            throw new ArgumentException("a prompt's and generated tokens' rates follow the same scores: give both one method, δ and guard");
        return own with { Generation = other };
    }

    private static DropRule ResolveOne(string folder, ModelConfig config, DropRule rule, Lazy<IReadOnlyList<DropMethod>> profile, FollowedMethod? beside)
    {
        if (rule.Rate is null or 0 && rule.MaxKl is null)
            return rule;
        // What is followed already goes on.
        var asked = (folder, rule.Method, rule.Delta);
        if (rule.Followed?.Asked == asked)
            return rule;
        int layers = config.Layers;
        var method = Method();
        if (rule.MaxKl is { } kl)
        {
            double within = method.RateWithin(kl);
            return method.Rule(within) with { Guard = rule.Guard, Expected = method.Expect(within) };
        }

        method.CheckRate(rule.Rate!.Value);
        return rule with
        {
            Score = method.Score,
            Compensate = method.Compensate || (rule.Compensate && profile.Value.Count == 0),
            Thresholds = DropThresholds.None,
            Layers = null,
            Followed = beside?.Asked == asked ? beside : new FollowedMethod(method, [.. config.LayerPlan.Select(l => l.IsMoe)], asked),
        };

        DropMethod Method()
        {
            var methods = profile.Value;
            if (methods.Count == 0)
            {
                return rule.MaxKl is null && rule.Method is null ? DropMethod.OfScores(config, rule.Delta) : throw new ArgumentException(
                    $"{Path.Combine(folder, FileName)} holds no thresholds, which a {(rule.Method is null ? "loss" : "method")} needs: 'dualsparse sparsify' writes them");
            }

            var named = rule.Method is null ? methods[0] : methods.FirstOrDefault(m => m.Name == rule.Method)
                ?? throw new ArgumentException($"there is no method '{rule.Method}' in {FileName}, expected {string.Join(" or ", methods.Select(m => m.Name))}");
            return named.Points.All(p => p.Thresholds.Count == layers && (p.Rates?.Count ?? layers) == layers) && (named.Scales?.Count ?? layers) == layers ? named
                : throw new ModelFormatException($"{Path.Combine(folder, FileName)}: '{named.Name}' is for another number of layers than the model's {layers}");
        }
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
    /// <summary>A threshold on ŝ for all layers, T ∓ δ, where no calibration says what rate it gives.</summary>
    internal static DropMethod OfScores(ModelConfig config, float delta)
    {
        // A token's scores have the mean 1/k. Of a threshold of four times that hardly a pair is left.
        float most = Math.Min(1, 4f / (config.Moe?.TopK ?? 1));
        DropPoint At(double place, float threshold) =>
            new(place, place, [.. Enumerable.Repeat(new DropThresholds(threshold - delta, threshold + delta), config.Layers)], null);
        return new DropMethod("scores", DropScore.Gate, Compensate: false, null, delta > 0 && delta < most ? [At(delta / most, delta), At(1, most)] : [At(1, Math.Max(most, delta))]);
    }

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
            if (point.Rates is { } rates && (rates.Count != layers || !rates.All(r => r is >= 0 and <= 1)))
                return $"method '{method.Name}': a point's rates are not from 0 to 1 for each of {layers} layers";
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
        CheckRate(rate);
        if (rate == 0)
            return DropRule.None;
        var layers = Enumerable.Range(0, Points[0].Thresholds.Count).Select(l =>
        {
            var at = new RateCurve(this, l).At(rate);
            return new LayerThresholds(at, Scales?[l] is { } scales ? [.. scales.Select(s => new DropThresholds(at.Major / s, at.Minor / s))] : null);
        });
        return new DropRule { Score = Score, Compensate = Compensate, Layers = [.. layers] };
    }

    /// <summary>The loss to expect of a rate's thresholds: between two points KL by its logarithm; null where the points say nothing of it.</summary>
    public LossToExpect? Expect(double rate)
    {
        int above = Points.TakeWhile(p => p.Drop < rate).Count();
        if (Points.Any(p => p.Loss is null))
            return null;
        if (above == Points.Count)
            return Points[^1].Loss;
        var (low, high) = (above == 0 ? null : Points[above - 1], Points[above]);
        double share = (rate - (low?.Drop ?? 0)) / (high.Drop - (low?.Drop ?? 0));
        return new LossToExpect(
            Between(low?.Loss!.Kl, high.Loss!.Kl, (a, b) => a > 0 && b > 0 ? a * Math.Pow(b / a, share) : share * b),
            Between(low?.Loss!.DeltaNll, high.Loss.DeltaNll, Straight), Between(low?.Loss!.Flips, high.Loss.Flips, Straight));

        double Straight(double a, double b) => a + share * (b - a);
        static Interval Between(Interval? low, Interval high, Func<double, double, double> part) =>
            new(part(low?.Value ?? 0, high.Value), part(low?.Low ?? 0, high.Low), part(low?.High ?? 0, high.High));
    }

    /// <summary>Refuses a rate beyond the last point.</summary>
    internal void CheckRate(double rate)
    {
        if (!(rate >= 0 && rate <= Points[^1].Drop + 1e-9))
            throw new ArgumentException($"the drop rate is {rate}, expected 0 to {Points[^1].Drop}, as far as {DropProfile.FileName} goes");
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
/// <param name="Rates">By layer, its own rate on that text; null where it wasn't measured.</param>
public sealed record DropPoint(double Drop, double Achieved, IReadOnlyList<DropThresholds> Thresholds, LossToExpect? Loss, IReadOnlyList<double>? Rates = null);

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
