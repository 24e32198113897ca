using System.Globalization;
using DualSparse.Kernels;
using DualSparse.Kernels.Threading;

namespace DualSparse.Benchmarks.Ort;

/// <summary>The options on the command line.</summary>
internal sealed record QMoeOptions
{
    public const string Usage =
        "usage: ort [--weights int8,int4] [--tokens 1,32,128,512,1024] [--rounds 7] [--threads N] [--save folder of benchmarks/results]";

    public IReadOnlyList<WeightFormat> Formats { get; init; } = [WeightFormat.Int8, WeightFormat.Int4];

    public IReadOnlyList<int> Tokens { get; init; } = [1, 32, 128, 512, 1024];

    public int Rounds { get; init; } = 7;

    public int Threads { get; init; } = ThreadTeam.Available;

    /// <summary>The processor's folder under benchmarks/results; empty: made from its name; null: print only.</summary>
    public string? Save { get; init; }

    /// <summary>Parses the options; null if one isn't understood.</summary>
    public static QMoeOptions? Parse(string[] args)
    {
        var options = new QMoeOptions();
        for (int i = 0; i < args.Length; i++)
        {
            string value = i + 1 < args.Length && !args[i + 1].StartsWith('-') ? args[i + 1] : "";
            QMoeOptions? next = args[i] switch
            {
                "--weights" when ParseFormats(value) is { } formats => options with { Formats = formats },
                "--tokens" when Numbers(value) is { } tokens => options with { Tokens = tokens },
                "--rounds" when Numbers(value) is [var rounds] => options with { Rounds = rounds },
                "--threads" when Numbers(value) is [var threads] => options with { Threads = threads },
                "--save" => options with { Save = value },
                _ => null,
            };
            if (next is null)
                return null;
            options = next;
            i += value.Length > 0 ? 1 : 0;
        }

        return options;
    }

    private static WeightFormat[]? ParseFormats(string value) => value switch
    {
        "int8" => [WeightFormat.Int8],
        "int4" => [WeightFormat.Int4],
        "int8,int4" => [WeightFormat.Int8, WeightFormat.Int4],
        _ => null,
    };

    private static int[]? Numbers(string value)
    {
        var words = value.Split(',');
        var numbers = words.Select(w => int.TryParse(w, NumberStyles.None, CultureInfo.InvariantCulture, out int n) ? n : 0).ToArray();
        return numbers.All(n => n > 0) ? numbers : null;
    }
}
