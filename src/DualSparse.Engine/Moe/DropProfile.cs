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
                    $"{Path.Combine(folder, FileName)} {(File.Exists(Path.Combine(folder, FileName)) ? "holds no thresholds" : "isn't there")}, which a {(rule.Method is null ? "loss" : "method")} needs: 'dualsparse sparsify' writes a model that has it");
            }

            var named = rule.Method is null ? methods[0] : methods.FirstOrDefault(m => m.Name == rule.Method)
                ?? throw new ArgumentException($"there is no method '{rule.Method}' in {FileName}, expected {string.Join(" or ", methods.Select(m => m.Name))}");
            if (!named.Points.All(p => p.Thresholds.Count == layers && (p.Rates?.Count ?? layers) == layers) || (named.Scales?.Count ?? layers) != layers)
                throw new ModelFormatException($"{Path.Combine(folder, FileName)}: '{named.Name}' is for another number of layers than the model's {layers}");
            int experts = config.Moe?.Experts ?? 0;
            return named.Scales?.FirstOrDefault(scales => scales is not null && scales.Count != experts) is { } wrong
                ? throw new ModelFormatException($"{Path.Combine(folder, FileName)}: '{named.Name}' has scales for {wrong.Count} experts, the model has {experts}")
                : named;
        }
    }
}
