using System.Globalization;

namespace DualSparse.Tests.Docs;

/// <summary>The documents' tables of results, from the committed ones.</summary>
internal static class DocumentTables
{
    private const string Results = "docs/results/", Zen4 = "benchmarks/results/amd-epyc-zen4/";

    private static readonly (string Key, string Name)[] s_texts = [("books", "books"), ("tech", "technical")];

    // A method's name on the command line and what it is.
    private static readonly (string Name, string Text)[] s_ingredients =
    [
        ("2t", "the paper's rule: 2T, metric 4, one T ∓ .01 for all (`2t`)"),
        ("layers", "each layer drops as much as the search's budget gives it (`layers`)"),
        ("means", "what is dropped adds its expert's mean (`means`)"),
        ("contribution", "contribution instead of gating score (`contribution`)"),
        ("combination", "these three together (`combination`)"),
        ("search", "**the search, the default** (`search`)"),
        ("top-k", "equal work, a smaller top-k: 6 of 8 (`top-k`)"),
        ("relative", "equal work, ik_llama.cpp's rule (`relative`)"),
    ];

    private static readonly (string Name, string Text)[] s_orders =
    [
        ("2t", "2T reconstructed (`2t`)"),
        ("1t", "1T (`1t`)"),
        ("stored", "2T, neurons as stored (`stored`)"),
        ("random", "2T, five random orders, their mean (`random`)"),
        ("reversed", "2T, least important first (`reversed`)"),
    ];

    private static readonly Dictionary<string, Func<IEnumerable<string[]>>> s_tables = new()
    {
        ["quarter"] = Quarter,
        ["calibrated"] = Calibrated,
        ["ingredients"] = () => Methods(s_ingredients),
        ["reconstruction"] = () => Methods(s_orders),
        ["expected"] = Expected,
        ["rates"] = Rates,
        ["perplexity"] = Perplexity,
        ["layer-time"] = LayerTime,
        ["model-time"] = ModelTime,
        ["tasks"] = Tasks,
    };

    /// <summary>A table as Markdown.</summary>
    /// <exception cref="FormatException">There is no such table, or a result isn't there.</exception>
    public static string Write(string name)
    {
        if (!s_tables.TryGetValue(name, out var rows))
            throw new FormatException($"there is no table '{name}', expected one of {string.Join(", ", s_tables.Keys)}");
        string[][] cells = [.. rows()];
        return string.Concat(cells.Take(1).Append([.. cells[0].Select(_ => "---")]).Concat(cells.Skip(1)).Select(row => $"| {string.Join(" | ", row)} |\n"));
    }

    private static IEnumerable<string[]> Quarter()
    {
        yield return ["text", "skipped", "KL expected", "KL measured", "ΔNLL measured", "tokens whose most probable id changes"];
        foreach (var (key, name) in s_texts)
        {
            string at = Drop("0.25", key);
            yield return [name, Show($"{at}.dropRate", "0.0 %"), Show($"{at}.expected.kl.value", "0.0000"), Interval($"{at}.kl", "0.0000"), Interval($"{at}.deltaNll", "0.0000"), Interval($"{at}.flips", "0.0 %")];
        }
    }

    private static IEnumerable<string[]> Calibrated()
    {
        yield return ["drop", "search", "the paper's rule (2T, metric 4, one threshold ∓ .01)"];
        foreach (string rate in new[] { "0.1", "0.25", "0.5" })
        {
            string Loss(string method) => Interval($"{Results}dualsparse.json; methods[name={method}].points[drop={rate}].loss.kl", rate == "0.5" ? "0.0000" : "0.00000");
            yield return [Percent(rate), Loss("search"), Loss("paper")];
        }
    }

    private static IEnumerable<string[]> Methods((string Name, string Text)[] methods)
    {
        yield return ["", "books: KL", "of the first row's", "technical: KL", "of the first row's"];
        foreach (var (name, text) in methods)
        {
            yield return [text, .. s_texts.SelectMany(t => new[] { Kl(name, t.Key), name == methods[0].Name ? "1" : Link(name, methods[0].Name, t.Key) })];
        }

        static string Kl(string method, string text) => method == "random"
            ? NumberBinding.Show(Enumerable.Range(1, 5).Average(seed => ResultNumber.Of($"{Sweep(text, $"random-{seed}")}.kl.value")), "0.00000")
            : Interval($"{Sweep(text, method)}.kl", "0.00000");
        static string Sweep(string text, string method) => $"{Results}methods.json; sweep[text={text}][method={method}]";
        static string Link(string method, string beside, string text) => Interval($"{Results}methods.json; links[text={text}][method={method}][beside={beside}].ratio", "0.00");
    }

    private static IEnumerable<string[]> Expected()
    {
        yield return ["text", "KL expected", "measured", "ΔNLL expected", "measured", "flips expected", "measured"];
        foreach (var (key, name) in s_texts)
        {
            string at = Drop("0.25", key);
            yield return [name, Show($"{at}.expected.kl.value", "0.00000"), Interval($"{at}.kl", "0.00000"), Show($"{at}.expected.deltaNll.value", "0.0000"), Interval($"{at}.deltaNll", "0.0000"),
                Show($"{at}.expected.flips.value", "0.0 %"), Interval($"{at}.flips", "0.0 %")];
        }
    }

