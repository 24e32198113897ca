using System.CommandLine;
using System.Globalization;
using DualSparse.Distributed;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Cli.Hosting;

/// <summary>The options that say how ranks balance their loads.</summary>
internal sealed class BalanceArguments
{
    private readonly Option<string?> balance = new("--balance")
    {
        Description = "Balance the loads of ranks: none, drop (early ranks drop less), precision (late ranks compute in a lower precision) or both. A row then depends on the others of its batch. [default: none]",
        HelpName = "mode",
    };

    private readonly Option<string?> rule = new("--balance-rule")
    {
        Description = "How: makespan (thresholds that keep every rank under the highest load; the smallest set of ranks to switch), paper (as published) or all (every rank alike, for comparison). [default: makespan]",
        HelpName = "name",
    };

    private readonly Option<string?> low = new("--balance-to") { Description = "The lower precision: int8, or emulated for its accuracy nvfp4 or mxfp4. [default: int8]", HelpName = "format" };

    private readonly Option<double?> marked = NumberOption.Create<double>(
        "--marked-above", "A rank may switch where more than this share of its work is of marked rows; 0: any may. [default: 0.7]");

    private readonly Option<int?> knee = NumberOption.Create<int>(
        "--knee", "Ranks switch only in passes of more rows than this, of all ranks together. [default: where it is predicted to pay]");

    private readonly Option<string?> rates = new("--expert-rates")
    {
        Description = "What times are predicted by, in place of a measurement: GB/s of weights, GFLOP/s, GFLOP/s in the lower precision, GB/s converted; a,b,c,d.",
        HelpName = "numbers",
    };

    /// <summary>Adds the options to a command.</summary>
    public BalanceArguments(Command command)
    {
        foreach (Option option in new Option[] { balance, rule, low, marked, knee, rates })
            command.Options.Add(option);
    }

    /// <summary>What is asked for; null: nothing. Its rates are 0 where they are to be measured.</summary>
    /// <exception cref="ArgumentException">It makes no sense.</exception>
    public BalanceSetting? Setting(ParseResult parsed)
    {
        var mode = Named<BalanceMode>(parsed, balance) ?? BalanceMode.None;
        if (mode == BalanceMode.None)
        {
            Option[] beside = [rule, low, marked, knee, rates];
            return beside.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } alone
                ? throw new ArgumentException($"{alone.Name} goes with --balance")
                : null;
        }

        double share = parsed.GetValue(marked) ?? new BalanceSetting(mode, default).MarkedAbove;
        if (!(share is >= 0 and < 1))
            throw new ArgumentException($"--marked-above is {share}, expected 0 to below 1");
        if (parsed.GetValue(knee) is < 0 and var rows)
            throw new ArgumentException($"--knee is {rows}, expected at least 0");
        return new BalanceSetting(mode, Rates(parsed))
        {
            Rule = Named<BalanceRule>(parsed, rule) ?? BalanceRule.Makespan,
            Low = Named<LowFormat>(parsed, low) ?? LowFormat.Int8,
            MarkedAbove = share,
            Knee = parsed.GetValue(knee),
        };
    }

    /// <summary>Refuses to switch to what weights are no wider than.</summary>
    /// <exception cref="ArgumentException">They aren't.</exception>
    public static void Check(BalanceSetting? setting, WeightFormat weights)
    {
        if (setting is { Switches: true } && weights is not (WeightFormat.Bf16 or WeightFormat.F32))
            throw new ArgumentException($"--balance {setting.Mode.ToString().ToLowerInvariant()} switches from bf16 or f32 weights, found {Figures.Name(weights)}: leave --weights out");
    }

    /// <summary>The setting with rates, measured here if none are given.</summary>
    /// <param name="setting">As asked for.</param>
    /// <param name="options">Weights, threads.</param>
    /// <param name="config">The model.</param>
    /// <param name="parts">The parts of each expert.</param>
    public static BalanceSetting Measured(BalanceSetting setting, EngineOptions options, ModelConfig config, int parts) => setting.Rates != default ? setting : setting with
    {
        Rates = ExpertProbe.Measure(options.Weights, config.HiddenSize, (config.Moe?.Intermediate ?? parts) / parts, options.Threads ?? ThreadTeam.Available),
    };

    /// <summary>What balancing has come to, for people.</summary>
    public static string Line(BalanceSetting setting, BalanceTally tally)
    {
        var rates = setting.Rates;
        string switched = setting.Switches ? FormattableString.Invariant($"; {tally.SwitchedShare:0.0%} of the work in {setting.Low.ToString().ToLowerInvariant()}") : "";
        return FormattableString.Invariant($"balance {setting.Mode.ToString().ToLowerInvariant()} by {setting.Rule.ToString().ToLowerInvariant()}: a row depends on the others of its batch{switched}. ")
            + FormattableString.Invariant($"Predicted: the highest load is {(tally.Mean > 0 ? tally.Highest / tally.Mean : 1):0.00} × the mean, perfect balance would save {tally.Bound:0.0%} of the experts' time, {tally.Saved:0.0%} are saved; ")
            + FormattableString.Invariant($"by {rates.BytesPerSecond / 1e9:0.##} GB/s, {rates.OperationsPerSecond / 1e9:0.#} and {rates.LowOperationsPerSecond / 1e9:0.#} GFLOP/s, {rates.ConvertBytesPerSecond / 1e9:0.##} GB/s converted");
    }

    private ExpertRates Rates(ParseResult parsed)
    {
        if (parsed.GetValue(rates) is not { } text)
            return default;
        double[] numbers = [.. text.Split(',').Select(n => double.TryParse(n, NumberStyles.Float, CultureInfo.InvariantCulture, out double x) && x > 0 && double.IsFinite(x) ? x * 1e9 : 0)];
        return numbers.Length == 4 && !numbers.Contains(0)
            ? new ExpertRates(numbers[0], numbers[1], numbers[2], numbers[3])
            : throw new ArgumentException($"--expert-rates is '{text}', expected four positive numbers: GB/s, GFLOP/s, GFLOP/s in the lower precision, GB/s converted");
    }

    private static T? Named<T>(ParseResult parsed, Option<string?> option)
        where T : struct, Enum
    {
        if (parsed.GetValue(option) is not { } name)
            return null;
        return Enum.GetNames<T>().FirstOrDefault(known => known.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } found ? Enum.Parse<T>(found)
            : throw new ArgumentException($"{option.Name} is '{name}', expected {string.Join(" or ", Enum.GetNames<T>()).ToLowerInvariant()}");
    }
}
