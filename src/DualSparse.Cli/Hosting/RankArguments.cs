using System.CommandLine;
using System.CommandLine.Parsing;
using DualSparse.Distributed;
using DualSparse.Distributed.Mpi;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Balance;

namespace DualSparse.Cli.Hosting;

/// <summary>The options that spread a model, or a measurement, over several processes.</summary>
internal sealed class RankArguments
{
    private const int MostRanks = 1024;

    private readonly Option<int?> ranks;

    private readonly Option<string?> hosts = new("--hosts") { Description = "The hosts to spread --ranks over, a,b… [default: this one]", HelpName = "names" };

    private readonly Option<string?> placement = new("--placement")
    {
        Description = "With --ranks: own (whole experts, each on one rank), slice (a part of every expert on every rank) or hybrid:P (parts shared out). [default: what is predicted to be the fastest]",
        HelpName = "name",
    };

    private readonly BalanceArguments? balance;

    private readonly Option<double?> timeout = NumberOption.Create<double>("--peer-timeout", "Seconds that one of --ranks waits for another before it counts as lost. [default: 30]");

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="model">Whether it runs a model.</param>
    public RankArguments(Command command, bool model = true)
    {
        ranks = NumberOption.Create<int>("--ranks", $"{(model ? "Run one model in this many processes (MPI). [default: 1, or" : "Start this many processes (MPI). [default:")} as many as mpirun has started]");
        foreach (Option option in model ? new Option[] { ranks, hosts, placement, timeout } : [ranks, hosts, timeout])
            command.Options.Add(option);
        balance = model ? new BalanceArguments(command) : null;
    }

    /// <summary>How ranks balance their loads; null: they don't.</summary>
    /// <exception cref="ArgumentException">It makes no sense.</exception>
    public BalanceSetting? Balance(ParseResult parsed) => balance?.Setting(parsed);

    /// <summary>What one process computes as so many ranks would: with their placement, and balanced as theirs.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="folder">The model's folder.</param>
    /// <param name="options">Weights, threads, kernels.</param>
    /// <param name="count">Ranks.</param>
    /// <exception cref="ArgumentException">Several processes are asked for too, or the model can't be placed so.</exception>
    public EngineOptions AsRanks(ParseResult parsed, string folder, EngineOptions options, int count)
    {
        if (count is < 2 or > MostRanks)
            throw new ArgumentException($"--as-ranks is {count}, expected 2 to {MostRanks}");
        if (parsed.GetValue(ranks) is not null || MpiLaunch.Current is { Size: > 1 })
            throw new ArgumentException("--as-ranks is one process: leave --ranks out");
        var where = RankPlacement.Choose(folder, count, PlacementKind.Parse(parsed.GetValue(placement) ?? "own"));
        options = where.Apply(options);
        BalanceArguments.Check(Balance(parsed), options.Weights);
        return Balance(parsed) is { } asked ? options with { Balance = BalanceArguments.Measured(asked, options, Models.ModelConfig.Load(folder), where.Parts) } : options;
    }

    /// <summary>Whether several ranks are asked for.</summary>
    public bool Given(CommandResult result) => result.GetResult(ranks) is { Implicit: false };

    /// <summary>Runs a command's work: here, or as one of several ranks, or starts these.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="folder">Gives the model's folder.</param>
    /// <param name="options">Weights, threads, kernels.</param>
    /// <param name="work">The work, with the options to load the model with; of several ranks, the first does it.</param>
    /// <param name="use">What that work is, by the number of ranks, for the choice of a placement; null: the usual.</param>
    public int Run(ParseResult parsed, Func<string> folder, EngineOptions options, Func<EngineOptions, int> work, Func<int, RankWork>? use = null)
    {
        var (launch, count, patience) = Asked(parsed);
        var errors = parsed.InvocationConfiguration.Error;
        var how = parsed.GetValue(placement) is { } name ? PlacementKind.Parse(name) : null;
        options = options with { Balance = Balance(parsed) };
        BalanceArguments.Check(options.Balance, options.Weights);
        if (count == 1 && options.Balance is not null)
            throw new ArgumentException("--balance is between ranks: give --ranks 2 or more");
        if (count == 1)
            return work(options);
        if (launch is not null)
            return Ranks.Join(launch, patience, folder, options, how, () => use?.Invoke(count) ?? RankWork.Usual, Lead, Tell(parsed));
        Check(parsed, folder());
        return Start(parsed, Environment.GetCommandLineArgs()[1..]);

        int Lead(EngineOptions chosen, RankPlacement where)
        {
            int code = work(chosen);
            errors.WriteLine($"{where.Ranks} ranks, placement {where.Name}: {where.Reason}");
            return code;
        }
    }

    /// <summary>The ranks that are asked for, or were started.</summary>
    /// <exception cref="ArgumentException">An option makes no sense.</exception>
    public int Count(ParseResult parsed) => Asked(parsed).Count;

    /// <summary>Runs work without a model as one of several ranks, or starts these.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="work">Each rank's work.</param>
    /// <param name="alone">The work of one process; null: it is none.</param>
    /// <exception cref="ArgumentException">There is one rank only, and it has no work.</exception>
    public int Run(ParseResult parsed, Func<RankGroup, int> work, Func<int>? alone = null)
    {
        var (launch, count, patience) = Asked(parsed);
        if (count == 1 && alone is not null)
            return alone();
        if (count == 1)
            throw new ArgumentException("it is between ranks that this measures: give --ranks 2 or more");
        return launch is null ? Start(parsed, Environment.GetCommandLineArgs()[1..]) : Ranks.Join(launch, patience, work, Tell(parsed));
    }

    private (MpiLaunch? Launch, int Count, TimeSpan Patience) Asked(ParseResult parsed)
    {
        var launch = MpiLaunch.Current is { Size: > 1 } several ? several : null;
        int count = parsed.GetValue(ranks) ?? launch?.Size ?? 1;
        double patience = parsed.GetValue(timeout) ?? 30;
        if (count is < 1 or > MostRanks)
            throw new ArgumentException($"--ranks is {count}, expected 1 to {MostRanks}");
        if (!(patience is > 0 and < 1e6))
            throw new ArgumentException($"--peer-timeout is {patience}, expected a positive number of seconds");
        if (launch is not null && launch.Size != count)
            throw new ArgumentException($"--ranks is {count}, but {launch.Size} processes were started: leave one of them out");
        Option[] beside = [hosts, placement, timeout];
        if (launch is null && parsed.GetValue(ranks) is null && beside.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } alone)
            throw new ArgumentException($"{alone.Name} goes with --ranks");
        return (launch, count, TimeSpan.FromSeconds(patience));
    }

    private static Action<Exception, string> Tell(ParseResult parsed) =>
        (e, rank) => CommandHost.Tell(parsed.InvocationConfiguration.Error, rank + CommandHost.Sentence(e));

    /// <summary>Says what can be said before ranks are started, so that it needn't be said by each.</summary>
    /// <exception cref="ArgumentException">The model can't be placed so.</exception>
    public void Check(ParseResult parsed, string folder) =>
        RankPlacement.Choose(folder, Asked(parsed).Count, parsed.GetValue(placement) is { } name ? PlacementKind.Parse(name) : null);

    /// <summary>Whether this process is to start several ranks, and isn't one of them.</summary>
    public bool Starts(ParseResult parsed) => Asked(parsed) is { Launch: null, Count: > 1 };

    /// <summary>Starts ranks and waits for their end.</summary>
    /// <param name="parsed">How many, and where.</param>
    /// <param name="arguments">What each is given.</param>
    /// <returns>The exit code.</returns>
    public int Start(ParseResult parsed, string[] arguments)
    {
        using var interrupt = new Interrupt();
        using var output = Console.OpenStandardOutput();
        string[] where = parsed.GetValue(hosts)?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [];
        string[] program = ["dotnet", Path.Combine(AppContext.BaseDirectory, "dualsparse.dll"), .. arguments];
        return RankLauncher.Run(program, Asked(parsed).Count, where, output, () => StandardOutput.ReaderGone(Console.Out), parsed.InvocationConfiguration.Error, interrupt.Token);
    }

}
