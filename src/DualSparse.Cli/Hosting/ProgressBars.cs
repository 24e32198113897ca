using DualSparse.Sparsify;
using Spectre.Console;

namespace DualSparse.Cli.Hosting;

/// <summary>A bar for each stage of a long run, on standard error; nothing where that isn't a terminal.</summary>
internal static class ProgressBars
{
    /// <summary>Runs work under bars, which are gone when it ends.</summary>
    public static T Show<T>(Func<IProgress<SparsifyProgress>?, T> work)
    {
        if (Console.IsErrorRedirected)
            return work(null);
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return console.Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context => work(new Bars(context)));
    }

    private sealed class Bars(ProgressContext context) : IProgress<SparsifyProgress>
    {
        private readonly Dictionary<string, ProgressTask> stages = [];

        public void Report(SparsifyProgress value)
        {
            if (!stages.TryGetValue(value.Stage, out var task))
                stages.Add(value.Stage, task = context.AddTask(value.Stage, maxValue: 1));
            task.Value = value.Share;
        }
    }
}
