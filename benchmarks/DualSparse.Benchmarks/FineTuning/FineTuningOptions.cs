using System.Globalization;

namespace DualSparse.Benchmarks.FineTuning;

/// <summary>The options on the command line.</summary>
internal sealed record FineTuningOptions
{
    public const string Usage =
        "usage: complete-finetune --out FOLDER --text FILE,… --eval FILE,… [--model FOLDER] [--parts 1,2,4] [--seeds 1,2,3] [--tokens 2000000] [--rate 0.24] [--windows 48] "
        + "[--tasks FOLDER] [--limit 300] [-- options of train]";

    /// <summary>Where runs and results go; what is there already is not done again.</summary>
    public string Output { get; init; } = "";

    /// <summary>The model.</summary>
    public string Model { get; init; } = Path.Combine("models", "olmoe-mini");

    /// <summary>Texts to train on.</summary>
    public IReadOnlyList<string> Texts { get; init; } = [];

    /// <summary>Texts to measure on, of which nothing is trained on.</summary>
    public IReadOnlyList<string> Evaluation { get; init; } = [];

    /// <summary>P of each transformation.</summary>
    public IReadOnlyList<int> Parts { get; init; } = [1, 2, 4];

    /// <summary>Seeds of the runs: the order of the windows.</summary>
    public IReadOnlyList<int> Seeds { get; init; } = [1, 2, 3];

    /// <summary>Tokens of each run.</summary>
    public int Tokens { get; init; } = 2_000_000;

    /// <summary>The drop rate.</summary>
    public double Rate { get; init; } = 0.24;

    /// <summary>Windows of each text.</summary>
    public int Windows { get; init; } = 48;

    /// <summary>The folder of the tasks' files; null: none are scored.</summary>
    public string? Tasks { get; init; }

    /// <summary>Rows of each task at most.</summary>
    public int Limit { get; init; } = 300;

    /// <summary>What else <c>dualsparse train</c> is given.</summary>
    public IReadOnlyList<string> Training { get; init; } = [];

    /// <summary>Parses the options; null if one isn't understood or missing.</summary>
    public static FineTuningOptions? Parse(string[] args)
    {
        var options = new FineTuningOptions();
        for (int i = 0; i < args.Length; i += 2)
        {
            if (args[i] == "--")
            {
                options = options with { Training = args[(i + 1)..] };
                break;
            }

            string value = i + 1 < args.Length ? args[i + 1] : "";
            FineTuningOptions? next = args[i] switch
            {
                _ when value.Length == 0 => null,
                "--out" => options with { Output = value },
                "--model" => options with { Model = value },
                "--text" => options with { Texts = value.Split(',') },
                "--eval" => options with { Evaluation = value.Split(',') },
                "--tasks" => options with { Tasks = value },
                "--parts" when Numbers(value) is { } parts => options with { Parts = parts },
                "--seeds" when Numbers(value) is { } seeds => options with { Seeds = seeds },
                "--tokens" when Numbers(value) is [var tokens] => options with { Tokens = tokens },
                "--windows" when Numbers(value) is [var windows] => options with { Windows = windows },
                "--limit" when Numbers(value) is [var limit] => options with { Limit = limit },
                "--rate" when double.TryParse(value, CultureInfo.InvariantCulture, out double rate) && rate is > 0 and < 1 => options with { Rate = rate },
                _ => null,
            };
            if (next is null)
                return null;
            options = next;
        }

        return options.Output.Length > 0 && options.Texts.Count > 0 && options.Evaluation.Count > 0 ? options : null;
    }

    private static int[]? Numbers(string value)
    {
        int[] numbers = [.. value.Split(',').Select(word => int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int n) ? n : 0)];
        return numbers.All(n => n > 0) ? numbers : null;
    }
}