    private static IEnumerable<string[]> Rates()
    {
        yield return ["asked for", "books: skipped", "KL", "KL expected", "technical: skipped", "KL", "KL expected"];
        foreach (string rate in new[] { "0.1", "0.25", "0.5", "0.75" })
        {
            yield return [Percent(rate), .. s_texts.Select(t => Drop(rate, t.Key)).SelectMany(at => new[] { Show($"{at}.dropRate", "0.0 %"), Show($"{at}.kl.value", "0.00000"), Show($"{at}.expected.kl.value", "0.00000") })];
        }
    }

    private static IEnumerable<string[]> Perplexity()
    {
        yield return ["asked for", "books: skipped", "ΔNLL (95 %)", "technical: skipped", "ΔNLL (95 %)"];
        foreach (string rate in new[] { "0.1", "0.16", "0.18", "0.2", "0.22", "0.24", "0.26", "0.28" })
            yield return [Percent(rate), .. s_texts.Select(t => Drop(rate, t.Key)).SelectMany(at => new[] { Show($"{at}.dropRate", "0.0 %"), Interval($"{at}.deltaNll", "0.0000") })];
    }

    private static IEnumerable<string[]> LayerTime()
    {
        string[] rates = ["10 %", "25 %", "50 %", "75 %"];
        yield return ["shape, weights", "tokens", .. rates];
        foreach (var (page, name, tokens) in new[]
        {
            ("layer-olmoe-bf16", "OLMoE, bf16", "1,32,128,512,4096"), ("layer-olmoe-int8", "OLMoE, int8", "1,32,4096"),
            ("layer-deepseek-v2-lite-bf16", "DeepSeek-V2-Lite, bf16", "1,4096"), ("layer-mixtral-int8", "Mixtral, int8", "4096"),
        })
        {
            foreach (string count in tokens.Split(','))
            {
                string Row(string rate, string column) => Show($"{Zen4}{page}.md; tokens={count}; drop~{rate}; {column}", "0.000");
                yield return [name, count, .. rates.Select(rate => $"{Row(rate, "time(r)/time(0)")} ({Row(rate, "floor(r)/floor(0)")})")];
            }
        }
    }

    private static IEnumerable<string[]> ModelTime()
    {
        yield return ["weights", "prompt 512", "prompt 2048", "64 tokens, one by one"];
        foreach (string weights in new[] { "bf16", "int8", "int4" })
        {
            string Row(string test, string tokens, string column) => Show($"{Zen4}model-olmoe-4-layers-{weights}.md; test={test}; tokens={tokens}; drop~25%; {column}", "0.000");
            yield return [weights, .. new[] { ("prompt", "512"), ("prompt", "2048"), ("generate", "64") }
                .Select(t => $"{Row(t.Item1, t.Item2, "time(r)/time(0)")} ({Row(t.Item1, t.Item2, "floor(r)/floor(0)")})")];
        }
    }

    private static IEnumerable<string[]> Tasks()
    {
        yield return ["task", "items", "acc dense", "dropped", "change of acc", "right → wrong", "wrong → right", "change of acc_norm", "skipped"];
        foreach (string task in new[] { "lambada", "blimp", "piqa", "sciq", "arc_easy", "arc_challenge", "openbookqa", "hellaswag", "winogrande", "boolq", "mmlu" })
        {
            string at = $"{Results}tasks.json; tasks.{task}";
            double change = ResultNumber.Of($"{at}.deltaAcc.value"), dense = ResultNumber.Of($"{at}.acc");
            yield return [task, Show($"{at}.n", "0"), NumberBinding.Show(dense, "0.0 %"), NumberBinding.Show(dense + change, "0.0 %"), Points($"{at}.deltaAcc"), Show($"{at}.rightToWrong", "0"),
                Show($"{at}.wrongToRight", "0"), task is "lambada" or "blimp" ? "" : Points($"{at}.deltaAccNorm"), Show($"{at}.dropRate", "0.0 %")];
        }
    }

    private static string Drop(string rate, string text) => $"{Results}drop-{rate}.json; texts.{text}";

    private static string Percent(string rate) => NumberBinding.Show(double.Parse(rate, CultureInfo.InvariantCulture), "0 %");

    private static string Show(string source, string format) => NumberBinding.Show(ResultNumber.Of(source), format);

    private static string Interval(string source, string format) => $"{Show($"{source}.value", format)} ({Show($"{source}.low", format)} to {Show($"{source}.high", format)})";

    // A share's change in points, with its sign.
    private static string Points(string source)
    {
        string Of(string end) => NumberBinding.Show(100 * ResultNumber.Of($"{source}.{end}"), "+0.0;-0.0;0.0");
        return $"{Of("value")} ({Of("low")} to {Of("high")})";
    }
}
