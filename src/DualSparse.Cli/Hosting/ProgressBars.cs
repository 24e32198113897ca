using DualSparse.Sparsify;
using Spectre.Console;

namespace DualSparse.Cli.Hosting;

/// <summary>A bar for each stage of a long run, on standard error; nothing where that isn't a terminal.</summary>
internal sealed class ProgressBars : IProgress<SparsifyProgress>
{
    private readonly ProgressContext context;
    private readonly Dictionary<string, ProgressTask> stages = [];

    private ProgressBars(ProgressContext context) => this.context = context;

    /// <summary>Runs work under bars, which are gone when it ends.</summary>
    public static T Show<T>(TextWriter errors, Func<ProgressBars?, T> work)
    {
        if (!Terminal.Is(errors))
            return work(null);
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(errors) });
        return console.Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context => work(new ProgressBars(context)));
    }

    /// <summary>The bar of a stage, shown from now on.</summary>
    public IProgress<double> Stage(string name)
    {
        if (!stages.TryGetValue(name, out var task))
            stages.Add(name, task = context.AddTask(Markup.Escape(name), maxValue: 1));
        return new Bar(task);
    }

    /// <summary>Moves a stage's bar.</summary>
    public void Report(SparsifyProgress value) => Stage(value.Stage).Report(value.Share);

    private sealed class Bar(ProgressTask task) : IProgress<double>
    {
        public void Report(double value) => task.Value = value;
    }
}
